package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
)

type greetArgs struct {
	name string
	loud bool
}

type greeting struct {
	Text  string   `json:"text"`
	Parts []string `json:"parts"`
}

// group is a verb that does what its argument says.
func group(env *cli.Env) []*cobra.Command {
	return []*cobra.Command{cli.Noun("say", "Say things", "", cli.Verb[greetArgs, greeting]{
		Use: "hello NAME", Short: "Say hello", Example: "  smartlb say hello you",
		Flags: func(f *pflag.FlagSet, a *greetArgs) { f.BoolVar(&a.loud, "loud", false, "shout") },
		Args:  cli.Words(func(a *greetArgs) []*string { return []*string{&a.name} }, "NAME"),
		Run: func(ctx context.Context, env *cli.Env, a greetArgs) (greeting, error) {
			env.Log.Info("greeting")
			g := greeting{Text: "hello " + a.name, Parts: []string{}}
			switch a.name {
			case "nobody":
				return g, errors.New("nobody is here")
			case "sick":
				return g, cli.ErrUnhealthy
			case "drifted":
				return g, cli.ErrDrift
			case "stopped":
				return g, ctx.Err()
			case "wrong":
				return g, cli.Usagef("that is wrong")
			}
			return g, nil
		},
		Table: func(g greeting) cli.Table {
			return cli.Table{Head: []string{"TEXT", "LENGTH"}, Rows: [][]string{{g.Text, "5"}}, Wide: 1}
		},
	}.Command(env))}
}

func run(t *testing.T, line string) (out, words string, code int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	if strings.Contains(line, "stopped") {
		cancel()
	}
	defer cancel()
	var o, w bytes.Buffer
	env := &cli.Env{In: strings.NewReader(""), Out: &o, Err: &w, Getenv: func(string) string { return "" }}
	code = cli.Execute(ctx, env, strings.Fields(line), group)
	return o.String(), w.String(), code
}

func TestEveryOutcomeHasItsExitCodeAndItsStream(t *testing.T) {
	for _, row := range []struct {
		line  string
		code  int
		out   string // in stdout; empty: stdout is empty
		words string // in stderr
	}{
		{"say hello you", 0, "TEXT\nhello you\n", "level=INFO"},
		{"say hello you -o wide", 0, "TEXT        LENGTH\nhello you   5\n", ""},
		{"say hello you -o json", 0, "{\n  \"text\": \"hello you\",\n  \"parts\": []\n}\n", ""},
		{"say hello you -o yaml", 0, "text: hello you\nparts: []\n", ""},
		{"say hello you --log-format json", 0, "hello you", `"level":"INFO"`},
		{"say hello you --log-level error", 0, "hello you", ""},
		{"say hello nobody", 1, "", "smartlb: nobody is here\n"},
		{"say hello sick", 10, "hello sick", ""},
		{"say hello drifted", 3, "hello drifted", ""},
		{"say hello stopped", 130, "", ""},
		{"say hello wrong", 2, "", "smartlb: that is wrong\n"},
		{"say hello", 2, "", "NAME is missing"},
		{"say hello you me", 2, "", `unexpected argument "me"`},
		{"say hello you --soft", 2, "", "--soft"},
		{"say hello you -o xml", 2, "", "table, wide, json and yaml"},
		{"say hello you --log-level all", 2, "", "debug, info, warn and error"},
		{"say nothing", 2, "", `say has no command "nothing"`},
		{"sing", 2, "", `there is no command "sing"`},
		{"say hello --help", 0, "smartlb say hello you", ""},
		{"say", 0, "hello", ""},
		{"", 0, "say", ""},
		{"version", 0, "smartlb", ""},
		{"completion bash", 0, "bash completion", ""},
	} {
		out, words, code := run(t, row.line)
		if code != row.code || !strings.Contains(out, row.out) || (row.out == "" && out != "") || !strings.Contains(words, row.words) {
			t.Errorf("%q ended with %d\nstdout: %q\nstderr: %q\nwant %d, %q and %q", row.line, code, out, words, row.code, row.out, row.words)
		}
	}
}

func TestCellsCannotMoveTheCursor(t *testing.T) {
	out, _, _ := run(t, "say hello \x1b[2Jyou\u009b1m")
	if strings.ContainsAny(out, "\x1b\u009b") {
		t.Errorf("control characters reach the terminal: %q", out)
	}
}

// A client that gave up within a command looked like Ctrl-C: no word, code 130.
func TestOnlyTheUserInterrupts(t *testing.T) {
	verb := func(env *cli.Env) []*cobra.Command {
		return []*cobra.Command{cli.Verb[cli.None, cli.None]{
			Use: "ask", Short: "Ask",
			Run: func(context.Context, *cli.Env, cli.None) (cli.None, error) {
				return cli.None{}, fmt.Errorf("ask 127.0.0.1:1: %w", context.Canceled)
			},
		}.Command(env)}
	}
	run := func(ctx context.Context) (int, string) {
		var said bytes.Buffer
		code := cli.Execute(ctx, &cli.Env{In: strings.NewReader(""), Out: io.Discard, Err: &said, Getenv: func(string) string { return "" }}, []string{"ask"}, verb)
		return code, said.String()
	}
	if code, said := run(t.Context()); code != cli.ExitFailed || !strings.Contains(said, "127.0.0.1:1") {
		t.Errorf("%d %q", code, said)
	}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	if code, said := run(interrupted); code != cli.ExitInterrupted || said != "" {
		t.Errorf("interrupted: %d %q", code, said)
	}
}

func TestHelpSaysWhatACommandDoesThenTheDetails(t *testing.T) {
	for _, row := range []struct{ short, long, want string }{
		{"Do it", "", "Do it\n\n"},
		{"Do it", "It is done\nin one paragraph.", "Do it. It is done in one paragraph.\n\n"},
		{"Do it", "Do it once.\n\nA paragraph:\n  a line\n\ta line", "Do it once.\n\nA paragraph:\n  a line\n\ta line\n\n"},
	} {
		words := func(env *cli.Env) []*cobra.Command {
			return []*cobra.Command{cli.Verb[cli.None, cli.None]{
				Use: "do", Short: row.short, Long: row.long,
				Run: func(context.Context, *cli.Env, cli.None) (cli.None, error) { return cli.None{}, nil },
			}.Command(env)}
		}
		var out bytes.Buffer
		env := &cli.Env{In: strings.NewReader(""), Out: &out, Err: io.Discard, Getenv: func(string) string { return "" }}
		if code := cli.Execute(t.Context(), env, []string{"do", "--help"}, words); code != 0 || !strings.HasPrefix(out.String(), row.want+"Usage:") {
			t.Errorf("%q, %q: exit code %d and\n%s", row.short, row.long, code, out.String())
		}
	}
}
