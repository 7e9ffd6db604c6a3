package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"

	"go.uber.org/goleak"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/demo"
	"github.com/smartlb/smartlb/internal/stack/broker"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func testLog(_ *testing.T) *slog.Logger {
	if os.Getenv("SMARTLB_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// instances serves n demo instances on free ports and gives their document.
func instances(t *testing.T, n int) (config.Traffic, []byte) {
	t.Helper()
	var b strings.Builder
	b.WriteString("listeners: [{name: web, address: '127.0.0.1:0'}]\nroutes: [{name: users, path: {prefix: /users}, service: user-service}]\nservices:\n  - id: user-service\n    healthCheck: {interval: 200ms}\n    instances:\n")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, n)
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		in := demo.Instance{Service: "user-service", ID: fmt.Sprintf("user-service-%d", i+1), Latency: time.Millisecond, Workers: 8}
		fmt.Fprintf(&b, "      - {id: %s, address: %q}\n", in.ID, l.Addr())
		s := demo.NewServer(in)
		go func() { done <- demo.Serve(ctx, l, s.Control(s.Handler())) }()
	}
	t.Cleanup(func() {
		cancel()
		for range n {
			<-done
		}
	})
	traffic, err := config.ParseTraffic([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return traffic, []byte(b.String())
}

func options(t *testing.T, roles ...string) Options {
	d := config.Default()
	d.Admin.Address, d.Console.Address = "127.0.0.1:0", "127.0.0.1:0"
	d.Telemetry.DecisionSample = 1
	b := broker.Default()
	b.Dir, b.External, b.Internal = t.TempDir(), "127.0.0.1:0", ""
	return Options{Roles: roles, Document: d, DataDir: t.TempDir(), Kafka: true, Broker: b, Version: "test", Drain: time.Second, Log: testLog(t)}
}

// withoutKafka is options of a node that reads its routes, to one instance, from a file.
func withoutKafka(t *testing.T, roles ...string) Options {
	t.Helper()
	traffic, text := instances(t, 1)
	o := options(t, roles...)
	o.Kafka, o.Document.Traffic, o.Traffic, o.FileName = false, traffic, text, "test.yaml"
	return o
}

// run starts an app and stops it with the test.
func run(t *testing.T, o Options) *App {
	t.Helper()
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	runApp(t, a)
	return a
}

func runApp(t *testing.T, a *App) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	select {
	case <-a.Ready():
	case <-time.After(2 * time.Minute):
		t.Fatal("not ready")
	}
}

func get(t *testing.T, url string, header ...string) (*http.Response, string) {
	t.Helper()
	req, _ := http.NewRequest("GET", url, nil)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp, string(body)
}

// eventually polls until ok or the time is over.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func TestEverythingInOneProcess(t *testing.T) {
	traffic, text := instances(t, 3)
	o := options(t, AllRoles()...)
	o.Document.Traffic, o.Traffic, o.FileName = traffic, text, "test.yaml"
	o.Document.Proxy.ExplainFrom = mustPrefixes("127.0.0.0/8")
	a := run(t, o)

	web := "http://" + a.Addr("web")
	resp, body := get(t, web+"/users/1", "X-Smartlb-Explain", "1")
	if resp.StatusCode != 200 || !strings.Contains(body, "user-service-") || resp.Header.Get("X-Request-Id") == "" {
		t.Fatalf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
	var decision map[string]any
	if err := json.Unmarshal([]byte(resp.Header.Get("X-Smartlb-Decision")), &decision); err != nil || decision["instance"] == "" {
		t.Fatalf("decision %q: %v", resp.Header.Get("X-Smartlb-Decision"), err)
	}
	if resp, body := get(t, web+"/nothing"); resp.StatusCode != 404 || !strings.Contains(body, "users /users") {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	admin := "http://" + a.Addr("admin")
	if resp, _ := get(t, admin+"/readyz"); resp.StatusCode != 200 {
		t.Errorf("readyz %d", resp.StatusCode)
	}
	eventually(t, "the first configuration is in the log", func() bool {
		_, body := get(t, admin+"/api/v1/config/history")
		return strings.Contains(body, "first configuration")
	})
	for topic, want := range map[string]string{
		"service-metrics": `"errorRate":0`, "health-status": `"HEALTHY"`, "routing-decisions": `"candidates"`, "audit-logs": "start.node", "smartlb-node-status": a.Node(),
	} {
		eventually(t, topic+" has a message", func() bool {
			get(t, web+"/users/2")
			return strings.Contains(tailOnce(t, admin, topic), want)
		})
	}
	var o2 api.Overview
	_, body = get(t, admin+"/api/v1/overview")
	if err := json.Unmarshal([]byte(body), &o2); err != nil || len(o2.Services) != 1 || len(o2.Services[0].Instances) != 3 {
		t.Fatalf("overview: %v %s", err, body)
	}
	if _, body := get(t, admin+"/metrics"); !strings.Contains(body, `smartlb_instance_requests_total{instance_id="user-service-1"`) {
		t.Error("no metrics")
	}
}

// tailOnce reads the first event of a topic's stream.
func tailOnce(_ *testing.T, admin, topic string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", admin+"/api/v1/topics/"+topic+"/events?last=50", nil)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	buf := make([]byte, 256<<10)
	n, _ := io.ReadAtLeast(resp.Body, buf, 200)
	return strings.ReplaceAll(string(buf[:n]), `\"`, `"`)
}

// What New took is given back where it fails at the end, and where Run is told
// to stop before the broker is there.
func TestNothingStaysOpenOfANodeThatDidNotStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	before := goleak.IgnoreCurrent()
	text := []byte("listeners: [{name: web, address: '127.0.0.1:0'}]\n")
	traffic, err := config.ParseTraffic(text)
	if err != nil {
		t.Fatal(err)
	}
	o := options(t, event.RoleBroker, event.RoleProxy, event.RoleAnalyzer, event.RoleConsole)
	o.Document.Traffic, o.Traffic = traffic, text
	console := o.Document.Console.Address
	o.Document.Console.Address = l.Addr().String()
	if _, err := New(o); err == nil {
		t.Fatal("two listen on one port")
	}
	leaktest.None(t, before)
	o.Document.Console.Address = console
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); err != nil {
		t.Error(err)
	}
	leaktest.None(t, before)
	for _, name := range []string{"web", "admin", "console", "broker"} {
		if c, err := net.Dial("tcp", a.Addr(name)); err == nil {
			t.Errorf("%s still listens", name)
			_ = c.Close()
		}
	}
}
