package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// upgraded is a node whose binary can be replaced. All its processes write to one log.
type upgraded struct {
	*process
	program string // path of the binary
	pid     int    // of the process that serves
}

// startUpgraded starts a copy of the binary. Its current process is stopped with the test.
func startUpgraded(t *testing.T, env []string, args ...string) *upgraded {
	t.Helper()
	u := &upgraded{program: filepath.Join(t.TempDir(), "smartlb")}
	u.install(t, mustRead(t, binary))
	u.process = startCommand(t, exec.Command(u.program, append(args, "--log-format", "json")...), env, true)
	u.pid = u.Cmd.Process.Pid
	t.Cleanup(func() { // before the first process is waited for: all write to the pipe that this waits for
		u.signal(t, syscall.SIGTERM)
		u.gone(t, u.pid)
	})
	return u
}

// install replaces the binary, as an operator should: by a rename.
func (u *upgraded) install(t *testing.T, content string) {
	t.Helper()
	if err := os.WriteFile(u.program+".new", []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(u.program+".new", u.program); err != nil {
		t.Fatal(err)
	}
}

func (u *upgraded) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(u.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Error(err)
	}
}

// gone waits until a process has ended.
func (u *upgraded) gone(t *testing.T, pid int) {
	t.Helper()
	eventually(t, fmt.Sprintf("process %d has ended", pid), func() bool { return ended(pid) })
}

// ended reports whether a process has ended. Nobody may have waited for it yet.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "Z")
}

// said returns the log lines with a message, decoded.
func (u *upgraded) said(msg string) (lines []map[string]any) {
	for _, line := range u.Log() {
		var l map[string]any
		if json.Unmarshal([]byte(line), &l) == nil && l["msg"] == msg {
			lines = append(lines, l)
		}
	}
	return lines
}

// awaitLine waits for a further log line with a message.
func (u *upgraded) awaitLine(t *testing.T, msg string, before int) map[string]any {
	t.Helper()
	eventually(t, "the log says "+msg, func() bool { return len(u.said(msg)) > before })
	return u.said(msg)[before]
}

// upgrade replaces the process and returns the pid of the old one.
func (u *upgraded) upgrade(t *testing.T) (before int) {
	t.Helper()
	n, ready := len(u.said("upgrade finished")), len(u.said("ready"))
	u.signal(t, syscall.SIGUSR2)
	line := u.awaitLine(t, "upgrade finished", n)
	u.awaitLine(t, "ready", ready)
	before, u.pid = u.pid, int(line["pid"].(float64))
	if before == u.pid {
		t.Fatalf("the process is still %d", u.pid)
	}
	return before
}

// failedUpgrade signals the process and returns the log line about the failure.
func (u *upgraded) failedUpgrade(t *testing.T) map[string]any {
	t.Helper()
	n := len(u.said("upgrade failed, this process continues"))
	u.signal(t, syscall.SIGUSR2)
	return u.awaitLine(t, "upgrade failed, this process continues", n)
}

// startedAt is when the process began that answers on the admin listener.
func startedAt(t *testing.T, admin string) (at time.Time) {
	t.Helper()
	var n struct{ StartedAt time.Time }
	eventually(t, "the admin listener answers", func() bool { return getJSON(t, "http://"+admin+"/api/v1/node", &n) == nil })
	return n.StartedAt
}

// Ten upgrades under load cost no request and no connection. What began before the first upgrade lives on in the first
// process until it ends.
func TestTenUpgradesLoseNothing(t *testing.T) {
	t.Parallel()
	const upgrades = 10
	base := porttest.Block(t, 0, 1, 2)
	addr := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", base+i) }
	ca, dir := certtest.New(t, "e2e"), t.TempDir()
	cert, key := ca.IssuePEM(certtest.Options{Subject: "one"}, "127.0.0.1")
	certFile, keyFile := certtest.Files(t, dir, "one", cert, key)
	shop, shaky := instances(t, 3), instances(t, 2)
	sick := newInstance(t) // no process may send it a request: its health check fails
	sick.unwell = true
	finish := make(chan struct{})
	sockets, err := os.MkdirTemp("", "smartlb") // the path of a socket has at most 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	unix := filepath.Join(sockets, "web.sock")
	c := changing{
		web: addr(0), secure: addr(1), moving: addr(2), cert: []string{certFile, keyFile}, sick: sick.addr, long: longInstance(t, finish),
		shop: []string{shop[0].addr, shop[1].addr, shop[2].addr}, shaky: []string{shaky[0].addr, shaky[1].addr}, extra: "unix:" + unix,
	}
	file, data := filepath.Join(dir, "smartlb.yaml"), t.TempDir()
	if err := os.WriteFile(file, []byte(c.text()), 0o600); err != nil {
		t.Fatal(err)
	}
	u := startUpgraded(t, cleanEnv(t), "run", "--roles", "proxy", "--config", file, "--config-source", "file", "--kafka", "127.0.0.1:1", "--drain", "5m", "--admin", "127.0.0.1:0", "--data", data)
	first, admin := u.pid, u.Address("admin")
	began := startedAt(t, admin)

	eventually(t, "the sick instance is known", func() bool { return standings(t, admin)["sick"].State == "unhealthy" })
	clients, stop := runSteady(t, ca, c.web, c.secure)
	local := &http.Client{Timeout: maxWait, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", unix)
	}}}
	tunnel, say := openTunnel(t, c.web)
	forStream := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, DisableKeepAlives: true}}
	stream, err := forStream.Get("https://" + c.secure + "/long/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	streamed := make(chan error, 1)
	go func() { streamed <- readStream(stream.Body) }()
	eventually(t, "stream and tunnel are under way", func() bool { return standings(t, admin)["l1"].InFlight == 2 })

	for i := range upgrades {
		seen := make([]int64, len(clients))
		for j, s := range clients {
			seen[j] = s.ok.Load()
		}
		before := u.upgrade(t)
		if i > 0 {
			u.gone(t, before)
		}
		if at := startedAt(t, admin); !at.After(began) {
			t.Errorf("upgrade %d: the process that answers began at %s, and the old process at %s", i, at, began)
		} else {
			began = at
		}
		if lock := mustRead(t, filepath.Join(data, "node.lock")); strings.TrimSpace(lock) != strconv.Itoa(u.pid) {
			t.Errorf("upgrade %d: the lock names process %s, want %d", i, lock, u.pid)
		}
		if resp, err := local.Get("http://local/shop"); err != nil || resp.StatusCode != 200 {
			t.Errorf("upgrade %d: the Unix socket: %v, %v", i, resp, err)
		} else {
			_ = resp.Body.Close()
		}
		if got, want := say(fmt.Sprintf("%d\n", i)), fmt.Sprintf("%d\n", i); got != want {
			t.Fatalf("the tunnel after upgrade %d: %q", i, got)
		}
		for j, s := range clients {
			eventually(t, s.name+" goes on", func() bool { return s.ok.Load() > seen[j] })
		}
	}
	if ended(first) {
		t.Error("the first process has ended, and its tunnel has not")
	}
	if got := say("bye\n"); got != "bye\n" {
		t.Errorf("the end of the tunnel: %q", got)
	}
	if n, err := tunnel.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the end of the tunnel: %d bytes, %v", n, err)
	}
	close(finish)
	if err := <-streamed; err != nil {
		t.Errorf("the stream: %v", err)
	}
	_ = tunnel.Close() // its instance has closed only one direction
	u.gone(t, first)
	failures := stop()
	if len(failures) > 0 {
		t.Errorf("%d requests failed, such as %q", len(failures), failures[0])
	}
	if n := sick.count(); n > 0 {
		t.Errorf("%d requests were sent to an instance whose health check fails", n)
	}
	for _, s := range clients {
		t.Logf("%s: %d requests, %d connections", s.name, s.ok.Load(), s.dials.Load())
	}
	u.signal(t, syscall.SIGTERM)
	<-u.Done
	if code := u.Cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the first process ended with exit code %d", code)
	}
	if _, err := os.Stat(unix); !os.IsNotExist(err) {
		t.Errorf("the file of the Unix socket after the stop: %v", err)
	}
	if u.Said("requests and tunnels were cut") {
		t.Error("requests were cut")
	}
}

// A new binary that does not become ready is reported, and the old process goes on.
func TestAnUpgradeThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	file := document(t, "", instances(t, 1)...)
	good := mustRead(t, file)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	u := startFileNode(t, file)
	load := startLoad(t, "http://"+u.Address("web")+"/", 2)
	began := startedAt(t, u.Address("admin"))
	fails := func(reason, lastLine string) {
		t.Helper()
		line := u.failedUpgrade(t)
		if got := fmt.Sprint(line["reason"]); !strings.Contains(got, reason) {
			t.Errorf("reason %q, want %q", got, reason)
		}
		if got := fmt.Sprint(line["last_lines"]); !strings.Contains(got, lastLine) {
			t.Errorf("last lines %q, want %q", got, lastLine)
		}
		if !startedAt(t, u.Address("admin")).Equal(began) {
			t.Error("another process answers")
		}
		if metric(t, u.Address("admin"), "smartlb_upgrade_failed") != 1 {
			t.Error("the metric does not show the failure")
		}
	}
	u.install(t, "#!/bin/sh\necho no such library >&2\nexit 3\n")
	fails("the new process ended before it was ready: exit status 3", "no such library")

	u.install(t, "not a program")
	fails("exec format error", "")

	u.install(t, mustRead(t, binary))
	write(strings.Replace(good, "prefix: /", "prefix: new", 1))
	fails("the new process ended before it was ready: exit status 1", "must start with /")

	taken, err := net.Listen("tcp", "127.0.0.1:0") // the new process opens a listener more
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	write(strings.Replace(good, "listeners: [", fmt.Sprintf("listeners: [{name: more, address: %q}, ", taken.Addr()), 1))
	fails("the new process ended before it was ready: exit status 1", "address already in use")

	if ok, bad, why := load.counts(); ok == 0 || bad > 0 {
		t.Errorf("%d requests succeeded, %d failed, such as %s", ok, bad, why)
	}
	_ = taken.Close()
	u.gone(t, u.upgrade(t))
	if metric(t, u.Address("admin"), "smartlb_upgrade_failed") != 0 {
		t.Error("the metric still shows a failure")
	}
	if nc, err := net.Dial("tcp", taken.Addr().String()); err != nil {
		t.Errorf("the listener of the new configuration: %v", err)
	} else {
		_ = nc.Close()
	}
}

// A new binary that hangs is ended, and the next signal starts the next upgrade.
func TestAnUpgradeThatHangsIsEnded(t *testing.T) {
	t.Parallel()
	file := document(t, "", instances(t, 1)...)
	if err := os.WriteFile(file, []byte(mustRead(t, file)+"node: {upgradeTimeout: 1s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	u := startFileNode(t, file)
	u.install(t, "#!/bin/sh\nexec sleep 600\n")
	for range 2 {
		line := u.failedUpgrade(t)
		if got := fmt.Sprint(line["reason"]); got != "the new process was not ready after 1s and was ended" {
			t.Errorf("reason %q", got)
		}
		started := u.said("upgrade started")
		u.gone(t, int(started[len(started)-1]["pid"].(float64)))
		if status, body, err := get(t, "http://"+u.Address("web")+"/"); status != 200 {
			t.Errorf("%d %s %v", status, body, err)
		}
	}
}

// startFileNode starts a node that serves a file and has no Kafka.
func startFileNode(t *testing.T, file string) *upgraded {
	t.Helper()
	return startUpgraded(t, cleanEnv(t), "run", "--roles", "proxy", "--config", file, "--config-source", "file", "--kafka", "127.0.0.1:1",
		"--drain", "2s", "--admin", "127.0.0.1:0", "--data", t.TempDir())
}

// During an upgrade, a further upgrade is refused, and a stop ends both processes.
func TestAStopDuringAnUpgradeEndsBothProcesses(t *testing.T) {
	t.Parallel()
	u := startUpgraded(t, cleanEnv(t), "proxy", "--from", "127.0.0.1:0", "--to", instances(t, 1)[0].addr, "--admin", "127.0.0.1:0", "--drain", "2s")
	u.install(t, "#!/bin/sh\nexec sleep 600\n")
	u.signal(t, syscall.SIGUSR2)
	next := int(u.awaitLine(t, "upgrade started", 0)["pid"].(float64))
	u.signal(t, syscall.SIGUSR2)
	if line := u.awaitLine(t, "upgrade refused", 0); line["reason"] != "an upgrade is in progress" {
		t.Errorf("refused, because %v", line["reason"])
	}
	u.signal(t, syscall.SIGTERM)
	<-u.Done
	u.gone(t, next)
	if code := u.Cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A process that is killed during an upgrade leaves no process behind that holds its sockets.
func TestANewProcessEndsIfTheOldOneWasKilled(t *testing.T) {
	t.Parallel()
	u := startUpgraded(t, cleanEnv(t), "proxy", "--from", "127.0.0.1:0", "--to", instances(t, 1)[0].addr, "--admin", "127.0.0.1:0", "--drain", "2s")
	run := filepath.Join(t.TempDir(), "run")
	u.install(t, fmt.Sprintf("#!/bin/sh\nwhile ! [ -e %s ]; do sleep 0.1; done\nexec %s \"$@\"\n", run, binary))
	u.signal(t, syscall.SIGUSR2)
	next := int(u.awaitLine(t, "upgrade started", 0)["pid"].(float64))
	u.signal(t, syscall.SIGKILL)
	u.gone(t, u.pid)
	mustTouch(t, run)
	u.gone(t, next)
	for _, name := range []string{"web", "admin"} {
		if nc, err := net.Dial("tcp", u.Address(name)); err == nil {
			_ = nc.Close()
			t.Errorf("%s still accepts connections", name)
		}
	}
}

// SIGHUP during an upgrade takes effect when the upgrade has ended, in the process that then serves.
func TestAReloadDuringAnUpgradeIsDelayed(t *testing.T) {
	t.Parallel()
	file := document(t, "", instances(t, 1)...)
	good := mustRead(t, file)
	u := startFileNode(t, file)
	// The new binary waits for a file, then it fails or becomes the real one.
	fail, run := filepath.Join(t.TempDir(), "fail"), filepath.Join(t.TempDir(), "run")
	u.install(t, fmt.Sprintf("#!/bin/sh\nwhile :; do\n[ -e %s ] && exit 9\n[ -e %s ] && exec %s \"$@\"\nsleep 0.1\ndone\n", fail, run, binary))
	reload := func(prefix string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(strings.Replace(good, "prefix: /", "prefix: "+prefix, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		u.signal(t, syscall.SIGHUP)
	}
	status := func(path string) int {
		status, _, _ := get(t, "http://"+u.Address("web")+path)
		return status
	}
	u.signal(t, syscall.SIGUSR2)
	u.awaitLine(t, "upgrade started", 0)
	reload("/one")
	if status("/x") != 200 {
		t.Error("the file was applied during the upgrade")
	}
	mustTouch(t, fail)
	u.awaitLine(t, "upgrade failed, this process continues", 0)
	eventually(t, "the process that continues applies the file", func() bool { return status("/one") == 200 && status("/x") == 404 })
	if err := os.Remove(fail); err != nil {
		t.Fatal(err)
	}
	u.signal(t, syscall.SIGUSR2)
	u.awaitLine(t, "upgrade started", 1)
	reload("/two")
	mustTouch(t, run)
	u.pid = int(u.awaitLine(t, "upgrade finished", 0)["pid"].(float64))
	eventually(t, "the new process has applied the file", func() bool { return len(u.said("configuration file read again")) == 2 })
	if status("/two") != 200 || status("/one") != 404 {
		t.Error("the new process does not serve the new file")
	}
}

func mustTouch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A node with Kafka keeps its id, its revision, its drains and its chain of audit records, and says that an upgrade
// failed.
func TestAnUpgradeKeepsTheNode(t *testing.T) {
	t.Parallel()
	addr := porttest.Address(t)
	broker(t, t.TempDir(), addr)
	file := document(t, "", instances(t, 2)...)
	u := startUpgraded(t, cleanEnv(t), "run", "--roles", "proxy,analyzer,console", "--config", file, "--kafka", addr, "--drain", "2s",
		"--admin", "127.0.0.1:0", "--console", "127.0.0.1:0", "--data", t.TempDir())
	admin, console := u.Address("admin"), u.Address("console")
	type node struct {
		Node   string
		Config struct{ Revision string }
	}
	known := func() (n node) {
		if err := getJSON(t, "http://"+admin+"/api/v1/node", &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, "a revision is served", func() bool { r := known().Config.Revision; return r != "" && r != "file" })
	was := known()
	if _, errs, code := smartlb(t, "drain", "i1", "--admin", admin, "--reason", "test"); code != 0 {
		t.Fatalf("drain: %s", errs)
	}
	u.install(t, "#!/bin/sh\nexit 3\n")
	u.failedUpgrade(t)
	eventually(t, "the alert upgrade-failed", func() bool { return strings.Contains(firing(t, admin), "upgrade-failed") })
	u.install(t, mustRead(t, binary))
	for range 2 {
		u.gone(t, u.upgrade(t))
		eventually(t, "id and revision are as before", func() bool { return known() == was })
		if got := standings(t, admin)["i1"].State; got != "draining" {
			t.Errorf("i1 is %s after the upgrade", got)
		}
		if status, _, err := get(t, "http://"+console+"/"); status != 200 {
			t.Errorf("the console: %d, %v", status, err)
		}
	}
	eventually(t, "the alert ends", func() bool { return !strings.Contains(firing(t, admin), "upgrade-failed") })
	if _, errs, code := smartlb(t, "undrain", "i1", "--admin", admin); code != 0 {
		t.Fatalf("undrain: %s", errs)
	}
	eventually(t, "i1 is in rotation", func() bool { return standings(t, admin)["i1"].State == "in" })
	var found map[string]int
	defer func() {
		if t.Failed() {
			t.Logf("audit records: %v", found)
		}
	}()
	eventually(t, "the chain of audit records has every start and upgrade", func() bool {
		out, errs, code := smartlb(t, "audit", "verify", "-b", addr, "-o", "json")
		if code != 0 {
			t.Fatalf("audit verify: %s%s", out, errs)
		}
		list, errs, code := smartlb(t, "audit", "-n", "100", "-b", addr, "-o", "json")
		if code != 0 {
			t.Fatalf("audit: %s%s", list, errs)
		}
		found = actionsOf(t, list)
		return found["start.node"] == 3 && found["upgrade.node"] == 3
	})
}

// systemd is a parent that passes sockets and records what it is told, as systemd does.
func TestSocketsOfSystemdAndItsNotifications(t *testing.T) {
	t.Parallel()
	var files []*os.File
	var addrs []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, l.Addr().String())
		files = append(files, f)
		_ = l.Close()
		t.Cleanup(func() { _ = f.Close() })
	}
	early, err := net.Dial("tcp", addrs[0]) // before any process serves
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	manager, next := notifySocket(t)
	file := document(t, "", instances(t, 1)...) // its listener web has the address 127.0.0.1:0
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, binary, "run", "--roles", "proxy", "--config", file, "--config-source", "file", "--kafka", "127.0.0.1:1",
		"--drain", "2s", "--admin", addrs[1], "--data", t.TempDir(), "--log-format", "json")
	cmd.ExtraFiles = files
	u := &upgraded{program: binary}
	u.process = startCommand(t, cmd, append(cleanEnv(t), "LISTEN_FDS=2", "LISTEN_FDNAMES=web:smartlb.socket", "NOTIFY_SOCKET="+manager), true)
	u.pid = u.Cmd.Process.Pid
	t.Cleanup(func() { u.signal(t, syscall.SIGTERM); u.gone(t, u.pid) })
	is := func(want ...string) {
		t.Helper()
		got := next()
		if len(want) == 2 && strings.HasPrefix(got, want[0]+"\nMONOTONIC_USEC=") && want[1] == "MONOTONIC_USEC" {
			return
		}
		if got != strings.Join(want, "\n") {
			t.Fatalf("the service manager was told %q, want %q", got, want)
		}
	}
	is("READY=1")
	if u.Address("web") != addrs[0] || u.Address("admin") != addrs[1] {
		t.Fatalf("it listens on %s and %s, and was passed %q", u.Address("web"), u.Address("admin"), addrs)
	}
	fmt.Fprint(early, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	_ = early.SetDeadline(time.Now().Add(maxWait))
	if got, err := io.ReadAll(early); err != nil || !bytes.HasPrefix(got, []byte("HTTP/1.1 200")) {
		t.Errorf("a connection that was made before the start: %q, %v", got, err)
	}
	u.signal(t, syscall.SIGHUP)
	is("RELOADING=1", "MONOTONIC_USEC")
	is("READY=1")
	for range 2 {
		before := u.upgrade(t)
		is("RELOADING=1", "MONOTONIC_USEC")
		is(fmt.Sprintf("MAINPID=%d", u.pid), "READY=1")
		is("READY=1") // by the new process
		u.gone(t, before)
		if status, body, err := get(t, "http://"+addrs[0]+"/"); status != 200 {
			t.Errorf("after the upgrade: %d %s %v", status, body, err)
		}
		_ = startedAt(t, addrs[1])
	}
	u.signal(t, syscall.SIGTERM)
	is("STOPPING=1")
}

// notifySocket makes a socket for sd_notify(3). next returns the next message.
func notifySocket(t *testing.T) (path string, next func() string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "smartlb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path = filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return path, func() string {
		buf := make([]byte, 4096)
		_ = conn.SetReadDeadline(time.Now().Add(maxWait))
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

// Processes that cannot be upgraded say so, and go on.
func TestAProcessThatCannotBeUpgradedSaysSo(t *testing.T) {
	t.Parallel()
	p := broker(t, t.TempDir(), "127.0.0.1:0")
	if err := p.Cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log gives the reason", func() bool { return p.Said("upgrade refused") && p.Said("embedded broker") })
	if slices.Contains(p.Log(), "upgrade started") {
		t.Error("an upgrade began")
	}
	if status, _, err := get(t, "http://"+p.Address("admin")+"/readyz"); status != 200 {
		t.Errorf("%d, %v", status, err)
	}
}

// actionsOf counts the records of a list of the audit log, by action. A record that was delivered twice, as one may be that
// was under way at a stop, counts once.
func actionsOf(t *testing.T, list string) map[string]int {
	t.Helper()
	out, seen := map[string]int{}, map[string]bool{}
	for d := json.NewDecoder(strings.NewReader(list)); ; {
		var r struct{ AuditID, Action string }
		switch err := d.Decode(&r); {
		case errors.Is(err, io.EOF):
			return out
		case err != nil:
			t.Fatalf("%v in %s", err, list)
		}
		if !seen[r.AuditID] {
			out[r.Action]++
		}
		seen[r.AuditID] = true
	}
}
