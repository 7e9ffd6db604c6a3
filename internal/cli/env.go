package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// Env is the world of a verb. Tests give it buffers and their own variables.
type Env struct {
	In     io.Reader
	Out    io.Writer // data
	Err    io.Writer // words
	Getenv func(string) string
	Log    *slog.Logger // on Err, by --log-level and --log-format; set before a verb runs

	Output    string // -o as given: table, wide, json or yaml; empty when not given
	logLevel  string
	logFormat string
}

// System is the environment of the process.
func System() *Env {
	return &Env{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}
}

// Say writes a line for people on stderr.
func (e *Env) Say(format string, args ...any) {
	fmt.Fprintf(e.Err, format+"\n", args...)
}

// First returns the first of the variables that is set, and its name.
func (e *Env) First(names ...string) (value, name string) {
	for _, n := range names {
		if v := e.Getenv(n); v != "" {
			return v, n
		}
	}
	return "", ""
}

func (e *Env) flags(f *pflag.FlagSet) {
	f.StringVarP(&e.Output, "output", "o", "", "table, wide, json or yaml")
	f.StringVar(&e.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&e.logFormat, "log-format", "text", "text or json")
}

// prepare checks the shared flags and makes the logger.
func (e *Env) prepare() error {
	switch e.Output {
	case "", "table", "wide", "json", "yaml":
	default:
		return Usagef("-o %s: allowed are table, wide, json and yaml", e.Output)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(e.logLevel))); err != nil {
		return Usagef("--log-level %s: allowed are debug, info, warn and error", e.logLevel)
	}
	opts := &slog.HandlerOptions{Level: level}
	switch e.logFormat {
	case "text":
		e.Log = slog.New(slog.NewTextHandler(e.Err, opts))
	case "json":
		e.Log = slog.New(slog.NewJSONHandler(e.Err, opts))
	default:
		return Usagef("--log-format %s: allowed are text and json", e.logFormat)
	}
	return nil
}
