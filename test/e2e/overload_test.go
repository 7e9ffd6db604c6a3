package e2e

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAShortMemoryRefusesRequests fills the memory of a node with the heads of slow clients.
func TestAShortMemoryRefusesRequests(t *testing.T) {
	t.Parallel()
	file := mustWrite(t, `listeners: [{name: web, address: "127.0.0.1:0"}]
routes:
  - {name: r, priority: "header:X-Priority", response: {status: 200, body: ok}}
proxy:
  limits: {memoryBytes: 67108864, headBytes: 60000}
  timeouts: {head: 10m}
`)
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir())
	web := p.Address("web")
	keeper := func() func(string) (int, string) { // a client with a connection of its own, which it keeps
		client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
		t.Cleanup(client.CloseIdleConnections)
		return func(priority string) (int, string) {
			req, _ := http.NewRequest("GET", "http://"+web+"/", nil)
			req.Header.Set("X-Priority", priority)
			res, err := client.Do(req)
			if err != nil {
				return 0, err.Error()
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			return res.StatusCode, string(body)
		}
	}
	ask, second := keeper(), keeper()
	for _, ask := range []func(string) (int, string){ask, second} {
		if status, body := ask("low"); status != 200 {
			t.Fatalf("got %d %s", status, body)
		}
	}
	var open []net.Conn
	defer func() {
		for _, nc := range open {
			_ = nc.Close()
		}
	}()
	half := "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 50_000)
	fill := func(until string, over func() bool) {
		t.Helper()
		for !over() {
			if len(open) == 5000 {
				t.Fatalf("%s: not with 5,000 slow clients; %.0f bytes are in use", until, metric(t, p.Address("admin"), "smartlb_memory_used_bytes"))
			}
			for range 10 {
				nc, err := net.Dial("tcp", web)
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, nc)
				_ = nc.SetDeadline(time.Now().Add(time.Minute))
				_, _ = io.WriteString(nc, half) // fails if the node refuses the connection
			}
			time.Sleep(150 * time.Millisecond) // the node reads its memory every 100 ms
		}
	}
	fill("requests of low priority are refused", func() bool { status, _ := ask("low"); return status == 503 })
	if status, body := ask("normal"); status != 200 {
		t.Errorf("normal priority got %d %s", status, body)
	}
	// The last answer before the end of the memory may close the connection of the first client. Its next one is refused
	// before it has sent its request, which Go's client takes for an error.
	fill("all requests are refused", func() bool { status, _ := ask("normal"); return status != 200 })
	if status, body := second("normal"); status != 503 || !strings.Contains(body, "503 proxy-exhausted: ") {
		t.Errorf("a request on a kept connection got %d %s", status, body)
	}
	nc, err := net.Dial("tcp", web)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	if text, _ := io.ReadAll(nc); !strings.Contains(string(text), "503 proxy-exhausted") {
		t.Errorf("a new connection got %q", text)
	}
	for name, least := range map[string]float64{
		`smartlb_memory_refused_total{priority="low"}`: 1, `smartlb_memory_refused_total{priority="normal"}`: 1,
		`smartlb_connections_refused_total{limit="memory"}`: 1, "smartlb_shortage_total": 1,
	} {
		if got := metric(t, p.Address("admin"), name); got < least {
			t.Errorf("%s is %v", name, got)
		}
	}
	for _, nc := range open {
		_ = nc.Close()
	}
	eventually(t, "requests of low priority are answered again", func() bool {
		normal, _ := ask("normal")
		low, _ := ask("low")
		return normal == 200 && low == 200
	})
	for _, line := range []string{"requests of low priority are refused", "new requests and connections are refused", "enough memory again"} {
		if !p.Said(line) {
			t.Errorf("the log has no line %q", line)
		}
	}
}
