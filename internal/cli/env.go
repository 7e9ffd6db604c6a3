package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/base/screen"
)

// Env is the environment of a verb. Tests use buffers and their own variables.
type Env struct {
	In     io.Reader
	Out    io.Writer // data
	Err    io.Writer // messages
	Getenv func(string) string
	Log    *slog.Logger // writes to Err as --log-level and --log-format say; set before a verb runs

	Output    string // the value of -o: table, wide, json or yaml; empty: -o is not given
	logLevel  string
	logFormat string
	logTo     func(io.Writer) *slog.Logger
}

// System returns the environment of the process. It removes control characters from output to a terminal, see package
// screen.
func System() *Env {
	return &Env{In: os.Stdin, Out: screen.New(os.Stdout), Err: screen.New(os.Stderr), Getenv: os.Getenv}
}

// Say writes a message line to stderr.
func (e *Env) Say(format string, args ...any) {
	fmt.Fprintf(e.Err, format+"\n", args...)
}

// First returns the value and the name of the first variable that is set.
func (e *Env) First(names ...string) (value, name string) {
	for _, n := range names {
		if v := e.Getenv(n); v != "" {
			return v, n
		}
	}
	return "", ""
}

func (e *Env) flags(f *pflag.FlagSet) {
	f.StringVarP(&e.Output, "output", "o", "", "`form`: table, wide, json or yaml")
	f.StringVar(&e.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&e.logFormat, "log-format", "text", "text or json")
}

// forms are the values of -o for a verb that declares none.
const forms = "table,wide,json,yaml"

// prepare checks the shared flags and creates the logger. allowed lists the verb's values of -o, separated by commas; a
// value that ends in = accepts any text after it.
func (e *Env) prepare(allowed string) error {
	known := e.Output == ""
	list := strings.Split(allowed, ",")
	for _, form := range list {
		known = known || e.Output == form || (strings.HasSuffix(form, "=") && strings.HasPrefix(e.Output, form))
	}
	if !known {
		last := len(list) - 1
		return Usagef("-o %s: allowed are %s and %s", e.Output, strings.Join(list[:last], ", "), list[last])
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(e.logLevel))); err != nil {
		return Usagef("--log-level %s: allowed are debug, info, warn and error", e.logLevel)
	}
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: inMillis}
	switch e.logFormat {
	case "text":
		e.logTo = func(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, opts)) }
	case "json":
		e.logTo = func(w io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(w, opts)) }
	default:
		return Usagef("--log-format %s: allowed are text and json", e.logFormat)
	}
	e.Log = e.logTo(e.Err)
	return nil
}

// inMillis formats the times of log lines with millisecond precision.
func inMillis(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().Truncate(time.Millisecond))
	}
	return a
}
