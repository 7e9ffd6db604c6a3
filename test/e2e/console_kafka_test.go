package e2e

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

func TestConsoleGroups(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	_, _, admin, broker := demo(t)
	makeShop(t, broker)
	inBrowser(t, "groups", consoleOf(t, admin))
}

// makeShop makes the topic carts with ten records in each of two partitions,
// and the group shop at its beginning.
func makeShop(t *testing.T, broker string) {
	t.Helper()
	run := func(args ...string) {
		t.Helper()
		if out, errs, code := smartlb(t, append([]string{"kafka"}, withLongTimeout(append(args, "-b", broker))...)...); code != 0 {
			t.Fatalf("%v: %d %s%s", args, code, out, errs)
		}
	}
	run("topics", "create", "carts", "-p", "2")
	for _, p := range []string{"0", "1"} {
		ctx, cancel := context.WithTimeout(t.Context(), maxWait)
		defer cancel()
		cmd := exec.CommandContext(ctx, binary, "kafka", "produce", "carts", "-p", p, "-b", broker, "--timeout", maxWait.String())
		cmd.Env, cmd.Stdin = cleanEnv(t), strings.NewReader(strings.Repeat("{\"n\":1}\n", 10))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	run("groups", "reset", "shop", "-t", "carts", "--to", "earliest", "--execute")
}

// The same pages on the real thing: ZooKeeper, Kafka 3.9 and Connect, with the
// console that the stack starts.
func TestConsoleOnRealKafka(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	s := newJVM(t, "zookeeper")
	s.start()
	demoIn(t, s.env) // finds the stack, whose console it uses
	makeStock(t, s.broker)
	makeShop(t, s.broker)
	makeHostile(t, s.broker)
	console := "http://" + s.service("kafka-ui").Address
	inBrowser(t, "stack", console)
	for _, area := range []string{"messages", "topics", "settings", "groups"} {
		inBrowser(t, area, console)
	}
}
