package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func mustRead(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func mustWrite(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigurationIsALog(t *testing.T) {
	t.Parallel()
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	ins := instances(t, 4)
	file := document(t, "", ins[:2]...)
	n := node(t, b.Address("broker"), file, t.TempDir())
	l := startLoad(t, "http://"+n.Address("web")+"/", 6)
	eventually(t, "the file seeds the log", func() bool { return look(t, n.Address("admin")).Node.Config.Revision != "file" })
	first := look(t, n.Address("admin")).Node.Config.Revision

	// Swaps under load: other instances, other policies; nothing fails.
	for i, policy := range []string{"round_robin", "least_request", "maglev", "adaptive"} {
		next := document(t, "    policy: "+policy+"\n", ins[i%3:i%3+2]...)
		if _, stderr, code := smartlb(t, "config", "apply", next, "-b", b.Address("broker"), "--wait", "--comment", policy); code != 0 {
			t.Fatalf("apply %s: %d %s", policy, code, stderr)
		}
	}
	if out, stderr, code := smartlb(t, "config", "rollback", first, "-b", b.Address("broker"), "--wait"); code != 0 || !strings.Contains(out, "is current") {
		t.Fatalf("rollback: %d %s %s", code, out, stderr)
	}
	if out, _, _ := smartlb(t, "config", "show", "-b", b.Address("broker")); !strings.Contains(out, ins[0].addr) || !strings.Contains(out, ins[1].addr) {
		t.Errorf("after the rollback:\n%s", out)
	}

	// Two from one base: exactly one wins, the other hears of it.
	base := look(t, n.Address("admin")).Node.Config.Revision
	var group sync.WaitGroup
	codes, errs := make([]int, 2), make([]string, 2)
	for i := range 2 {
		group.Go(func() {
			_, errs[i], codes[i] = smartlb(t, "config", "apply", document(t, "", ins[i:i+2]...), "--base", base, "-b", b.Address("broker"))
		})
	}
	group.Wait()
	if codes[0]+codes[1] != 1 {
		t.Errorf("exit codes %v, want one 0 and one 1: %v", codes, errs)
	}
	if loser := errs[0] + errs[1]; !strings.Contains(loser, "another change was first") || !strings.Contains(loser, "config show") {
		t.Errorf("the loser hears: %s", loser)
	}

	for _, step := range []struct{ verb, want string }{{"drain", "draining"}, {"undrain", "in"}} {
		id := look(t, n.Address("admin")).Services[0].Instances[0].ID
		if _, stderr, code := smartlb(t, step.verb, id, "--admin", n.Address("admin")); code != 0 {
			t.Fatalf("%s: %s", step.verb, stderr)
		}
		eventually(t, step.verb+" is seen", func() bool { return state(look(t, n.Address("admin")), id) == step.want })
	}

	if _, stderr, code := smartlb(t, "config", "apply", mustWrite(t, "kafka: {brokers: ['a']}\nroutes: [{name: r, service: nobody}]\n"), "-b", b.Address("broker")); code != 1 || !strings.Contains(stderr, "2 mistakes") {
		t.Errorf("a bad file: %d %s", code, stderr)
	}
	if out, _, _ := smartlb(t, "config", "history", "-b", b.Address("broker")); strings.Count(out, "lost to") != 1 || !strings.Contains(out, "rollback to "+first) || !strings.Contains(out, "drain shop/") {
		t.Errorf("history:\n%s", out)
	}
	l.stop()
	if ok, bad, first := l.counts(); bad > 0 || ok < 100 {
		t.Errorf("%d answered, %d failed: %s", ok, bad, first)
	}
}

func TestConfigValidateShowsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	file, err := filepath.Abs("../../internal/control/config/testdata/twenty.yaml") // commands run elsewhere
	if err != nil {
		t.Fatal(err)
	}
	_, stderr, code := smartlb(t, "config", "validate", file)
	if code != 1 || strings.Count(stderr, "twenty.yaml:") < 20 {
		t.Errorf("%d:\n%s", code, stderr)
	}
	out, stderr, code := smartlb(t, "config", "example")
	if code != 0 || stderr != "" {
		t.Fatalf("example: %d %s", code, stderr)
	}
	if out, stderr, code := smartlb(t, "config", "validate", mustWrite(t, out)); code != 0 || !strings.Contains(out, "is valid") {
		t.Errorf("the example: %d %s", code, stderr)
	}
}
