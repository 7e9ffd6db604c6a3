package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/smartlb/smartlb/internal/test/porttest"
)

// Connectors on a real worker: one is made, fails, is fixed and restarted,
// paused, edited and deleted. The file that it reads is a link to itself at
// first, which nobody can open.
func TestConsoleConnect(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	s := newJVM(t, "zookeeper")
	s.start()
	s.must("topics", "create", "lines", "-p", "1")
	lines := filepath.Join(t.TempDir(), "lines.txt")
	if err := os.Symlink(lines, lines); err != nil {
		t.Fatal(err)
	}
	console := "http://" + s.service("kafka-ui").Address
	hands := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		signals := map[string]syscall.Signal{"/hang": syscall.SIGSTOP, "/wake": syscall.SIGCONT, "/kill": syscall.SIGKILL}
		if sig, known := signals[r.URL.Path]; known {
			kill(t, s.service("connect").PID, sig)
		}
	}))
	t.Cleanup(hands.Close)
	inBrowser(t, "connect", console, "WORKER_URL=http://"+s.service("connect").Address, "CONNECTOR_FILE="+lines, "WORKER_CONTROL="+hands.URL)

	config := filepath.Join(t.TempDir(), "readme.json")
	if err := os.WriteFile(config, []byte(`{"name":"readme","config":{"connector.class":"FileStreamSource","topic":"lines","file":"/dev/null"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must("connect", "apply", "-f", config)
	someone := newStranger(t)
	someone.asks(console, "", "--include-path-regex", "/connect")
	someone.asks(console, "\"path.connector\" = \"readme\"\n", "--include-path-regex", "/connect", "--exclude-method", "DELETE")
}

func TestConsoleWithoutConnect(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	_, _, admin, _ := demoIn(t, append(cleanEnv(t), "SMARTLB_CONNECT="+porttest.Refused(t)))
	inBrowser(t, "workerless", consoleOf(t, admin))
}
