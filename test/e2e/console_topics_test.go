package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/smartlb/smartlb/internal/test/porttest"
)

// The topics' pages: the list, one topic, making, growing, truncating and
// deleting, the plan, settings.
func TestConsoleTopics(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	_, _, admin, broker := demo(t)
	makeStock(t, broker)
	inBrowser(t, "topics", consoleOf(t, admin))
	inBrowser(t, "settings", consoleOf(t, admin))
}

// makeStock makes the topic stock with nine records in each of two partitions.
func makeStock(t *testing.T, broker string) {
	t.Helper()
	if out, errs, code := smartlb(t, "kafka", "topics", "create", "stock", "-p", "2", "-b", broker, "--timeout", maxWait.String()); code != 0 {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	for _, p := range []string{"0", "1"} {
		ctx, cancel := context.WithTimeout(t.Context(), maxWait)
		defer cancel()
		cmd := exec.CommandContext(ctx, binary, "kafka", "produce", "stock", "-p", p, "-b", broker, "--timeout", maxWait.String())
		cmd.Env, cmd.Stdin = cleanEnv(t), strings.NewReader(strings.Repeat("{\"n\":1}\n", 9))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
}

// Brokers, cluster and health, in a console that has no proxy beside it; then
// the broker dies and comes back while seven pages are open.
func TestConsoleCluster(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	broker, addr := brokerInHands(t)
	console := start(t, true, "run", "--roles", "console", "--kafka", addr, "--data", t.TempDir(), "--admin", "127.0.0.1:0", "--console", "127.0.0.1:0")
	makeStock(t, addr)
	makeShop(t, addr)
	hands := httptest.NewServer(broker)
	t.Cleanup(hands.Close)
	t.Cleanup(func() { broker.signal(syscall.SIGCONT) }) // one that hangs could not be stopped
	inBrowser(t, "cluster", "http://"+console.Address("console"), "BROKER_CONTROL="+hands.URL)
}

// brokerInHands starts a broker that a script may kill, hang and start again.
func brokerInHands(t *testing.T) (b *restarted, addr string) {
	t.Helper()
	base := porttest.Block(t, 0, 1)
	at := func(o int) string { return fmt.Sprintf("127.0.0.1:%d", base+o) }
	data := t.TempDir()
	b = &restarted{start: func() *process {
		return start(t, true, "run", "--roles", "broker", "--data", data, "--broker-listen", at(0), "--broker-internal", at(1), "--admin", "127.0.0.1:0")
	}}
	b.on()
	return b, at(0)
}

// restarted is a process that a script may kill and start again: POST /off, /on;
// or that hangs between /hang and /wake.
type restarted struct {
	start func() *process
	mu    sync.Mutex
	now   *process
}

func (r *restarted) on() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.start()
}

func (r *restarted) signal(sig syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.now.Cmd.Process.Signal(sig)
}

func (r *restarted) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	switch req.URL.Path {
	case "/off":
		r.mu.Lock()
		defer r.mu.Unlock()
		r.now.stop(syscallKill)
	case "/on":
		r.on()
	case "/hang":
		r.signal(syscall.SIGSTOP)
	case "/wake":
		r.signal(syscall.SIGCONT)
	}
}

// A console that is read-only offers no change, and its server refuses them.
func TestConsoleReadOnlyTopics(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	_, _, _, broker := demo(t)
	makeStock(t, broker)
	console := start(t, true, "run", "--roles", "console", "--read-only", "--kafka", broker, "--data", t.TempDir(), "--admin", "127.0.0.1:0", "--console", "127.0.0.1:0")
	inBrowser(t, "readonly", "http://"+console.Address("console"))
}
