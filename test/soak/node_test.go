package soak

import (
	"encoding/json"
	"fmt"
	"io"
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
	"github.com/smartlb/smartlb/test/program"
)

// node is a smartlb with a proxy and an analyzer. All processes of its upgrades write to one log.
type node struct {
	*program.Process
	name, file         string
	web, secure, admin string // addresses of the listeners
	cert, key          string // files of the certificate of secure
	instances          []*child

	pid      int   // of the process that serves
	old      []int // of the processes that upgrades replaced
	reloads  int
	samples  []usage // under load
	extra    bool    // a reload adds or removes a route
	weighted bool    // a reload changes the weight of the first instance
}

// usage is what a process uses.
type usage struct{ rssKiB, descriptors, goroutines int }

func (u usage) String() string {
	return fmt.Sprintf("%.1f MiB resident, %d descriptors, %d goroutines", float64(u.rssKiB)/1024, u.descriptors, u.goroutines)
}

func newNode(t *testing.T, name, broker string, ca *certtest.Authority, instances []*child) *node {
	t.Helper()
	base, dir := porttest.Block(t, 0, 1), t.TempDir()
	cert, key := ca.IssuePEM(certtest.Options{Subject: name}, "127.0.0.1")
	n := &node{name: name, file: filepath.Join(dir, "smartlb.yaml"), web: fmt.Sprintf("127.0.0.1:%d", base), secure: fmt.Sprintf("127.0.0.1:%d", base+1), instances: instances}
	n.cert, n.key = certtest.Files(t, dir, name, cert, key)
	n.write(t)
	n.Process = run(t, dir, "--roles", "proxy,analyzer", "--kafka", broker, "--config", n.file, "--config-source", "file", "--data", filepath.Join(dir, "data"), "--admin", "127.0.0.1:0")
	n.pid, n.admin = n.Cmd.Process.Pid, n.Address("admin")
	t.Cleanup(func() { // before the first process is waited for: all write to one pipe
		_ = syscall.Kill(n.pid, syscall.SIGTERM)
		eventually(t, name+" has ended", func() bool { return ended(n.pid) })
	})
	return n
}

// run starts smartlb and waits until it is ready. It is stopped with the test.
func run(t *testing.T, dir string, args ...string) *program.Process {
	t.Helper()
	cmd := exec.Command(smartlb, append(append([]string{"run"}, args...), "--log-format", "json")...)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "SMARTLB_STATE_DIR=" + dir}
	p, err := program.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !p.Stop(syscall.SIGTERM, maxWait) {
			t.Errorf("%v did not end", args)
			p.Kill()
		}
		if t.Failed() {
			log := p.Log()
			t.Logf("log of %v:\n%s", args, strings.Join(log[max(0, len(log)-60):], "\n"))
		}
	})
	select {
	case <-p.Ready:
	case <-p.Done:
		t.Fatalf("%v ended:\n%s", args, strings.Join(p.Log(), "\n"))
	case <-time.After(maxWait):
		t.Fatalf("%v is not ready", args)
	}
	return p
}

// ended reports whether a process has ended, if its parent has waited for it or not.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "Z")
}

// write replaces the configuration file.
func (n *node) write(t *testing.T) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "listeners:\n  - {name: web, address: %q}\n  - {name: secure, address: %q, tls: {certificates: [{cert: %q, key: %q}]}}\n", n.web, n.secure, n.cert, n.key)
	b.WriteString("routes:\n  - {name: all, path: {prefix: /}, service: shop}\n")
	if n.extra {
		b.WriteString("  - {name: extra, path: {prefix: /extra}, service: shop}\n")
	}
	weight := 1
	if n.weighted {
		weight = 2
	}
	// The proxy closes its idle connections after 5 s, so that a node comes to rest within seconds. A machine that stops
	// for a second must not look like a network that drops packets.
	b.WriteString("services:\n  - id: shop\n    connections: {keep: 5s, connectTimeout: 1m}\n    healthCheck: {interval: 1s}\n    instances:\n")
	for _, c := range n.instances {
		fmt.Fprintf(&b, "      - {id: %s, address: %q, weight: %d}\n", c.id, c.addr, weight)
		weight = 1
	}
	if err := os.WriteFile(n.file+".new", []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(n.file+".new", n.file); err != nil {
		t.Fatal(err)
	}
}

// reload changes the configuration and waits until the node has read it.
func (n *node) reload(t *testing.T) {
	t.Helper()
	if n.reloads%2 == 0 {
		n.extra = !n.extra
	} else {
		n.weighted = !n.weighted
	}
	n.write(t)
	before := len(n.said("configuration file read again"))
	if err := syscall.Kill(n.pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, n.name+" reads its file", func() bool { return len(n.said("configuration file read again")) > before })
	n.reloads++
}

// upgrade replaces the process. The old process drains when upgrade returns.
func (n *node) upgrade(t *testing.T) {
	t.Helper()
	finished, ready := len(n.said("upgrade finished")), len(n.said("ready"))
	if err := syscall.Kill(n.pid, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	eventually(t, n.name+" is upgraded", func() bool {
		return len(n.said("upgrade finished")) > finished && len(n.said("ready")) > ready
	})
	n.old = append(n.old, n.pid)
	n.pid = int(n.said("upgrade finished")[finished]["pid"].(float64))
}

// said returns the log lines with a message, decoded.
func (n *node) said(msg string) (lines []map[string]any) {
	for _, line := range n.Log() {
		var l map[string]any
		if strings.Contains(line, msg) && json.Unmarshal([]byte(line), &l) == nil && l["msg"] == msg {
			lines = append(lines, l)
		}
	}
	return lines
}

// messages counts the log lines of a level by message.
func (n *node) messages(level string) map[string]int {
	out := map[string]int{}
	for _, line := range n.Log() {
		var l struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			l.Level, l.Msg = "ERROR", line // not a log line: a panic
		}
		if l.Level == level {
			out[l.Msg]++
		}
	}
	return out
}

// use reads what the process uses now.
func (n *node) use(t *testing.T) (u usage) {
	t.Helper()
	var err error
	if u.rssKiB, err = kib(n.pid, "VmRSS"); err != nil {
		t.Fatal(err)
	}
	descriptors, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.pid))
	if err != nil {
		t.Fatal(err)
	}
	u.descriptors, u.goroutines = len(descriptors), int(n.metric(t, "go_goroutines"))
	return u
}

// metric returns the sum of a series of /metrics.
func (n *node) metric(t *testing.T, name string) (sum float64) {
	t.Helper()
	for line := range strings.Lines(n.get(t, "/metrics")) {
		if series, value, ok := strings.Cut(line, " "); ok && (series == name || strings.HasPrefix(series, name+"{")) {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

// state returns the state of an instance on this node.
func (n *node) state(t *testing.T, instance string) string {
	t.Helper()
	var o struct {
		Services []struct{ Instances []struct{ ID, State string } }
	}
	if err := json.Unmarshal([]byte(n.get(t, "/api/v1/overview")), &o); err != nil {
		t.Fatal(err)
	}
	for _, s := range o.Services {
		for _, i := range s.Instances {
			if i.ID == instance {
				return i.State
			}
		}
	}
	return "unknown"
}

// get reads from the admin listener. Both processes of an upgrade close connections, so the connection is new, and a
// second try follows.
func (n *node) get(t *testing.T, path string) (text string) {
	t.Helper()
	client := &http.Client{Timeout: maxWait, Transport: &http.Transport{DisableKeepAlives: true}}
	eventually(t, n.name+" answers "+path, func() bool {
		resp, err := client.Get("http://" + n.admin + path)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		text = string(b)
		return err == nil && resp.StatusCode == http.StatusOK
	})
	return text
}

// rest waits until the nodes have no clients and no connections to instances, and returns what each uses then.
func rest(t *testing.T, nodes []*node) (used []usage) {
	t.Helper()
	for _, n := range nodes {
		eventually(t, n.name+" has no clients", func() bool {
			return n.metric(t, "smartlb_connections_open") == 0 && n.metric(t, "smartlb_instance_in_flight") == 0
		})
	}
	time.Sleep(10 * time.Second) // idle connections to instances are kept for 5 s
	for _, n := range nodes {
		used = append(used, n.use(t))
	}
	return used
}

// median returns the median memory of samples, in KiB.
func median(samples []usage) int {
	var rss []int
	for _, u := range samples {
		rss = append(rss, u.rssKiB)
	}
	slices.Sort(rss)
	return rss[len(rss)/2]
}
