package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/test/porttest"
)

// Traces of the real process, on HTTP/1.1 and HTTP/2 on both sides: what instances, collector and access log get agrees.
func TestTracesReachInstancesAndCollector(t *testing.T) {
	t.Parallel()
	collector := newCollector(t)
	parents := map[string]string{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Got", r.Header.Get("Traceparent"))
		w.Header().Set("X-State", r.Header.Get("Tracestate"))
	})
	one := httptest.NewServer(handler)
	defer one.Close()
	two := serveH2C(t, false, handler)
	log := filepath.Join(t.TempDir(), "access.log")
	file := mustWrite(t, fmt.Sprintf(`listeners: [{name: web, address: "127.0.0.1:0"}]
proxy: {accessLog: %q}
telemetry: {tracing: {endpoint: %q, sample: 1}}
routes:
  - {name: one, path: {prefix: /one}, service: one}
  - {name: two, path: {prefix: /two}, service: two}
services:
  - {id: one, policy: round_robin, instances: [{id: one-1, address: %q}, {id: one-2, address: %q}]}
  - {id: two, protocol: h2c, instances: [{id: two-1, address: %q}]}
`, log, collector.url, one.Listener.Addr(), porttest.Refused(t), two.Listener.Addr()))
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir())
	trace := "4bf92f3577b34da6a3ce929d0e0e47"
	n := 0
	for _, http2 := range []bool{false, true} {
		tr := &http.Transport{Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP1(!http2)
		tr.Protocols.SetUnencryptedHTTP2(http2)
		defer tr.CloseIdleConnections()
		for _, path := range []string{"/one", "/two", "/one", "/one"} {
			n++
			id := fmt.Sprintf("%s%02d", trace, n)
			req, _ := http.NewRequest("GET", "http://"+p.Address("web")+path, nil)
			req.Header.Set("traceparent", "00-"+id+"-00f067aa0ba902b7-00")
			req.Header.Set("tracestate", "a=1")
			res, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			got := strings.Split(res.Header.Get("X-Got"), "-")
			if res.StatusCode != 200 || len(got) != 4 || got[1] != id || got[3] != "01" || res.Header.Get("X-State") != "a=1" {
				t.Fatalf("%s: %d, the instance got %q", path, res.StatusCode, got)
			}
			parents[id] = got[2]
		}
	}
	for id, parent := range parents {
		try := collector.span(id, parent)
		exchange := collector.span(id, try.ParentSpanID)
		if exchange.ParentSpanID != "00f067aa0ba902b7" || exchange.Kind != kindServer || try.Kind != kindClient || try.Start < exchange.Start || try.End > exchange.End {
			t.Errorf("try %+v of %+v", try, exchange)
		}
		if exchange.values["service.name"] != "smartlb" || exchange.values["smartlb.why"] == nil || exchange.values["http.response.status_code"] != "200" {
			t.Errorf("exchange %+v", exchange)
		}
		if name, _ := exchange.values["smartlb.service"].(string); exchange.Name != "GET "+name || exchange.values["url.path"] != "/"+name || try.values["smartlb.instance"] != exchange.values["smartlb.instance"] || try.values["smartlb.policy"] == nil || try.values["smartlb.reason"] == nil {
			t.Errorf("try %+v of %+v", try, exchange)
		}
	}
	refused := 0
	for _, s := range collector.spans() {
		if s.values["smartlb.failure"] == "connect-refused" && s.values["smartlb.retried"] == true && s.Status.Code == codeError {
			refused++
		}
	}
	if refused == 0 { // some tries met the instance that refuses connections
		t.Error("the collector has no span of a try that failed")
	}
	eventually(t, "the access log has each trace", func() bool {
		text, _ := os.ReadFile(log)
		return strings.Count(string(text), `"trace_id":"`+trace) == n
	})
}

// The access log of the real process, on HTTP/1.1 and HTTP/2, without a file of it: each record names its span.
func TestACollectorGetsTheAccessLogOfTheRealProcess(t *testing.T) {
	t.Parallel()
	collector := newCollector(t)
	ins := instances(t, 1)
	file := mustWrite(t, fmt.Sprintf(`listeners: [{name: web, address: "127.0.0.1:0"}]
telemetry: {tracing: {endpoint: %q, sample: 1}, logs: {endpoint: %q}}
routes: [{name: all, path: {prefix: /}, service: shop}]
services: [{id: shop, instances: [{id: i1, address: %q}]}]
`, collector.url, collector.url, ins[0].addr))
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir())
	for version, http2 := range map[string]bool{"1.1": false, "2": true} {
		tr := &http.Transport{Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP1(!http2)
		tr.Protocols.SetUnencryptedHTTP2(http2)
		defer tr.CloseIdleConnections()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+p.Address("web")+"/cart?id="+version, nil)
		res, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		eventually(t, "the collector has the record of HTTP/"+version, func() bool {
			for _, r := range collector.records() {
				if v := r.values; v["url.query"] == "id="+version {
					span := collector.span(r.TraceID, r.SpanID)
					if v["service.name"] != "smartlb" || v["network.protocol.version"] != version || v["url.path"] != "/cart" || v["smartlb.instance"] != "i1" ||
						v["http.response.status_code"] != "200" || r.Body["stringValue"] != "GET /cart?id="+version || span.Kind != kindServer || span.values["smartlb.request_id"] != v["smartlb.request_id"] {
						t.Errorf("record %+v of span %+v", r, span)
					}
					return true
				}
			}
			return false
		})
	}
}

// Calls of grpc-go: the instance's answer is not in the head of the response, so both spans have no error.
// Spans and log records go to the collector by gRPC.
func TestTracesOfGRPC(t *testing.T) {
	t.Parallel()
	collector := newCollector(t)
	server, client := grpcTools(t)
	addr, _ := grpcInstance(t, server)
	file := mustWrite(t, fmt.Sprintf(`listeners: [{name: web, address: "127.0.0.1:0"}]
telemetry: {tracing: {endpoint: %[1]q, protocol: grpc, sample: 1}, logs: {endpoint: %[1]q, protocol: grpc}}
routes: [{name: all, path: {prefix: /}, service: calls}]
services: [{id: calls, protocol: h2c, instances: [{id: c1, address: %[2]q}]}]
`, collector.rpc, addr))
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir())
	host, port, err := net.SplitHostPort(p.Address("web"))
	if err != nil {
		t.Fatal(err)
	}
	for call, path := range map[string]string{"empty_unary": "/grpc.testing.TestService/EmptyCall", "server_streaming": "/grpc.testing.TestService/StreamingOutputCall"} {
		if out, err := exec.CommandContext(t.Context(), client, "--server_host="+host, "--server_port="+port, "--test_case="+call).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", call, err, out)
		}
		eventually(t, "the collector has the call and its try", func() bool {
			for _, s := range collector.spans() {
				if s.Kind == kindServer && s.values["url.path"] == path {
					try := collector.childOf(s)
					return try != nil && s.Name == "POST all" && s.values["network.protocol.version"] == "2" && try.values["smartlb.instance"] == "c1" && s.Status.Code+try.Status.Code == 0
				}
			}
			return false
		})
		eventually(t, "the collector has the record of the call", func() bool {
			return slices.ContainsFunc(collector.records(), func(r gotRecord) bool {
				return r.values["url.path"] == path && r.values["smartlb.instance"] == "c1"
			})
		})
	}
}

// A collector that is not there, accepts connections and says nothing, or answers nonsense.
func TestBadCollectorsDelayNoRequestAndLostSpansAreCounted(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write([]byte("\xff\xff"))
	}))
	defer liar.Close()
	for name, addr := range map[string]string{"none": porttest.Refused(t), "silent": silent.Addr().String(), "liar": liar.Listener.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			ins := instances(t, 1)
			file := mustWrite(t, fmt.Sprintf(`listeners: [{name: web, address: "127.0.0.1:0"}]
telemetry: {tracing: {endpoint: "http://%s", sample: 1, timeout: 100ms}}
routes: [{name: all, path: {prefix: /}, service: shop}]
services: [{id: shop, instances: [{id: i1, address: %q}]}]
`, addr, ins[0].addr))
			p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir())
			for range 20 {
				res, err := http.Get("http://" + p.Address("web") + "/")
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				if res.StatusCode != 200 {
					t.Fatalf("got %d", res.StatusCode)
				}
			}
			eventually(t, "the spans are counted as lost", func() bool {
				res, err := http.Get("http://" + p.Address("admin") + "/metrics")
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = res.Body.Close() }()
				text, _ := io.ReadAll(res.Body)
				return strings.Contains(string(text), `smartlb_dropped_total{queue="spans undelivered"} 40`)
			})
		})
	}
}
