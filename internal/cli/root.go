package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/base/nearest"
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
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(help)
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	env.flags(root.PersistentFlags())
	_ = root.RegisterFlagCompletionFunc("output", func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return strings.Split(cmp.Or(c.Annotations[formsKey], forms), ","), cobra.ShellCompDirectiveNoFileComp
	}) // cannot fail: the flag was declared above
	root.SetUsageTemplate(usageTemplate)
	root.AddCommand(versionCommand(env))
	for _, g := range groups {
		for _, c := range g(env) {
			if c.GroupID != "" && !root.ContainsGroup(c.GroupID) {
				root.AddGroup(&cobra.Group{ID: c.GroupID, Title: c.GroupID + ":"})
			}
			root.AddCommand(c)
		}
	}
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Args, c.RunE = noWords, func(c *cobra.Command, _ []string) error { return c.Help() } // cobra's own accepts any word
		}
	}
	return root
}

// usageTemplate is the part of the help text after the description. It differs from cobra's template in two ways: the
// usage is one line, and long lines of flags are wrapped.
const usageTemplate = `Usage:
  {{.UseLine}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}{{$all := .Commands}}{{range $group := .Groups}}

{{.Title}}{{range $all}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}

{{if .Groups}}Other commands:{{else}}Commands:{{end}}{{range $all}}{{if and (eq .GroupID "") .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsagesWrapped 100 | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Flags of all commands:
{{.InheritedFlags.FlagUsagesWrapped 100 | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableSubCommands}}

See {{.CommandPath}} COMMAND --help for flags and examples of a command.{{end}}
`

// inParagraph is a line break between two lines of a paragraph.
var inParagraph = regexp.MustCompile(`([^\n])\n([^\s])`)

// help prints the description of a command, wrapped, and its usage.
func help(c *cobra.Command, _ []string) {
	if text := description(c.Short, strings.TrimSpace(c.Long)); text != "" {
		fmt.Fprintf(c.OutOrStdout(), "%s\n\n", wrapped(text, 100))
	}
	fmt.Fprint(c.OutOrStdout(), c.UsageString())
}

// description is what a command does, then its details. Details that begin with the same verb include what it does.
func description(short, details string) string {
	verb, _, _ := strings.Cut(short, " ")
	if details == "" || strings.HasPrefix(details, verb+" ") {
		return cmp.Or(details, short)
	}
	return short + ". " + details
}

// wrapped breaks lines at blanks so that none has more than width characters, unless a word is longer. Line breaks of text
// stay only before an empty line and before a line that begins with a blank or a tab.
func wrapped(text string, width int) string {
	var b strings.Builder
	text = inParagraph.ReplaceAllString(text, "$1 $2")
	for line := range strings.SplitSeq(text, "\n") {
		at := 0
		for i, word := range strings.Split(line, " ") {
			n := utf8.RuneCountInString(word)
			switch {
			case i == 0:
			case at+1+n > width:
				b.WriteByte('\n')
				at = 0
			default:
				b.WriteByte(' ')
				at++
			}
			b.WriteString(word)
			at += n
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// flagError words an error of the flag library for the person who typed the flag.
func flagError(c *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &value):
		f := value.GetFlag()
		want, known := wants[f.Value.Type()]
		if !known {
			break
		}
		return Usagef("--%s %s: want %s", f.Name, value.GetValue(), want)
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := nearest.Name(unknown.GetSpecifiedName(), names); near != "" {
			return Usagef("unknown flag: --%s (did you mean --%s?)", unknown.GetSpecifiedName(), near)
		}
	}
	return Usagef("%w", err)
}

// wants says what a flag of a type takes.
var wants = map[string]string{
	"duration": "a duration such as 500ms, 30s or 5m",
	"int":      "a whole number", "int16": "a whole number", "int32": "a whole number", "int64": "a whole number",
	"uint64": "a whole number of at least 0", "float64": "a number", "bool": "true or false",
	"int32Slice": "whole numbers separated by commas",
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
