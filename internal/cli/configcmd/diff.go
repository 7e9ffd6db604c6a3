package configcmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/base/linediff"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/control/configlog"
)

type diffArgs struct {
	cli.Brokers
	words []string
}

type difference struct {
	From  string   `json:"from"`
	To    string   `json:"to"`
	Lines []string `json:"lines"` // each begins with "+", "-" or a blank
}

func diff(env *cli.Env) *cobra.Command {
	return cli.Verb[diffArgs, difference]{
		Use: "diff [REVISION] FILE|REVISION", Short: "Compare the current configuration, or a revision, with a file or another revision",
		Example: "  smartlb config diff smartlb.yaml\n  smartlb config diff 3-aa01f2 4-1f09ab",
		Flags:   func(f *pflag.FlagSet, a *diffArgs) { a.Declare(f) },
		Args: func(a *diffArgs, words []string) error {
			if len(words) < 1 || len(words) > 2 {
				return cli.Usagef("want one or two arguments: [REVISION] FILE|REVISION")
			}
			a.words = words
			return nil
		},
		Run: runDiff,
		Table: func(d difference) cli.Table {
			if len(d.Lines) == 0 {
				return cli.Table{Above: []string{d.From + " and " + d.To + " are equal"}}
			}
			return cli.Table{Above: append([]string{"--- " + d.From, "+++ " + d.To}, d.Lines...)}
		},
	}.Command(env)
}

func runDiff(ctx context.Context, env *cli.Env, a diffArgs) (difference, error) {
	s, err := state(ctx, env, a.Brokers)
	if err != nil {
		return difference{}, err
	}
	from, to := s.Revision, a.words[len(a.words)-1]
	if len(a.words) == 2 {
		from = a.words[0]
	}
	text := func(name string) (string, error) {
		document, unknown := s.DocumentOf(name)
		var none *configlog.NoRevision
		if !errors.As(unknown, &none) {
			return document, unknown
		}
		b, err := readFile(env, name)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%w; and %w", unknown, err)
		}
		return string(b), err
	}
	before, err := text(from)
	if err != nil {
		return difference{}, err
	}
	after, err := text(to)
	if err != nil {
		return difference{}, err
	}
	return difference{From: from, To: to, Lines: append([]string{}, linediff.Unified(linediff.Compare(before, after), contextLines)...)}, nil
}

// contextLines is the number of unchanged lines before and after each change.
const contextLines = 2
