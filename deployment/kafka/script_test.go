package kafka_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/stack"

	"github.com/smartlb/smartlb/internal/test/leftout"
)

// script runs kafka-management.sh from a folder that has nothing to do with
// it.
type script struct {
	t    *testing.T
	path string
	dir  string
	env  []string
}

// run returns what a command printed on stdout and on stderr, and its exit
// code.
func (s *script) run(args ...string) (string, string, int) {
	s.t.Helper()
	cmd := exec.Command(s.path, args...) // also from Cleanup, when the context of the test is over
	cmd.Dir, cmd.Env = s.dir, s.env
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return out.String(), words.String(), cmd.ProcessState.ExitCode()
}

// want runs a command that must succeed and print something.
func (s *script) want(printed string, args ...string) {
	s.t.Helper()
	out, words, code := s.run(args...)
	if code != 0 || !strings.Contains(out, printed) {
		s.t.Errorf("%v ended with %d, want 0 and %q\nstdout: %s\nstderr: %s", args, code, printed, out, words)
	}
}

func TestEveryVerbOfTheScriptWorksAsDocumented(t *testing.T) {
	work := t.TempDir()
	path, err := filepath.Abs("kafka-management.sh")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(work, "smartlb")
	build := exec.Command("go", "build", "-o", binary, "../../cmd/smartlb")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	state := filepath.Join(work, "state")
	s := &script{t: t, path: path, dir: work, env: append(os.Environ(),
		"SMARTLB_BIN="+binary, "SMARTLB_STATE_DIR="+state, "SMARTLB_KAFKA_RUNTIME=embedded",
		// The three exports of the manual. Nothing of ours may be started,
		// or refuse to start, because of them.
		"KAFKA_BROKER=localhost:9092", "KAFKA_INTERNAL_BROKER=kafka:29092", "ZOOKEEPER_HOST=localhost:2181",
	)}
	t.Cleanup(func() { s.run("stop") })

	if _, _, code := s.run("status"); code != 10 {
		t.Errorf("status of nothing ends with %d, want 10", code)
	}
	// Ports of the machine may be taken; that the defaults are 9092 and 29092
	// is said by --help.
	s.want("127.0.0.1:9092", "start", "--help")
	s.want("running", "start", "--broker-listen", "127.0.0.1:0", "--broker-internal", "127.0.0.1:0", "--console", "127.0.0.1:0")
	found, ok := stack.Find(state)
	if !ok {
		t.Fatal("the stack does not run")
	}
	s.env = append(s.env, "KAFKA_BROKER="+found.Address)

	s.want("exists", "init-topics")
	s.want("running", "status")
	s.want("service-metrics", "topics")
	s.want("Created topic my-topic", "create-topic", "my-topic", "3", "1")
	s.want("PartitionCount: 3", "describe-topic", "service-metrics")
	s.want("Sent to service-metrics", "produce", "service-metrics", `{"test": "message"}`)
	s.want(`{"test": "message"}`, "consume", "service-metrics", "5")
	s.want("GROUP", "groups")
	s.want("kafka broker is ready", "logs", "kafka")
	s.want("name=console", "logs", "kafka-ui")
	if resp, err := http.Get("http://" + found.UI + "/"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the web UI at %s gives %v, %v", found.UI, resp, err)
	} else {
		resp.Body.Close()
	}
	if _, words, code := s.run("describe-group", "my-consumer-group"); code != 1 || !strings.Contains(words, "my-consumer-group") {
		t.Errorf("describe-group of nothing ends with %d: %s", code, words)
	}
	if kcat, err := exec.LookPath("kcat"); err == nil {
		join := exec.CommandContext(t.Context(), kcat, "-b", found.Address, "-G", "my-consumer-group", "-e", "-q", "-c", "1", "-X", "auto.offset.reset=earliest", "service-metrics")
		if out, err := join.CombinedOutput(); err != nil {
			t.Fatalf("kcat: %v\n%s", err, out)
		}
		s.want("LOG-END-OFFSET", "describe-group", "my-consumer-group")
	}
	s.want("running", "restart", "--broker-listen", found.Address)
	s.want(`{"test": "message"}`, "consume", "service-metrics", "5")
	s.want("stopped", "stop")
	s.want("stopped", "stop")
	if _, words, code := s.run("nonsense"); code != 2 || !strings.Contains(words, "Usage") {
		t.Errorf("nonsense ends with %d: %s", code, words)
	}
}

func TestTheScriptSaysWhenThereIsNoBinaryAndNoGo(t *testing.T) {
	// A copy of a checkout without bin/, and a PATH with what bash scripts need.
	work := t.TempDir()
	text, err := os.ReadFile("kafka-management.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(work, "deployment", "kafka")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "kafka-management.sh")
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(work, "go.mod"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tools := filepath.Join(work, "tools")
	if err := os.Mkdir(tools, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"bash", "dirname", "cat", "readlink"} {
		program, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(program, filepath.Join(tools, tool)); err != nil {
			t.Fatal(err)
		}
	}
	s := &script{t: t, path: path, dir: work, env: []string{"PATH=" + tools}}
	if _, words, code := s.run("topics"); code == 0 || !strings.Contains(words, "Go is not installed to build it") {
		t.Errorf("without a binary it ends with %d: %s", code, words)
	}
	s.want("Usage", "help")
	if err := os.Remove(filepath.Join(work, "go.mod")); err != nil {
		t.Fatal(err)
	}
	if _, words, code := s.run("topics"); code == 0 || !strings.Contains(words, "set SMARTLB_BIN to its path") {
		t.Errorf("outside of a checkout it ends with %d: %s", code, words)
	}
}

// TestTheScriptFindsTheBinaryAndPassesTheWordsOn runs the script through a
// symbolic link, with a program beside it that prints how it was called.
func TestTheScriptFindsTheBinaryAndPassesTheWordsOn(t *testing.T) {
	text, err := os.ReadFile("kafka-management.sh")
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	program := "#!/bin/sh\nprintf '%s' \"$1\"; shift; for w; do printf ' [%s]' \"$w\"; done\n"
	for name, content := range map[string]string{"kafka-management.sh": string(text), "smartlb": program} {
		if err := os.MkdirAll(filepath.Join(work, "a b"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(work, "a b", name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"second": filepath.Join("a b", "kafka-management.sh"), "first": filepath.Join(work, "second")} {
		if err := os.Symlink(to, filepath.Join(work, link)); err != nil {
			t.Fatal(err)
		}
	}
	s := &script{t: t, path: filepath.Join(work, "first"), dir: t.TempDir(), env: []string{"PATH=" + os.Getenv("PATH")}}
	for _, row := range []struct {
		want  string
		typed []string
	}{
		{"kafka [topics] [list]", []string{"topics"}},
		{"kafka [topics] [list] [-o] [json]", []string{"topics", "-o", "json"}},
		{"kafka [topics] [create] [my-topic] [-p] [3] [-r] [1]", []string{"create-topic", "my-topic", "3", "1"}},
		{"kafka [topics] [create] [my-topic]", []string{"create-topic", "my-topic"}},
		{"kafka [topics] [create] [t] [-p] [3] [-c] [retention.ms=7 d]", []string{"create-topic", "t", "3", "-c", "retention.ms=7 d"}},
		{"kafka [topics] [create]", []string{"create-topic"}},
		{"kafka [topics] [describe] [service-metrics]", []string{"describe-topic", "service-metrics"}},
		{"kafka [produce] [service-metrics] [{\"test\": \"message\"}]", []string{"produce", "service-metrics", `{"test": "message"}`}},
		{"kafka [consume] [service-metrics] [5]", []string{"consume", "service-metrics", "5"}},
		{"kafka [consume] [t'; echo x #] []", []string{"consume", "t'; echo x #", ""}},
		{"kafka [groups] [list]", []string{"groups"}},
		{"kafka [groups] [describe] [my-consumer-group]", []string{"describe-group", "my-consumer-group"}},
		{"kafka [apply] [--create-only]", []string{"init-topics"}},
		{"kafka [logs] [kafka]", []string{"logs", "kafka"}},
		{"kafka [restart]", []string{"restart"}},
	} {
		if out, words, code := s.run(row.typed...); out != row.want || code != 0 {
			t.Errorf("%q calls %q (%d, %s), want %q", row.typed, out, code, words, row.want)
		}
	}
	if _, words, code := s.run("create-topic", "t", "3", "1", "9"); code != 2 || !strings.Contains(words, "unexpected argument '9'") {
		t.Errorf("a fourth word ends with %d: %s", code, words)
	}
}

func TestTheScriptIsCleanShell(t *testing.T) {
	for _, lint := range [][]string{{"shellcheck"}, {"shfmt", "-d"}} {
		leftout.Unless(t, "the script's style", lint[0])
		if out, err := exec.Command(lint[0], append(lint[1:], "kafka-management.sh")...).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", lint, out)
		}
	}
}
