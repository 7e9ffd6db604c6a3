package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/smartlb/smartlb/internal/stack/properties"
)

// Names of runtimes.
const (
	RuntimeEmbedded = "embedded"
	RuntimeJVM      = "jvm"
	RuntimeDocker   = "docker"
	RuntimeExternal = "external"
)

// Choice holds the options of the stack's last start. All commands except start use it.
type Choice struct {
	Format    int               `json:"format"` // version of this file's format
	Runtime   string            `json:"runtime"`
	Mode      properties.Mode   `json:"mode,omitempty"`
	Addresses Addresses         `json:"addresses"`
	Heap      map[string]string `json:"heap,omitempty"`    // by service, in Java's notation
	Home      string            `json:"home,omitempty"`    // distribution folder
	Plugins   string            `json:"plugins,omitempty"` // folder of Connect's plugins
	Secrets   []string          `json:"secrets,omitempty"` // folders from which ${file:...} of connectors may read
}

// choiceFormat increases when older programs would misread the file.
const choiceFormat = 1

// ErrNewer means that a newer program wrote the state.
var ErrNewer = errors.New("the state folder was written by a newer smartlb: use that one, or another SMARTLB_STATE_DIR")

func choicePath(dir string) string { return filepath.Join(dir, "stack.json") }

// Recall reads the choice of the last start; ok is false if there was none.
func Recall(dir string) (c Choice, ok bool, err error) {
	b, err := os.ReadFile(choicePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return Choice{}, false, nil
	}
	if err != nil {
		return Choice{}, false, fmt.Errorf("state folder: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return Choice{}, false, fmt.Errorf("%s: %w", choicePath(dir), err)
	}
	if c.Format > choiceFormat {
		return Choice{}, false, fmt.Errorf("%w (%s)", ErrNewer, dir)
	}
	return c, true, nil
}

// Remember writes the choice, atomically.
func (c Choice) Remember(dir string) error {
	c.Format = choiceFormat
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := makeFolder(dir); err != nil {
		return err
	}
	if err := renameio.WriteFile(choicePath(dir), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	return nil
}

// WithPorts replaces port 0 by a free port, except for services that pick their own.
func (c Choice) WithPorts() (Choice, error) {
	if c.Runtime == RuntimeEmbedded {
		return c, nil
	}
	var err error
	c.Addresses, err = c.Addresses.PickPorts()
	return c, err
}
