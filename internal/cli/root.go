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

// Group returns the commands of one noun.
type Group func(env *Env) []*cobra.Command

// New returns the root command with the given groups.
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
	}) // cannot fail: the flag was declared above
	root.AddCommand(versionCommand(env))
	for _, g := range groups {
		root.AddCommand(g(env)...)
	}
	return root
}

// Execute runs a command line and returns its exit code. It writes errors to env.Err.
func Execute(ctx context.Context, env *Env, args []string, groups ...Group) int {
	root := New(env, groups...)
	root.SetArgs(args)
	c, err := root.ExecuteContextC(ctx)
	if Code(err) == ExitInterrupted && ctx.Err() == nil {
		err = &codeError{ExitFailed, err} // a context inside the command was cancelled, not by Ctrl-C: report the error
	}
	if speaks(err) {
		env.Say("smartlb: %v", err)
	}
	if Code(err) == ExitUsage && c != root {
		env.Say("usage: %s; see %s --help", usageLine(c), c.CommandPath())
	}
	return Code(err)
}

// usageLine returns the usage of a command.
func usageLine(c *cobra.Command) string {
	return strings.TrimSuffix(c.CommandPath()+strings.TrimPrefix(c.Use, c.Name()), " COMMAND")
}

// alike suggests commands with names similar to word.
func alike(c *cobra.Command, word string) string {
	near := c.SuggestionsFor(word)
	if len(near) == 0 {
		return ""
	}
	return " (did you mean " + strings.Join(near, " or ") + "?)"
}

// Main runs the command line of this process. The first SIGINT or SIGTERM cancels the context of the verb. The second
// signal ends the process.
func Main(groups ...Group) int {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	first := make(chan os.Signal, 1)
	signal.Notify(first, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-first
		signal.Stop(first) // before the context is cancelled: from then on, a signal ends the process
		stop()
	}()
	return Execute(ctx, System(), os.Args[1:], groups...)
}

// version is set by the linker if the Go tool cannot know it (make build).
var version string

// Version describes the source of this binary.
type Version struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Dirty   bool   `json:"dirty"`
	Go      string `json:"go"`
}

// ReadVersion reads the version that the Go tool stored in the binary.
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
