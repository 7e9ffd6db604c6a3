package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What operators do daily, on Apache's own brokers and Connect.
func TestOperatorsVerbsOnRealKafka(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *jvm) {
		s.start()
		catalogIsApplied(t, s)
		topicsAreChanged(t, s)
		messagesTravel(t, s)
		groupsAreMoved(t, s)
		aConnectorFailsAndIsRestarted(t, s)
		apachesOwnToolsRun(t, s)
	})
}

// apachesOwnToolsRun runs classes of the installed jars: what is installed has
// no bin folder.
func apachesOwnToolsRun(_ *testing.T, s *jvm) {
	s.says("service-metrics", "tool", "kafka-topics", "--list")
	s.says("ApiVersion", "tool", "kafka-broker-api-versions")
	s.refuses(1, "kafka-acls ended with 1", "tool", "kafka-acls", "--list") // no authorizer
	s.refuses(2, "did you mean kafka-topics?", "tool", "kafka-topic")
}

// says runs a verb and wants a text in what it prints.
func (s *jvm) says(want string, args ...string) string {
	s.t.Helper()
	out := s.must(args...)
	if !strings.Contains(out, want) {
		s.t.Errorf("kafka %v prints %s\nwithout %q", args, out, want)
	}
	return out
}

// refuses runs a verb that has to end with a code and say why.
func (s *jvm) refuses(code int, want string, args ...string) {
	s.t.Helper()
	out, words, got := s.run(args...)
	if got != code || !strings.Contains(words+out, want) {
		s.t.Errorf("kafka %v ended with %d, want %d and %q\n%s%s", args, got, code, want, out, words)
	}
}

// pipe runs a verb with something on stdin.
func (s *jvm) pipe(stdin string, args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	cmd := s.command(ctx, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, words, code := output(s.t, cmd)
	if code != 0 {
		s.t.Errorf("kafka %v ended with %d: %s%s", args, code, out, words)
	}
	return out
}

func catalogIsApplied(t *testing.T, s *jvm) {
	s.says("No changes", "plan", "--exit-code")
	s.says("No changes", "apply")
	s.must("configs", "set", "alerts", "segment.ms=1h", "retention.ms=31d")
	s.refuses(3, "? alerts segment.ms=1 h is not in the catalog", "plan", "--exit-code")
	s.pipe("x\n", "produce", "alerts")
	s.refuses(3, "records older than 30 d are deleted", "apply", "--reset-unmanaged") // blocked, and the rest is done
	s.says("done", "apply", "--allow-loss")
	s.says("No changes", "plan", "--exit-code")
	file := filepath.Join(t.TempDir(), "export.yaml")
	if err := os.WriteFile(file, []byte(s.must("export")), 0o644); err != nil {
		t.Fatal(err)
	}
	s.says("No changes", "plan", "-f", file, "--exit-code")
}

func topicsAreChanged(t *testing.T, s *jvm) {
	s.says("partitions: 2", "topics", "create", "orders", "-p", "2", "-c", "retention.ms=7d")
	s.says("partitions: 2", "topics", "create", "orders-copy", "--like", "orders")
	s.refuses(1, "did you mean orders?", "topics", "describe", "order")
	s.refuses(1, "already exists", "topics", "create", "orders")
	s.says("604800000", "configs", "show", "orders-copy")
	s.says("done", "topics", "alter", "orders", "-c", "segment.ms=2h")
	s.says("done", "configs", "unset", "orders", "segment.ms")
	s.says("done", "configs", "set", "broker:"+s.brokerID(), "log.cleaner.backoff.ms=20s")
	s.says("done", "configs", "unset", "broker:"+s.brokerID(), "log.cleaner.backoff.ms")
	s.says("partitions 2 -> 3", "topics", "add-partitions", "orders", "+1")
	s.says("would be deleted", "topics", "delete", "orders-copy")
	s.says("deleted", "topics", "delete", "orders-copy", "--execute")
	eventually(t, "orders-copy is gone", func() bool { _, _, code := s.run("topics", "describe", "orders-copy"); return code == 1 })
	s.says("without a leader: 0", "cluster")
}

func (s *jvm) brokerID() string {
	s.t.Helper()
	id, _, _ := strings.Cut(strings.SplitN(s.must("brokers"), "\n", 3)[1], " ")
	return id
}

func messagesTravel(t *testing.T, s *jvm) {
	s.must("produce", "orders", "-p", "1", "-k", "gone", "--tombstone")
	s.must("produce", "orders", "", "-p", "1")
	s.must("produce", "orders", "null", "-p", "1", "-H", "a=1")
	binary := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(binary, []byte{0xff, 0x00, '\n', 0xfe}, 0o644); err != nil {
		t.Fatal(err)
	}
	s.must("produce", "orders", "--file", binary, "-p", "1")
	printed := s.must("consume", "orders", "-o", "json")
	s.must("topics", "create", "again", "-p", "1")
	s.pipe(printed, "produce", "again", "--json")
	form := `template={{.Tombstone}} {{printf "%q %q" .Key .Value}} {{.Headers}} {{.Timestamp}}`
	if a, b := s.must("consume", "orders", "-o", form), s.must("consume", "again", "-o", form); a != b || strings.Count(a, "\n") != 4 {
		t.Errorf("sent:\n%sread:\n%s", a, b)
	}
	s.must("topics", "create", "numbers", "-p", "1")
	s.pipe("{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n", "produce", "numbers")
	s.says(`{"n":3}`, "consume", "numbers", "--where", "value.n > 2")
	if out := s.must("consume", "numbers", "--offset", "1", "--until", "2"); out != "{\"n\":2}\n" {
		t.Errorf("the second is %q", out)
	}

	large := bytes.Repeat([]byte{0xfb}, 10_485_760)
	for i := range large {
		large[i] = byte(i * i >> 5)
	}
	if err := os.WriteFile(binary, large, 0o644); err != nil {
		t.Fatal(err)
	}
	s.must("produce", "service-metrics", "-z", "none", "--file", binary)
	if out := s.must("consume", "service-metrics", "1"); out != string(large)+"\n" {
		t.Errorf("%d bytes come back", len(out))
	}
	if err := os.WriteFile(binary, append(large, 'x'), 0o644); err != nil {
		t.Fatal(err)
	}
	s.refuses(1, "more than 10485760 bytes", "produce", "service-metrics", "--file", binary)
	if err := os.WriteFile(binary, large[:1_048_588], 0o644); err != nil {
		t.Fatal(err)
	}
	s.refuses(1, "batches of 1048588 (max.message.bytes)", "produce", "alerts", "--file", binary)
}

func groupsAreMoved(t *testing.T, s *jvm) {
	s.says("Nothing was moved", "groups", "reset", "readers", "--to", "start", "-t", "numbers")
	s.must("groups", "reset", "readers", "--to", "start", "-t", "numbers", "--execute")
	s.says("Lag: 3", "groups", "describe", "readers")
	s.must("groups", "reset", "readers", "--to", "shift:+2", "--execute")
	s.says("Lag: 1", "groups", "describe", "readers")
	s.must("groups", "reset", "readers", "--to", "@-1h", "--execute")
	s.says("lag 3 in all", "groups", "describe", "--all")
	s.says("deleted", "groups", "delete", "readers", "--execute")
	s.refuses(1, "does not exist", "groups", "describe", "readers")
	s.says("Deleted 2 records", "topics", "delete-records", "numbers", "--before", "2", "--execute")
	if out := s.must("consume", "numbers"); out != "{\"n\":3}\n" {
		t.Errorf("what is left is %q", out)
	}
}

func aConnectorFailsAndIsRestarted(t *testing.T, s *jvm) {
	worker := s.service("connect").Address
	kc := func(args ...string) []string {
		return append([]string{"connect"}, append(args, "--connect", worker)...)
	}
	dir := t.TempDir()
	source, spec := filepath.Join(dir, "lines.txt"), filepath.Join(dir, "source.yaml")
	if err := os.Symlink(source, source); err != nil { // a loop: it cannot be opened
		t.Fatal(err)
	}
	doc := fmt.Sprintf("name: lines\nconfig: {connector.class: FileStreamSource, file: %s, topic: lines, tasks.max: 1}\n", source)
	if err := os.WriteFile(spec, []byte(doc), 0o644); err != nil {
		t.Fatal(err)
	}
	s.must("topics", "create", "lines", "-p", "1", "-c", "max.message.bytes=11MiB")
	s.says("FileStreamSourceConnector", "connect", "plugins") // of the stack that runs here
	s.says("valid", kc("validate", "-f", spec)...)
	s.says("created", kc("apply", "-f", spec)...)
	s.says("unchanged", kc("apply", "-f", spec)...)
	eventually(t, "its task fails", func() bool { return strings.Contains(s.must(kc("describe", "lines")...), "FAILED") })
	s.says("symbolic links", kc("describe", "lines")...)

	if err := os.Remove(source); err != nil {
		t.Fatal(err)
	}
	// As JSON in quotes, the second line is a value of just 10 MB.
	if err := os.WriteFile(source, []byte("first\n"+strings.Repeat("x", 10_485_758)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.says("restart-failed", kc("restart", "--failed", "lines")...)
	eventually(t, "both lines are in the topic", func() bool {
		out, _, code := s.run("consume", "lines", "--from-beginning")
		return code == 0 && strings.HasPrefix(out, "\"first\"\n\"x") && len(out) == len("\"first\"\n")+10_485_760+1
	})
	s.says("PAUSED", kc("pause", "lines")...)
	s.says("RUNNING", kc("resume", "lines")...)
	s.says("STOPPED", kc("stop", "lines")...)
	s.says("not done", kc("delete", "lines")...)
	s.says("done", kc("delete", "lines", "--execute")...)
	s.refuses(1, "does not exist", kc("describe", "lines")...)
}
