package e2e

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/leftout"
)

// TestReleaseWorksFromItsArchive builds the archive of this platform, unpacks
// it, and uses what is in it.
func TestReleaseWorksFromItsArchive(t *testing.T) {
	t.Parallel()
	leftout.Unless(t, "a release, which carries the web UI", "npm")
	dist, dir := t.TempDir(), t.TempDir()
	run := func(dir, name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = dir, append(cleanEnv(t), "VERSION=v9.8.7-test", "VULNCHECK=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	run("../..", "scripts/release.sh", dist, runtime.GOOS+"/"+runtime.GOARCH)
	run(dist, "sha256sum", "-c", "smartlb-v9.8.7-test-SHA256SUMS")
	name := "smartlb-v9.8.7-test-" + runtime.GOOS + "-" + runtime.GOARCH
	run(dir, "tar", "xzf", filepath.Join(dist, name+".tar.gz"))
	root := filepath.Join(dir, name)

	if out := run(root, "bin/smartlb", "version"); !strings.Contains(out, "v9.8.7-test") {
		t.Errorf("version says %q", out)
	}
	if out := run(t.TempDir(), filepath.Join(root, "deployment/kafka/kafka-management.sh"), "help"); !strings.Contains(out, "create-topic") {
		t.Errorf("the script says %q", out)
	}
	cmd := exec.Command(filepath.Join(root, "deployment/kafka/kafka-management.sh"), "status") // finds the binary of its archive
	cmd.Env, cmd.Dir = cleanEnv(t), t.TempDir()
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 10 || !strings.Contains(string(out), "stopped") {
		t.Errorf("status of a stack that never ran: exit %d\n%s", cmd.ProcessState.ExitCode(), out)
	}
	run(root, "bash", "-n", "completions/smartlb.bash")
	binary, err := os.ReadFile(filepath.Join(root, "bin/smartlb"))
	if err != nil || !bytes.Contains(binary, []byte("/assets/index-")) {
		t.Errorf("the binary has no web UI in it (%v)", err)
	}
	for _, file := range []string{"completions/_smartlb", "completions/smartlb.fish", "man/man1/smartlb.1", "man/man1/smartlb-kafka-consume.1", "deployment/systemd/smartlb.service", "deployment/systemd/smartlb-console.service", "deployment/systemd/smartlb.socket", "README.md", "LICENSE", "CHANGELOG.md"} {
		if st, err := os.Stat(filepath.Join(root, file)); err != nil || st.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestServiceManagerIsTold speaks sd_notify(3) as systemd does.
func TestServiceManagerIsTold(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cmd := exec.Command(binary, "run", "--roles", "broker", "--data", t.TempDir(), "--broker-listen", "127.0.0.1:0", "--broker-internal", "", "--admin", "127.0.0.1:0")
	cmd.Env = append(cleanEnv(t), "NOTIFY_SOCKET="+socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	next := func() string {
		buf := make([]byte, 4096)
		_ = conn.SetReadDeadline(time.Now().Add(maxWait))
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	if got := next(); got != "READY=1" {
		t.Fatalf("first told %q", got)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if got := next(); got != "STOPPING=1" {
		t.Fatalf("then told %q", got)
	}
}

// TestOlderProgramRefusesNewerData changes the version as a later release
// would.
func TestOlderProgramRefusesNewerData(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := start(t, true, "run", "--roles", "broker", "--data", data, "--broker-listen", "127.0.0.1:0", "--broker-internal", "", "--admin", "127.0.0.1:0")
	p.stop(syscall.SIGTERM)
	format := filepath.Join(data, "format")
	if b, err := os.ReadFile(format); err != nil || string(b) != "1\n" {
		t.Fatalf("format is %q, %v", b, err)
	}
	if err := os.WriteFile(format, []byte("7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, errs, code := smartlb(t, "run", "--roles", "broker", "--data", data, "--broker-listen", "127.0.0.1:0", "--broker-internal", "", "--admin", "127.0.0.1:0")
	if code != 1 || !strings.Contains(errs, "format 7") || !strings.Contains(errs, data) {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if b, _ := os.ReadFile(format); string(b) != "7\n" {
		t.Fatalf("the refusal changed the format to %q", b)
	}
}
