package cli_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/smartlb/smartlb/internal/base/screen"
	"github.com/smartlb/smartlb/internal/cli"
)

const hostile = "x\x1b]0;owned\x07\u009b2J\x9b\u202e\ry"

// hostileVerbs print what came from elsewhere, in every way that verbs do.
func hostileVerbs(env *cli.Env) []*cobra.Command {
	type result struct {
		Text string `json:"text"`
	}
	return []*cobra.Command{
		cli.Verb[cli.None, result]{
			Use: "show", Short: "Show",
			Run: func(context.Context, *cli.Env, cli.None) (result, error) { return result{hostile}, nil },
			Table: func(r result) cli.Table {
				return cli.Table{Above: []string{r.Text}, Head: []string{"TEXT"}, Rows: [][]string{{r.Text}}, Below: []string{r.Text}}
			},
		}.Command(env),
		cli.Verb[cli.None, cli.None]{
			Use: "write", Short: "Write",
			Run: func(_ context.Context, env *cli.Env, _ cli.None) (cli.None, error) {
				env.Say("%s", hostile)
				env.Log.Info(hostile, "text", hostile)
				_, err := fmt.Fprintln(env.Out, hostile)
				return cli.None{}, err
			},
		}.Command(env),
		cli.Verb[cli.None, cli.None]{
			Use: "fail", Short: "Fail",
			Run: func(context.Context, *cli.Env, cli.None) (cli.None, error) { return cli.None{}, errors.New(hostile) },
		}.Command(env),
	}
}

func TestNothingThatIsPrintedSteersTheTerminal(t *testing.T) {
	for _, line := range []string{"show", "show -o wide", "show -o json", "show -o yaml", "write", "write --log-format json", "fail", "fail " + hostile, hostile, "show -o " + hostile, "--" + hostile} {
		master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
		if err == nil {
			err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		tty := screen.New(slave)
		env := &cli.Env{In: strings.NewReader(""), Out: tty, Err: tty, Getenv: func(string) string { return "" }}
		cli.Execute(t.Context(), env, strings.Split(line, " "), hostileVerbs)
		fmt.Fprint(tty, "\nend\n")
		var got []byte
		for !strings.HasSuffix(string(got), "\nend\r\n") { // the terminal itself adds \r to line ends
			b := make([]byte, 4096)
			n, err := master.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b[:n]...)
		}
		slave.Close()
		master.Close()
		text := strings.ReplaceAll(string(got), "\r\n", "\n")
		if text != screen.Escape(text) {
			t.Errorf("%q prints %q", line, text)
		}
		if !strings.Contains(text, "owned") {
			t.Errorf("%q does not print it: %q", line, text)
		}
	}
}
