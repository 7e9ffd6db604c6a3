package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Verb is one command. A holds its arguments and flags, R is its result. -o json prints R; arrays in R must not be nil.
type Verb[A, R any] struct {
	Use     string // name and arguments, for help
	Short   string // one line
	Long    string // details, optional
	Example string // commands that work, one per line, each indented by two spaces
	Hidden  bool
	Forms   string // values of -o, separated by commas, if they differ from table, wide, json and yaml

	Defaults A                                                                     // initial values, before flags are parsed
	Flags    func(f *pflag.FlagSet, args *A)                                       // declares flags; may be nil
	Args     func(args *A, words []string) error                                   // reads the arguments that are not flags; nil: no arguments are allowed
	Complete func(ctx context.Context, env *Env, args *A, words []string) []string // completes the next argument; may be nil

	// CompleteFlags completes the values of flags, by long name; may be nil.
	CompleteFlags map[string]func(ctx context.Context, env *Env, args *A) []string

	Run   func(ctx context.Context, env *Env, args A) (R, error)
	Table func(R) Table // for -o table and wide
}

// Command converts the verb to a command of env.
func (v Verb[A, R]) Command(env *Env) *cobra.Command {
	args := v.Defaults
	c := &cobra.Command{
		Use: v.Use, Short: v.Short, Long: v.Long, Example: v.Example, Hidden: v.Hidden,
		Args: func(_ *cobra.Command, words []string) error {
			if v.Args == nil {
				if len(words) > 0 {
					return Usagef("unexpected argument %q", words[0])
				}
				return nil
			}
			err := v.Args(&args, words)
			var coded *codeError
			if err != nil && !errors.As(err, &coded) {
				err = Usagef("%w", err)
			}
			return err
		},
		RunE: func(c *cobra.Command, _ []string) error {
			result, err := v.Run(c.Context(), env, args)
			if err != nil && !verdict(err) {
				return err
			}
			return errors.Join(err, env.print(result, func() Table {
				if v.Table == nil {
					return Table{}
				}
				return v.Table(result)
			}))
		},
		ValidArgsFunction: func(c *cobra.Command, words []string, _ string) ([]string, cobra.ShellCompDirective) {
			if v.Complete == nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return v.Complete(c.Context(), env, &args, words), cobra.ShellCompDirectiveNoFileComp
		},
	}
	if v.Forms != "" {
		c.Annotations = map[string]string{formsKey: v.Forms}
	}
	if v.Flags != nil {
		v.Flags(c.Flags(), &args)
	}
	for name, offer := range v.CompleteFlags {
		_ = c.RegisterFlagCompletionFunc(name, func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return offer(c.Context(), env, &args), cobra.ShellCompDirectiveNoFileComp
		}) // fails only for an undeclared flag, which tests find
	}
	return c
}

// formsKey is the annotation of a command that holds Verb.Forms.
const formsKey = "forms"

// Words returns an Args function that requires exactly the named arguments and stores them.
func Words[A any](targets func(*A) []*string, names ...string) func(*A, []string) error {
	return func(args *A, words []string) error {
		if len(words) < len(names) {
			return Usagef("%s is missing", names[len(words)])
		}
		if len(words) > len(names) {
			return Usagef("unexpected argument %q", words[len(names)])
		}
		for i, w := range words {
			if w == "" { // usually from a variable that is not set
				return Usagef("%s is empty", names[i])
			}
		}
		for i, t := range targets(args) {
			*t = words[i]
		}
		return nil
	}
}

// HideDefault keeps the default of a flag out of the help text, for a default that is not what a user would type.
func HideDefault(f *pflag.FlagSet, name string) {
	f.Lookup(name).DefValue = "0" // what the flag library does not show
}

// Noun returns a command that only holds verbs.
func Noun(name, short, long string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: name + " COMMAND", Short: short, Long: long,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(verbs...)
	return c
}

// Listed returns a noun whose default verb is list: the noun alone lists, and so does its verb list. short describes
// the noun.
func Listed(name, short string, list func() *cobra.Command, verbs ...*cobra.Command) *cobra.Command {
	c, alone := list(), list()
	c.Use, c.Short, c.Args, c.SuggestionsMinimumDistance = name+" [COMMAND]", short, noWords, 2
	alone.Use = "list"
	c.AddCommand(alone)
	c.AddCommand(verbs...)
	return c
}

// noWords refuses arguments that are not a verb of the noun.
func noWords(c *cobra.Command, words []string) error {
	if len(words) > 0 {
		return Usagef("%s has no command %q%s", c.Name(), words[0], alike(c, words[0]))
	}
	return nil
}
