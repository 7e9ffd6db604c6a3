package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// SIGHUP ended the node, and a rotated access log was written to under its new
// name until a restart.
func TestAccessLogIsReopenedBySignals(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]os.Signal{"HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, rotated := filepath.Join(dir, "access.log"), filepath.Join(dir, "access.log.1")
			p := lineProxy(t, []string{instances(t, 1)[0].addr}, "--access-log", path)
			ask := func(target string) {
				if status, body, err := get(t, "http://"+p.Address("web")+target); status != 200 {
					t.Fatalf("%d %s %v", status, body, err)
				}
			}
			has := func(path, target string) bool {
				b, _ := os.ReadFile(path)
				return strings.Contains(string(b), `"target":"`+target+`"`)
			}
			ask("/before")
			eventually(t, "the first line", func() bool { return has(path, "/before") })
			if err := os.Rename(path, rotated); err != nil {
				t.Fatal(err)
			}
			ask("/between")
			eventually(t, "a line in the renamed file", func() bool { return has(rotated, "/between") })
			if err := p.Cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the new file", func() bool { _, err := os.Stat(path); return err == nil })
			ask("/after")
			eventually(t, "a line in the new file", func() bool { return has(path, "/after") })
			if has(rotated, "/after") || has(path, "/between") {
				t.Error("a line is in the wrong file")
			}
		})
	}
}

// SIGHUP takes over routes and services of a changed file; a bad file changes
// nothing and the log says why.
func TestFileIsReadAgainAtHangup(t *testing.T) {
	t.Parallel()
	ins := instances(t, 2)
	file := document(t, "", ins[0])
	good := mustRead(t, file)
	p := start(t, true, "run", "--roles", "proxy", "--config", file, "--config-source", "file", "--kafka", "127.0.0.1:1",
		"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", t.TempDir())
	status := func(path string) int {
		status, _, _ := get(t, "http://"+p.Address("web")+path)
		return status
	}
	hangup := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	if got := status("/x"); got != 200 {
		t.Fatalf("at first: %d", got)
	}
	hangup(strings.Replace(good, "prefix: /", "prefix: /new", 1))
	eventually(t, "the new route", func() bool { return status("/new/x") == 200 && status("/x") == 404 })
	hangup(strings.Replace(good, "prefix: /", "prefix: new", 1))
	eventually(t, "the log says what is wrong", func() bool {
		return p.Said("configuration file refused, nothing was changed") && p.Said("must start with /")
	})
	if status("/new/x") != 200 || status("/x") != 404 {
		t.Error("a bad file changed the routes")
	}
	hangup(good + "proxy: {timeouts: {head: 3s}}\n")
	eventually(t, "the old route", func() bool { return status("/x") == 200 })
	eventually(t, "the log names what needs a restart", func() bool { return p.Said(`"need_restart":"proxy"`) })
}

// With --lame-duck a balancer in front sees /readyz fail before connections are
// refused.
func TestLameDuckGoesOnAcceptingWhileReadyzFails(t *testing.T) {
	t.Parallel()
	p := lineProxy(t, []string{instances(t, 1)[0].addr}, "--lame-duck", "3s")
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "/readyz fails", func() bool {
		status, _, _ := get(t, "http://"+p.Address("admin")+"/readyz")
		return status == 503
	})
	if status, body, err := get(t, "http://"+p.Address("web")+"/x"); status != 200 {
		t.Errorf("a new connection: %d %s %v", status, body, err)
	}
	<-p.Done
	if code := p.Cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if nc, err := net.Dial("tcp", p.Address("web")); err == nil {
		_ = nc.Close()
		t.Error("it listens after its end")
	}
}

// A drain whose time ends says what it cut, in the log and by the exit code.
func TestDrainThatRunsOutSaysWhatItCut(t *testing.T) {
	t.Parallel()
	p := lineProxy(t, []string{longInstance(t, nil)}, "--drain", "300ms", "--timeout", "10m", "--health-interval", "0")
	for range 2 {
		nc, err := net.Dial("tcp", p.Address("web"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_, _ = fmt.Fprintf(nc, "GET /long/stream HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	_, say := openTunnel(t, p.Address("web"))
	if got := say("hello\n"); got != "hello\n" {
		t.Fatalf("the tunnel: %q", got)
	}
	eventually(t, "they are under way", func() bool { return metric(t, p.Address("admin"), "smartlb_instance_in_flight") == 3 })
	_ = p.Cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.Done:
	case <-time.After(maxWait):
		t.Fatal("it does not end")
	}
	if !p.Said(`"requests":3`) || !p.Said(`"tunnels":1`) || !p.Said(`"by_service":"default 3"`) {
		t.Error("the log does not say what was cut")
	}
	if code := p.Cmd.ProcessState.ExitCode(); code != 4 {
		t.Errorf("exit code %d", code)
	}
}
