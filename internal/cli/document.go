package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/smartlb/smartlb/internal/control/config"
)

// Mistakes adds the file's name to each mistake in a document.
func Mistakes(file string, err error) error {
	var m config.Mistakes
	if !errors.As(err, &m) {
		return err
	}
	lines := make([]string, 0, len(m)+1)
	lines = append(lines, fmt.Sprintf("%s: %d mistake%s, nothing was changed", file, len(m), map[bool]string{len(m) != 1: "s"}[true]))
	for _, one := range m {
		lines = append(lines, one.In(file))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// Warn logs settings in a file that are valid but have no effect or an unintended effect.
func Warn(env *Env, file string, warnings config.Mistakes) {
	for _, w := range warnings {
		env.Log.Warn("configuration file has a warning", "file", file, "line", w.Line, "path", w.Path, "warning", w.Text)
	}
}
