package commands_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/cli/commands"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// typed runs a command line in this process. It fails the test on a panic or
// where the command goes on for longer than any of these has reason to.
func typed(t *testing.T, vars map[string]string, stdin string, words ...string) (out, says string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var o, e bytes.Buffer
	env := &cli.Env{In: strings.NewReader(stdin), Out: &o, Err: &e, Getenv: func(name string) string { return vars[name] }}
	func() {
		defer func() {
			if p := recover(); p != nil {
				t.Fatalf("%.200q panics: %v", words, p)
			}
		}()
		code = cli.Execute(ctx, env, words, commands.All()...)
	}()
	if ctx.Err() != nil {
		t.Errorf("%.200q did not end", words)
	}
	return o.String(), e.String(), code
}

// leaves are the commands that do something, with their words.
func leaves(t *testing.T) map[string]*cobra.Command {
	t.Helper()
	root := cli.New(&cli.Env{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &bytes.Buffer{}, Getenv: func(string) string { return "" }}, commands.All()...)
	out := map[string]*cobra.Command{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Name() != "completion" && c.Name() != "help" {
			if path := strings.TrimPrefix(c.CommandPath(), "smartlb"); path != "" && c.RunE != nil {
				out[strings.TrimSpace(path)] = c
			}
			for _, sub := range c.Commands() {
				walk(sub)
			}
		}
	}
	walk(root)
	return out
}

// asksKafka reports whether a command does nothing but ask a cluster or a
// worker, so that it may be run with anything. The others start, stop or change
// things on this machine.
func asksKafka(path string, c *cobra.Command) bool {
	switch strings.Split(path+" ", " ")[1] {
	case "topics", "configs", "groups", "produce", "consume", "brokers", "cluster", "plan", "apply", "export", "prune", "bench", "connect":
		return strings.HasPrefix(path, "kafka ") && (c.Flags().Lookup("brokers") != nil || c.Flags().Lookup("connect") != nil)
	}
	return false
}

func TestEveryCommandRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for path, c := range leaves(t) {
		for _, words := range [][]string{
			{"--no-such-flag"},
			{"-o", "xml"},
			{"--log-level", "loud"},
			{"--no-such-flag=" + strings.Repeat("x", 1<<16)},
		} {
			if c.Flags().Lookup("output") == nil && c.InheritedFlags().Lookup("output") == nil {
				t.Errorf("%s has no -o", path)
			}
			_, says, code := typed(t, nil, "", append(strings.Fields(path), words...)...)
			if code != cli.ExitUsage || says == "" {
				t.Errorf("%s %.60q ended with %d: %.300s", path, words, code, says)
			}
			if !strings.Contains(says, "usage: smartlb "+path) {
				t.Errorf("%s %.60q does not show its usage: %.300s", path, words, says)
			}
		}
		out, says, code := typed(t, nil, "", append(strings.Fields(path), "--help")...)
		if code != 0 || !strings.Contains(out, "smartlb "+path) {
			t.Errorf("%s --help ended with %d: %s%s", path, code, out, says)
		}
	}
}

// hostile are words that nobody types with good intent, or by design.
func hostile() []string {
	return []string{
		"", " ", "-", "--", "-1", "0", "99999999999999999999", "1e309", "NaN", "true",
		"'; rm -rf / #", "$(reboot)", "../../etc/passwd", "/dev/zero/x", "%s%n%d", "\x1b[2J", "a\nb", "a\tb", "\xff\xfe", "日本語", "😀",
		"a b", "..", ".", "__consumer_offsets", "broker:-1", "broker:99999999999", "topic:", ":", "a:b:c", "=", "k=", "=v", "retention.ms=", "cleanup.policy=💥",
		"{{.Nope}}", "{{", "@", "@9999999999999999", "shift:1", strings.Repeat("a", 250), strings.Repeat("x", 1<<17),
	}
}

func TestEveryCommandEndsInOrderWithHostileWords(t *testing.T) {
	cluster := kafkatest.New(t, "orders:2")
	worker := porttest.Serve(t, func(net.Conn) {}) // no worker: each connection is closed at once
	vars := map[string]string{"KAFKA_BROKER": cluster.Addr(), "SMARTLB_CONNECT": worker}
	t.Run("commands", func(t *testing.T) {
		for path, c := range leaves(t) {
			if asksKafka(path, c) {
				t.Run(path, func(t *testing.T) {
					t.Parallel()
					abuse(t, vars, path, c)
				})
			}
		}
	})
	if left, _, _ := typed(t, vars, "", "kafka", "topics", "-o", "json"); !strings.Contains(left, `"orders"`) {
		t.Errorf("the topic is gone: %s", left)
	}
}

// abuse runs one command with hostile words in every place.
func abuse(t *testing.T, vars map[string]string, path string, c *cobra.Command) {
	run := func(stdin string, words ...string) {
		line := append(strings.Fields(path), words...)
		out, says, code := typed(t, vars, stdin, line...)
		switch code {
		case cli.ExitOK, cli.ExitFailed, cli.ExitUsage, cli.ExitDrift:
		default:
			t.Errorf("%.200q ended with %d", line, code)
		}
		if code != cli.ExitOK && code != cli.ExitDrift && says == "" {
			t.Errorf("%.200q ended with %d and without a word", line, code)
		}
		if code == cli.ExitUsage && !strings.Contains(says, "usage: smartlb "+path) {
			t.Errorf("%.200q does not show its usage: %.200s", line, says)
		}
		if strings.Contains(says+out, "goroutine ") || strings.Contains(says, "%!") {
			t.Errorf("%.200q says %.300s", line, says)
		}
	}
	short := []string{"--timeout", "2s"}
	if strings.Contains(path, "bench") {
		short = append(short, "-n", "10")
	} else {
		run("")
	}
	for _, word := range hostile() {
		run(word, append([]string{word}, short...)...)
		run(word, append([]string{"orders", word}, short...)...)
		run("", append(short, "--", word, word, word)...) // flags behind -- are words
	}
	run("", strings.Fields(strings.Repeat("x ", 500))...)
	c.Flags().VisitAll(func(f *pflag.Flag) {
		switch f.Name {
		case "help", "brokers", "connect": // addresses have a test of their own
			return
		case "for", "rate", "timeout": // rates and times may be long
			run("x", append([]string{"orders", "--" + f.Name + "=soon"}, short...)...)
			return
		case "execute", "follow":
			run("x", append([]string{"orders", "--" + f.Name + "=perhaps"}, short...)...)
			return
		}
		for _, word := range []string{"", "-1", "99999999999999999999", "NaN", "'; rm -rf / #", "\xff\x00", "a=b=c", "{{.Nope}}", "/dev/null/x", strings.Repeat("x", 1<<17)} {
			run("x", append([]string{"orders", "--" + f.Name + "=" + word}, short...)...)
		}
	})
}

func TestEveryCommandNamesABrokerThatCannotBeReached(t *testing.T) {
	hang, err := net.Listen("tcp", "127.0.0.1:0") // accepts by the kernel, and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hang.Close() })
	words := map[string][]string{
		"kafka topics describe": {"t"}, "kafka topics create": {"t"}, "kafka topics alter": {"t", "-c", "retention.ms=1d"}, "kafka topics delete": {"t"},
		"kafka topics add-partitions": {"t", "3"}, "kafka topics delete-records": {"t", "--before", "end"},
		"kafka configs show": {"t"}, "kafka configs set": {"t", "retention.ms=1d"}, "kafka configs unset": {"t", "retention.ms"},
		"kafka produce": {"t", "v"}, "kafka consume": {"t"}, "kafka groups describe": {"g"}, "kafka groups reset": {"g", "--to", "end"}, "kafka groups delete": {"g"},
		"kafka connect get": {"c"}, "kafka connect describe": {"c"}, "kafka connect pause": {"c"}, "kafka connect resume": {"c"}, "kafka connect stop": {"c"},
		"kafka connect restart": {"c"}, "kafka connect delete": {"c"}, "kafka connect offsets": {"c"},
		"kafka connect validate": {"-f", "-"}, "kafka connect apply": {"-f", "-"},
	}
	for path, c := range leaves(t) {
		if !asksKafka(path, c) {
			continue
		}
		for kind, address := range map[string]string{"nothing listens": "127.0.0.1:1", "a broker that hangs": hang.Addr().String()} {
			flag := "--brokers"
			if c.Flags().Lookup("connect") != nil {
				flag = "--connect"
			}
			t.Run(path+", "+kind, func(t *testing.T) {
				t.Parallel()
				line := append(strings.Fields(path), words[path]...)
				_, says, code := typed(t, nil, "name: c\nconnector.class: X\n", append(line, flag, address, "--timeout", "300ms")...)
				if code != cli.ExitFailed || !strings.Contains(says, address) {
					t.Errorf("ended with %d: %s", code, says)
				}
			})
		}
	}
}

func TestAddressesThatAreNoneAreRefused(t *testing.T) {
	for _, address := range []string{"", "nowhere", ":", "host:", ":9092", "http://x:1", "a:b:c", strings.Repeat("x", 1<<16)} {
		_, says, code := typed(t, map[string]string{"KAFKA_BROKER": "127.0.0.1:1"}, "", "kafka", "topics", "--timeout", "300ms", "-b", address)
		if code != cli.ExitUsage && code != cli.ExitFailed || says == "" {
			t.Errorf("-b %.40q ended with %d: %.200s", address, code, says)
		}
	}
}

func TestWhatIsCompletedComesFromTheCluster(t *testing.T) {
	cluster := kafkatest.New(t, "orders:2", "orders-copy:1")
	vars := map[string]string{"KAFKA_BROKER": cluster.Addr()}
	for _, row := range []struct {
		words string
		want  []string
	}{
		{"kafka consume ", []string{"orders", "orders-copy"}},
		{"kafka topics describe orders ", []string{"orders-copy"}},
		{"kafka topics delete ", []string{"orders", "orders-copy"}},
		{"kafka configs show ", []string{"orders", "broker:"}},
		{"kafka configs unset orders ", []string{"max.message.bytes", "retention.ms"}},
		{"kafka plan ", []string{"service-metrics", "alerts"}},
		{"kafka groups reset g -t ", []string{"orders"}},
		{"kafka topics create t --config ", []string{"retention.ms="}},
		{"kafka topics create t --like ", []string{"orders-copy"}},
		{"kafka consume orders -o ", []string{"template=", "json"}},
		{"kafka topics -o ", []string{"wide"}},
	} {
		words := append([]string{"__complete"}, strings.Split(row.words, " ")...)
		out, _, _ := typed(t, vars, "", words...)
		for _, want := range row.want {
			if !strings.Contains("\n"+out, "\n"+want+"\n") {
				t.Errorf("%q offers %q, and not %s", row.words, out, want)
			}
		}
	}
	if out, _, _ := typed(t, map[string]string{"KAFKA_BROKER": "127.0.0.1:1"}, "", "__complete", "kafka", "consume", ""); !strings.HasPrefix(out, ":") {
		t.Errorf("without a broker it offers %q", out)
	}
}
