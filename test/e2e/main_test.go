package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/test/program"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { program.Main(m, &binary) }

// process is a running smartlb whose log lines are read.
type process struct {
	*program.Process
	t   *testing.T
	out string // the file with its standard output
}

// cleanEnv is the environment of all processes: the three variables that users
// export, which name no broker of a test, and a stack folder of its own.
func cleanEnv(t *testing.T) []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "KAFKA_") && !strings.HasPrefix(e, "SMARTLB_") {
			env = append(env, e)
		}
	}
	return append(env, "SMARTLB_STATE_DIR="+t.TempDir(),
		"KAFKA_BROKER=localhost:9092", "KAFKA_INTERNAL_BROKER=kafka:29092", "ZOOKEEPER_HOST=localhost:2181")
}

// start runs the binary and, with wait, returns when it says that it is ready.
func start(t *testing.T, wait bool, args ...string) *process {
	t.Helper()
	return startIn(t, cleanEnv(t), wait, args...)
}

func startIn(t *testing.T, env []string, wait bool, args ...string) *process {
	t.Helper()
	return startCommand(t, exec.Command(binary, append(args, "--log-format", "json")...), env, wait)
}

// startCommand is startIn for a command that writes its log in JSON.
func startCommand(t *testing.T, cmd *exec.Cmd, env []string, wait bool) *process {
	t.Helper()
	args := cmd.Args[1:]
	cmd.Env, cmd.Dir = env, t.TempDir() // some have their data folder where they are
	out := filepath.Join(t.TempDir(), "stdout")
	stdout, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close() // the process has its own
	cmd.Stdout = stdout
	running, err := program.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{running, t, out}
	t.Cleanup(func() {
		p.stop(syscall.SIGTERM)
		if t.Failed() {
			all := p.Log()
			log := all[max(0, len(all)-40):]
			if i := slices.IndexFunc(all, func(l string) bool { return strings.HasPrefix(l, "SIGQUIT") }); i >= 0 {
				log = all[max(0, i-40):]
			}
			t.Logf("log of %v:\n%s", args, strings.Join(log, "\n"))
		}
	})
	if !wait {
		return p
	}
	select {
	case <-p.Ready:
	case <-p.Done:
		t.Fatalf("%v ended", args)
	case <-time.After(maxWait):
		t.Fatalf("%v is not ready", args)
	}
	return p
}

// stop signals the process and waits for its end; it returns how long that took.
func (p *process) stop(sig os.Signal) time.Duration {
	began := time.Now()
	if !p.Stop(sig, maxWait) {
		p.t.Errorf("pid %d did not end; what it was doing is in its log", p.Cmd.Process.Pid)
		if !p.Stop(syscall.SIGQUIT, 5*time.Second) { // which prints its goroutines
			p.Kill()
		}
	}
	return time.Since(began)
}

// smartlb runs a command to its end.
func smartlb(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env, cmd.Dir = cleanEnv(t), t.TempDir()
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, exit := err.(*exec.ExitError); err != nil && !exit {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// instance is a plain HTTP server of this test with switches.
type instance struct {
	addr   string
	server *http.Server
	mu     sync.Mutex
	fail   bool
	unwell bool // health checks fail too; set before the first
	hits   int
}

func (i *instance) set(fail bool) { i.mu.Lock(); i.fail = fail; i.mu.Unlock() }
func (i *instance) close()        { _ = i.server.Close() }
func (i *instance) count() int    { i.mu.Lock(); defer i.mu.Unlock(); return i.hits }

func newInstance(t *testing.T) *instance {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	in := &instance{addr: l.Addr().String()}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			if in.unwell {
				w.WriteHeader(503)
			}
			return
		}
		in.mu.Lock()
		in.hits++
		fail := in.fail
		in.mu.Unlock()
		if fail {
			w.WriteHeader(500)
			return
		}
		time.Sleep(5 * time.Millisecond)
		fmt.Fprint(w, in.addr)
	})}
	in.server = server
	go func() { _ = server.Serve(l) }()
	t.Cleanup(in.close)
	return in
}

func instances(t *testing.T, n int) []*instance {
	out := make([]*instance, n)
	for i := range out {
		out[i] = newInstance(t)
	}
	return out
}

// document writes a configuration for instances named i1, i2, ...
func document(t *testing.T, extra string, ins ...*instance) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("listeners: [{name: web, address: '127.0.0.1:0'}]\nroutes: [{name: all, path: {prefix: /}, service: shop}]\nservices:\n  - id: shop\n" + extra + "    instances:\n")
	for i, in := range ins {
		fmt.Fprintf(&b, "      - {id: i%d, address: %q}\n", i+1, in.addr)
	}
	path := filepath.Join(t.TempDir(), "smartlb.yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load sends requests until stop is called and tells what came back.
type load struct {
	cancel   context.CancelFunc
	group    sync.WaitGroup
	mu       sync.Mutex
	ok, bad  int
	firstBad string
	slowest  time.Duration
}

func startLoad(t *testing.T, url string, workers int) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}, Timeout: time.Minute}
	for range workers {
		l.group.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				resp, err := client.Get(url)
				took := time.Since(began)
				l.mu.Lock()
				l.slowest = max(l.slowest, took)
				switch {
				case err != nil:
					l.bad++
					l.firstBad = err.Error()
				case resp.StatusCode != 200:
					body, _ := io.ReadAll(resp.Body)
					l.bad++
					l.firstBad = resp.Status + " " + string(body)
				default:
					l.ok++
				}
				l.mu.Unlock()
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	t.Cleanup(func() { l.stop(); client.CloseIdleConnections() })
	return l
}

func (l *load) stop() { l.cancel(); l.group.Wait() }

func (l *load) counts() (ok, bad int, first string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ok, l.bad, l.firstBad
}

// maxWait is how long a test waits for something that must come. It ends a broken
// test; how long things take is measured elsewhere, on quiet machines.
const maxWait = 3 * time.Minute

// withLongTimeout adds --timeout to a command of `smartlb kafka` that has to succeed:
// on a busy machine a broker may take longer than the default.
func withLongTimeout(args []string) []string {
	asks := []string{"topics", "groups", "configs", "produce", "consume", "plan", "apply", "export"}
	if len(args) == 0 || !slices.Contains(asks, args[0]) || slices.Contains(args, "--timeout") {
		return args
	}
	return append(slices.Clone(args), "--timeout", maxWait.String())
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(maxWait); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within %s: %s", maxWait, what)
}

func getJSON(t *testing.T, url string, v any) error {
	t.Helper()
	client := http.Client{Timeout: time.Minute}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(v)
}

// syscallKill is what no process survives or notices.
const syscallKill = syscall.SIGKILL
