package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Group makes the commands of one noun.
type Group func(env *Env) []*cobra.Command

// New makes the root command with the given groups.
func New(env *Env, groups ...Group) *cobra.Command {
	root := &cobra.Command{
		Use:   "smartlb COMMAND",
		Short: "HTTP load balancer that routes by live telemetry, with Kafka as its memory",
		Args: func(c *cobra.Command, words []string) error {
			if len(words) > 0 {
				return Usagef("there is no command %q%s; see smartlb --help", words[0], alike(c, words[0]))
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			return env.prepare(cmp.Or(c.Annotations[formsKey], forms))
		},
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return Usagef("%w", err) })
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	env.flags(root.PersistentFlags())
	_ = root.RegisterFlagCompletionFunc("output", func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return strings.Split(cmp.Or(c.Annotations[formsKey], forms), ","), cobra.ShellCompDirectiveNoFileComp
	}) // the flag was declared above
	root.AddCommand(versionCommand(env))
	for _, g := range groups {
		root.AddCommand(g(env)...)
	}
	return root
}

// Execute runs a command line and returns its exit code; errors are said on
// env.Err.
func Execute(ctx context.Context, env *Env, args []string, groups ...Group) int {
	root := New(env, groups...)
	root.SetArgs(args)
	c, err := root.ExecuteContextC(ctx)
	if Code(err) == ExitInterrupted && ctx.Err() == nil {
		err = &codeError{ExitFailed, err} // something within gave up: nobody pressed Ctrl-C, and silence would be no answer
	}
	if speaks(err) {
		env.Say("smartlb: %v", err)
	}
	if Code(err) == ExitUsage && c != root {
		env.Say("usage: %s; see %s --help", usageLine(c), c.CommandPath())
	}
	return Code(err)
}

// usageLine is how a command is to be typed.
func usageLine(c *cobra.Command) string {
	return strings.TrimSuffix(c.CommandPath()+strings.TrimPrefix(c.Use, c.Name()), " COMMAND")
}

// alike offers the commands whose names are near to what was typed.
func alike(c *cobra.Command, word string) string {
	near := c.SuggestionsFor(word)
	if len(near) == 0 {
		return ""
	}
	return " (did you mean " + strings.Join(near, " or ") + "?)"
}

// Main runs the command line of this process. The first SIGINT or SIGTERM
// ends the context of the verb, the second one the process.
func Main(groups ...Group) int {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	first := make(chan os.Signal, 1)
	signal.Notify(first, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-first
		signal.Stop(first) // before anybody hears of the first: who sees the stop can end it
		stop()
	}()
	return Execute(ctx, System(), os.Args[1:], groups...)
}

// version is set by the linker where the Go tool cannot know it (make build).
var version string

// Version is what this binary was built from.
type Version struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Dirty   bool   `json:"dirty"`
	Go      string `json:"go"`
}

// ReadVersion reads what the Go tool recorded in the binary.
func ReadVersion() Version {
	v := Version{Version: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version, v.Go = info.Main.Version, info.GoVersion
	if version != "" {
		v.Version = version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			v.Dirty = s.Value == "true"
		}
	}
	return v
}

func versionCommand(env *Env) *cobra.Command {
	return Verb[None, Version]{
		Use: "version", Short: "Print the version, commit and Go version of this binary",
		Run: func(context.Context, *Env, None) (Version, error) { return ReadVersion(), nil },
		Table: func(v Version) Table {
			line := "smartlb " + v.Version
			if v.Commit != "" {
				line += fmt.Sprintf(" (%.12s%s)", v.Commit, map[bool]string{true: ", with changes"}[v.Dirty])
			}
			return Table{Above: []string{strings.TrimSpace(line + " " + v.Go)}}
		},
	}.Command(env)
}
