package config

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
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
				return cli.Usagef("want one or two names")
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
		if e, ok := s.Find(name); ok {
			return e.Document, nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("%w; and %w", noRevision(s, name), err)
		}
		return string(b), nil
	}
	before, err := text(from)
	if err != nil {
		return difference{}, err
	}
	after, err := text(to)
	if err != nil {
		return difference{}, err
	}
	return difference{From: from, To: to, Lines: unified(lines(before), lines(after))}, nil
}

func lines(s string) []string { return strings.Split(strings.TrimRight(s, "\n"), "\n") }

// contextLines surround each change.
const contextLines = 2

// unified gives the changed lines with a little context, by the longest common
// subsequence; documents are small enough for its square.
func unified(a, b []string) []string {
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var all []string
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			all = append(all, " "+a[i])
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			all = append(all, "-"+a[i])
			i++
		default:
			all = append(all, "+"+b[j])
			j++
		}
	}
	return nearChanges(all)
}

func nearChanges(all []string) []string {
	var out []string
	last := -1
	for i := range all {
		near := false
		for k := max(0, i-contextLines); k <= min(len(all)-1, i+contextLines); k++ {
			near = near || all[k][0] != ' '
		}
		if !near {
			continue
		}
		if last >= 0 && i != last+1 {
			out = append(out, " ...")
		}
		out, last = append(out, all[i]), i
	}
	return out
}
