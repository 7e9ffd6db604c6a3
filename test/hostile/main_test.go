package hostile

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/test/program"
)

var binary string

func TestMain(m *testing.M) { program.Main(m, &binary) }

// addressSpace is what a process may take, stacks and reservations of the
// runtime included: one that reads all it is given takes more.
const addressSpace = 6 << 30

// limited is a command whose address space is bounded; util-linux's prlimit does
// that on Linux.
func limited(args ...string) *exec.Cmd {
	if runtime.GOOS == "linux" {
		if prlimit, err := exec.LookPath("prlimit"); err == nil {
			return exec.Command(prlimit, append([]string{fmt.Sprintf("--as=%d", addressSpace), binary}, args...)...)
		}
	}
	return exec.Command(binary, args...)
}

// victim is the process under attack: all roles in one, the worst case.
type victim struct {
	*program.Process
	t   *testing.T
	dir string
}

func (v *victim) start() {
	v.t.Helper()
	cmd := limited("run", "--roles", "broker,proxy,analyzer,console", "--config", filepath.Join(v.dir, "smartlb.yaml"), "--data", filepath.Join(v.dir, "data"),
		"--broker-listen", "127.0.0.1:0", "--broker-internal", "", "--admin", "127.0.0.1:0", "--console", "127.0.0.1:0", "--log-format", "json", "--drain", "2s")
	cmd.Env = []string{"HOME=" + v.dir, "PATH=" + os.Getenv("PATH"), "SMARTLB_STATE_DIR=" + v.dir}
	running, err := program.Start(cmd)
	if err != nil {
		v.t.Fatal(err)
	}
	v.Process = running
	select {
	case <-v.Ready:
	case <-v.Done:
		v.t.Fatalf("it ended at the start:\n%s", v.tail())
	case <-time.After(2 * time.Minute):
		v.t.Fatalf("it is not ready:\n%s", v.tail())
	}
}

func (v *victim) tail() string {
	log := v.Log()
	return strings.Join(log[max(0, len(log)-30):], "\n")
}

// lives fails the test where the process has ended.
func (v *victim) lives(after string) {
	v.t.Helper()
	select {
	case <-v.Done:
		v.t.Fatalf("it ended after %s:\n%s", after, v.tail())
	default:
	}
}

func (v *victim) stop(s os.Signal) {
	if v.Process != nil && !v.Stop(s, time.Minute) {
		v.Kill()
	}
}

func newVictim(t *testing.T) *victim {
	v := &victim{t: t, dir: t.TempDir()}
	var doc strings.Builder
	doc.WriteString("listeners: [{name: web, address: '127.0.0.1:0'}]\nroutes: [{name: all, path: {prefix: /}, service: shop}]\nservices:\n  - id: shop\n    rateLimits: [{name: total, rate: 1000000/s, scope: fleet, dryRun: true}, {name: each, rate: 1000000/s, by: client, maxKeys: 1000000}]\n    healthCheck: {interval: 500ms}\n    instances:\n")
	for i := range 4 {
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go s.Serve(l)
		t.Cleanup(func() { _ = s.Close() })
		fmt.Fprintf(&doc, "      - {id: shop-%d, address: %q}\n", i+1, l.Addr())
	}
	if err := os.WriteFile(filepath.Join(v.dir, "smartlb.yaml"), []byte(doc.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.stop(syscall.SIGTERM) })
	return v
}

// load is the requests of a client that has nothing to do with the attack.
type load struct {
	sent, failed atomic.Int64
	first        atomic.Pointer[string] // failure
	stop         func()
}

func (v *victim) load() *load {
	l := &load{}
	ctx, cancel := context.WithCancel(context.Background())
	url := "http://" + v.Address("web") + "/"
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: 2 * time.Minute}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				l.sent.Add(1)
				resp, err := client.Get(url)
				why := ""
				if err != nil {
					why = err.Error()
				} else {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if resp.StatusCode != 200 {
						why = resp.Status
					}
				}
				if why != "" && ctx.Err() == nil {
					l.failed.Add(1)
					l.first.CompareAndSwap(nil, &why)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	l.stop = func() { cancel(); all.Wait() }
	return l
}

func (l *load) unharmed(t *testing.T, after string) {
	t.Helper()
	if n := l.failed.Load(); n > 0 {
		t.Fatalf("%d of %d requests of the victim failed by %s, the first: %s", n, l.sent.Load(), after, *l.first.Load())
	}
	if l.sent.Load() == 0 {
		t.Fatalf("no request was sent by %s", after)
	}
}
