package e2e

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/smartlb/smartlb/internal/test/porttest"
)

// Traces of the real process, on HTTP/1.1 and HTTP/2 on both sides: what instances, collector and access log get agrees.
func TestTracesReachInstancesAndCollector(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	spans, parents := map[string]*tracepb.Span{}, map[string]string{}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		unzip, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, err := io.ReadAll(unzip)
		var request collectorpb.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &request) != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("the collector got %s, %v", r.URL.Path, err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range request.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, s := range scope.Spans {
					spans[hex.EncodeToString(s.TraceId)+"/"+hex.EncodeToString(s.SpanId)] = s
				}
			}
		}
	}))
	defer collector.Close()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Got", r.Header.Get("Traceparent"))
		w.Header().Set("X-State", r.Header.Get("Tracestate"))
	})
	one := httptest.NewServer(handler)
	defer one.Close()
	two := httptest.NewUnstartedServer(handler)
	two.Config.Protocols = new(http.Protocols)
	two.Config.Protocols.SetUnencryptedHTTP2(true)
	two.Start()
	defer two.Close()
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
`, log, collector.URL, one.Listener.Addr(), porttest.Refused(t), two.Listener.Addr()))
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
		eventually(t, "the collector has the span that the instance got", func() bool { mu.Lock(); defer mu.Unlock(); return spans[id+"/"+parent] != nil })
		mu.Lock()
		try := spans[id+"/"+parent]
		exchange := spans[id+"/"+hex.EncodeToString(try.ParentSpanId)]
		if exchange == nil || hex.EncodeToString(exchange.ParentSpanId) != "00f067aa0ba902b7" || exchange.Kind != tracepb.Span_SPAN_KIND_SERVER || try.Kind != tracepb.Span_SPAN_KIND_CLIENT ||
			try.StartTimeUnixNano < exchange.StartTimeUnixNano || try.EndTimeUnixNano > exchange.EndTimeUnixNano {
			t.Errorf("try %v of %v", try, exchange)
		}
		mu.Unlock()
	}
	mu.Lock()
	if len(spans) <= 2*n { // some tries met the instance that refuses connections
		t.Errorf("%d spans of %d requests", len(spans), n)
	}
	mu.Unlock()
	eventually(t, "the access log has each trace", func() bool {
		text, _ := os.ReadFile(log)
		return strings.Count(string(text), `"trace_id":"`+trace) == n
	})
}

func TestWithoutACollectorRequestsAreAnsweredAndSpansCounted(t *testing.T) {
	t.Parallel()
	ins := instances(t, 1)
	file := mustWrite(t, fmt.Sprintf(`listeners: [{name: web, address: "127.0.0.1:0"}]
telemetry: {tracing: {endpoint: "http://%s", sample: 1, timeout: 100ms}}
routes: [{name: all, path: {prefix: /}, service: shop}]
services: [{id: shop, instances: [{id: i1, address: %q}]}]
`, porttest.Refused(t), ins[0].addr))
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
}
