package soak

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/porttest"
)

const (
	serveTime = 5 * time.Millisecond // of each response of an instance, slept
	largeBody = 64 << 10             // bytes of the response to GET /large
)

// posts is the variable that makes a test binary an instance. It names the file of the POST requests that instances
// receive.
const posts = "SMARTLB_SOAK_POSTS"

// serveInstance serves requests on an address until stdin ends, as it does when the test ends in any way.
func serveInstance(addr, file string) error {
	ledger, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	large := bytes.Repeat([]byte("x"), largeBody)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /small", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(serveTime)
		_, _ = io.WriteString(w, "ok")
	})
	mux.HandleFunc("GET /large", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(serveTime)
		_, _ = w.Write(large)
	})
	mux.HandleFunc("POST /post", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || len(body) != 8 {
			http.Error(w, "the body has no number", http.StatusBadRequest)
			return
		}
		if _, err := ledger.Write(body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		time.Sleep(serveTime)
		_, _ = io.WriteString(w, "ok")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: maxWait}
	go func() { _ = server.Serve(l) }()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// child is an instance in a process of its own.
type child struct {
	id, addr, ledger string
	cmd              *exec.Cmd
	stdin            io.Closer
}

// newChild starts an instance. It ends with the test.
func newChild(t *testing.T, id, ledger string) *child {
	t.Helper()
	c := &child{id: id, addr: porttest.Address(t), ledger: ledger}
	c.start(t)
	t.Cleanup(c.kill)
	return c
}

// start starts the process and waits until it accepts connections.
func (c *child) start(t *testing.T) {
	t.Helper()
	c.cmd = exec.Command(os.Args[0], c.addr)
	c.cmd.Env = append(os.Environ(), posts+"="+c.ledger)
	c.cmd.Stderr = os.Stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.stdin = stdin
	eventually(t, c.id+" accepts connections", func() bool { return accepts(c.addr) })
}

// kill ends the process with SIGKILL and returns when its address refuses connections.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	_ = c.stdin.Close()
	for accepts(c.addr) {
		time.Sleep(time.Millisecond)
	}
}

func accepts(addr string) bool {
	nc, err := net.DialTimeout("tcp", addr, maxWait)
	if err != nil {
		return false
	}
	_ = nc.Close()
	return true
}

// newLedger makes the file in which instances write the number of each POST.
func newLedger(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "posts")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// received returns how often instances received each POST.
func received(t *testing.T, ledger string) map[uint64]int {
	t.Helper()
	b, err := os.ReadFile(ledger)
	if err != nil {
		t.Fatal(err)
	}
	out := map[uint64]int{}
	for ; len(b) >= 8; b = b[8:] {
		out[binary.BigEndian.Uint64(b)]++
	}
	if len(b) > 0 {
		t.Errorf("the ledger ends with %d bytes of a number", len(b))
	}
	return out
}

// kib reads a field such as VmRSS from /proc/PID/status, in KiB.
func kib(pid int, field string) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		if f := bytes.Fields(line); len(f) > 1 && string(f[0]) == field+":" {
			return strconv.Atoi(string(f[1]))
		}
	}
	return 0, fmt.Errorf("no %s of process %d", field, pid)
}
