package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/test/leftout"
)

// selfExample is an example of docs/discovery.md that runs beside an instance.
type selfExample struct {
	id, address string
	hits        atomic.Int64
	cmd         *exec.Cmd
	out         *os.File
	ended       chan struct{} // closed when the program ended
}

// startSelfExample starts the example in a language of the section about registration, as the instance id. file is where the
// program is written.
func startSelfExample(t *testing.T, language, id, broker, file string, command ...string) *selfExample {
	t.Helper()
	page, err := os.ReadFile("../../docs/discovery.md")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("(?s)```" + language + "\n(.*?)```\n").FindStringSubmatch(string(page))
	if code == nil {
		t.Fatalf("the page has no example in %s", language)
	}
	e := &selfExample{id: id, ended: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		e.hits.Add(1)
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(server.Close)
	e.address = server.Listener.Addr().String()
	for _, name := range []string{"payments-7", "10.0.1.7:8080", "kafka-1:9092"} {
		if !strings.Contains(code[1], name) {
			t.Fatalf("the example in %s has no %s", language, name)
		}
	}
	text := strings.NewReplacer("payments-7", id, "10.0.1.7:8080", e.address, "kafka-1:9092", broker).Replace(code[1])
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if e.out, err = os.Create(file + ".out"); err != nil {
		t.Fatal(err)
	}
	e.cmd = exec.Command(command[0], append(command[1:], file)...)
	e.cmd.Stdout, e.cmd.Stderr = e.out, e.out
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(e.ended); _ = e.cmd.Wait() }()
	t.Cleanup(func() {
		_ = e.cmd.Process.Kill()
		<-e.ended
		_ = e.out.Close()
		if said, _ := os.ReadFile(e.out.Name()); t.Failed() {
			t.Logf("%s said %.4000s", id, said)
		}
	})
	return e
}

// TestExamplesRegisterThemselves: each example of docs/discovery.md joins, gets requests, and leaves with its goodbye.
func TestExamplesRegisterThemselves(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"kcat", "javac", "node", "npm"} {
		leftout.Unless(t, "examples of registration", tool)
	}
	if exec.Command("python3", "-c", "import ensurepip").Run() != nil {
		leftout.For(t, "examples of registration", "Python 3 with venv")
	}
	libs := jarsOf(t, "zookeeper")
	all, err := clients(libs)
	if err != nil {
		t.Fatal(err)
	}
	python := all[slices.IndexFunc(all, func(f foreign) bool { return f.name == "python" })].command[0]
	kafkajs := kafkajsFolder(t)
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	kafka := b.Address("broker")
	n := node(t, kafka, mustWrite(t, `listeners: [{name: web, address: "127.0.0.1:0"}]
routes: [{name: r, service: payments}]
services:
  - {id: payments, policy: round_robin, discovery: {kafka: {ports: [1024-65535]}, allow: [127.0.0.0/8], maxLoss: 1}}
`), t.TempDir())
	ids := func() (found []string) {
		for _, s := range sourcesOf(t, n).Services {
			for _, in := range s.Instances {
				found = append(found, in.ID)
			}
		}
		return found
	}
	dir := t.TempDir()
	examples := []*selfExample{
		startSelfExample(t, "python", "by-python", kafka, filepath.Join(dir, "register.py"), python),
		startSelfExample(t, "java", "by-java", kafka, filepath.Join(dir, "Register.java"), java(libs)...),
		startSelfExample(t, "js", "by-node", kafka, filepath.Join(kafkajs, "register.mjs"), "node"),
		startSelfExample(t, "bash", "by-kcat", kafka, filepath.Join(dir, "register.sh"), "bash"),
	}
	client := &http.Client{Timeout: maxWait}
	t.Cleanup(client.CloseIdleConnections)
	for _, e := range examples {
		eventually(t, e.id+" joins and gets requests", func() bool {
			if res, err := client.Get("http://" + n.Address("web") + "/"); err == nil {
				_ = res.Body.Close()
			}
			return e.hits.Load() > 0 && slices.Contains(ids(), e.id)
		})
	}
	for _, e := range examples {
		if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		eventually(t, e.id+" ends", func() bool {
			select {
			case <-e.ended:
				return true
			default:
				return false
			}
		})
		goodbye := func(records []*kgo.Record) bool {
			return slices.ContainsFunc(records, func(r *kgo.Record) bool {
				h, err := event.DecodeHealthStatus(r.Value)
				return err == nil && h.InstanceID == e.id && h.Address == e.address && h.Status == event.StatusDraining && string(r.Key) == "payments"
			})
		}
		if !goodbye(consume(t, kafka, event.TopicHealthStatus, goodbye)) {
			t.Errorf("%s said no goodbye", e.id)
		}
		eventually(t, e.id+" leaves", func() bool { return !slices.Contains(ids(), e.id) })
	}
}
