package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/proxy"
	"github.com/smartlb/smartlb/internal/dataplane/tracecontext"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// collector decodes what it gets with the official types.
type collector struct {
	t       *testing.T
	mu      sync.Mutex
	spans   []*tracepb.Span
	headers http.Header
	path    string
	answer  func(w http.ResponseWriter, r *http.Request) bool // false: take the spans
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers, c.path = r.Header.Clone(), r.URL.Path
	unzip, err := gzip.NewReader(r.Body)
	if err != nil {
		c.t.Error(err)
		return
	}
	body, err := io.ReadAll(unzip)
	var request collectorpb.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(body, &request) != nil {
		c.t.Errorf("got %d bytes that are no request: %v", len(body), err)
		return
	}
	if c.answer != nil && c.answer(w, r) {
		return
	}
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *collector) len() int { c.mu.Lock(); defer c.mu.Unlock(); return len(c.spans) }

// start runs an exporter. It returns it, and what ends it.
func start(t *testing.T, cfg Config) (*Exporter, func()) {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Node, cfg.Key = "node-1", "telemetry.tracing"
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return e, stop
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// anExchange was retried once.
func anExchange() *proxy.Span {
	pool := &upstream.Pool{Name: "adaptive", Panic: true, Members: []upstream.Member{{Live: upstream.NewLive("s", "s-0", "a:1", 1, 0)}, {Live: upstream.NewLive("s", "s-1", "a:2", 1, 0)}}}
	s := &proxy.Span{
		Context: tracecontext.Context{TraceID: [16]byte{1}, SpanID: [8]byte{7: 0x15}, Sampled: true}, Parent: [8]byte{9},
		Start: 1000, End: 9000, Wall: 1e18, ID: []byte("id-1"), Method: []byte("GET"), Host: []byte("shop.example:8443"), Path: []byte("/a\xff" + strings.Repeat("x", 9999)),
		Scheme: "https", Protocol: "HTTP/2.0", Listener: "web", Client: netip.MustParseAddr("192.0.2.1"), Status: 200, Why: "turn",
		Record: &dispatch.Record{Route: "all", Service: "s", Instance: "s-1", QueueNs: 5000, Attempts: 2},
		Tries: []dispatch.Attempt{
			{Pool: pool, Chosen: 0, At: 2000, HeadNs: 1000, Failure: dispatch.ConnectRefused, Retried: true, Span: 0x16, Trace: upstream.Trace{Reason: "turn"}},
			{Pool: pool, Chosen: 1, At: 4000, HeadNs: 1000, Status: 200, Span: 0x17, Trace: upstream.Trace{
				Reason: "lowest-cost", N: 2, Candidates: [8]upstream.Candidate{{Index: 0, Cost: 12.5, InFlight: 3}, {Index: 1, Cost: .25}},
			}},
		},
	}
	return s
}

func values(s *tracepb.Span) map[string]any {
	out := map[string]any{}
	for _, a := range s.Attributes {
		switch v := a.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			out[a.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			out[a.Key] = v.IntValue
		case *commonpb.AnyValue_BoolValue:
			out[a.Key] = v.BoolValue
		case *commonpb.AnyValue_ArrayValue:
			var all []string
			for _, one := range v.ArrayValue.Values {
				all = append(all, one.GetStringValue())
			}
			out[a.Key] = all
		}
	}
	return out
}

func TestACollectorGetsTheExchangeAndItsTries(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-strange=1")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("COLLECTOR_TOKEN", "first")
	c := &collector{t: t}
	server := httptest.NewTLSServer(c)
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	e, _ := start(t, Config{Endpoint: server.URL + "/v1/traces", CA: ca, Headers: map[string]secret.Ref{"Authorization": "${env:COLLECTOR_TOKEN}"}})
	e.Record(anExchange())
	eventually(t, "three spans arrive", func() bool { return c.len() == 3 })
	if c.path != "/v1/traces" || c.headers.Get("Authorization") != "first" || c.headers.Get("X-Strange") != "" {
		t.Errorf("got %s %v", c.path, c.headers)
	}
	root, first, second := c.spans[0], c.spans[1], c.spans[2]
	if root.Name != "GET all" || root.Kind != tracepb.Span_SPAN_KIND_SERVER || root.ParentSpanId[0] != 9 || root.StartTimeUnixNano != 1e18+1000 || root.EndTimeUnixNano != 1e18+9000 || root.Status != nil {
		t.Errorf("exchange: %v", root)
	}
	v := values(root)
	for key, want := range map[string]any{
		"http.request.method": "GET", "http.response.status_code": int64(200), "url.scheme": "https", "server.address": "shop.example", "client.address": "192.0.2.1",
		"network.protocol.version": "2", "server.port": int64(8443), "smartlb.request_id": "id-1", "smartlb.route": "all", "smartlb.service": "s", "smartlb.instance": "s-1",
		"smartlb.why": "turn", "smartlb.attempts": int64(2), "smartlb.queue_us": int64(5), "smartlb.listener": "web", "smartlb.failure": nil,
	} {
		if v[key] != want {
			t.Errorf("%s is %v", key, v[key])
		}
	}
	if path, _ := v["url.path"].(string); len(path) > 520 || !strings.HasPrefix(path, "/a\uFFFDx") {
		t.Errorf("path %q", path)
	}
	for i, s := range []*tracepb.Span{first, second} {
		if !bytes.Equal(s.ParentSpanId, root.SpanId) || !bytes.Equal(s.TraceId, root.TraceId) || s.SpanId[7] != byte(0x16+i) || s.Kind != tracepb.Span_SPAN_KIND_CLIENT {
			t.Errorf("try %d: %v", i, s)
		}
	}
	if v := values(first); v["smartlb.instance"] != "s-0" || v["smartlb.failure"] != "connect-refused" || v["smartlb.retried"] != true || v["smartlb.reason"] != "turn" || first.Status.Code != tracepb.Status_STATUS_CODE_ERROR || first.EndTimeUnixNano != 1e18+3000 {
		t.Errorf("first try: %v", first)
	}
	if got, want := fmt.Sprint(values(second)["smartlb.candidates"]), "[s-0 cost=12.5 in_flight=3 s-1 cost=0.25 in_flight=0]"; got != want {
		t.Errorf("candidates %s, want %s", got, want)
	}
	if v := values(second); v["smartlb.policy"] != "adaptive" || v["smartlb.panic"] != true || v["smartlb.reason"] != "lowest-cost" {
		t.Errorf("second try: %v", second)
	}
	if v := values(second); v["smartlb.instance"] != "s-1" || v["http.request.resend_count"] != int64(1) || second.Status != nil || second.EndTimeUnixNano != 1e18+9000 {
		t.Errorf("second try: %v", second)
	}
	t.Setenv("COLLECTOR_TOKEN", "second")
	e.Record(anExchange())
	eventually(t, "three more spans arrive", func() bool { return c.len() == 6 })
	if got := c.headers.Get("Authorization"); got != "second" {
		t.Errorf("after the secret changed, the collector got %s", got)
	}
	if s := e.Stats(); s != (Stats{}) {
		t.Errorf("lost %+v", s)
	}
}

// A client chooses its method and authority, so neither may spoil a batch or make up names of spans.
func TestStrangeRequestsMakeValidSpans(t *testing.T) {
	for _, row := range []struct {
		method, host, name, original string
		address                      any
		port                         any
	}{
		{"GET", "a.example", "GET all", "", "a.example", nil},
		{"PURGE\xff", "[2001:db8::1]:8080", "HTTP all", "PURGE\uFFFD", "2001:db8::1", int64(8080)},
		{"get", "[2001:db8::1]", "HTTP all", "get", "2001:db8::1", nil},
		{"OPTIONS", "a\xff:99999", "OPTIONS all", "", "a\uFFFD", nil},
		{strings.Repeat("X", 99), ":", "HTTP all", strings.Repeat("X", 16), nil, nil},
	} {
		s := anExchange()
		s.Method, s.Host = []byte(row.method), []byte(row.host)
		one := &slot{}
		one.copy(s)
		span := one.exchange()
		v := values(span)
		original, _ := v["http.request.method_original"].(string)
		if span.Name != row.name || original != row.original || v["server.address"] != row.address || v["server.port"] != row.port {
			t.Errorf("%q %q: %v", row.method, row.host, span)
		}
		if _, err := proto.Marshal(span); err != nil {
			t.Error(err)
		}
	}
}

// The dispatcher lists the try that lost before the one that won, whichever began first.
func TestTheFirstTryIsNoResend(t *testing.T) {
	s := anExchange()
	s.Tries[0].At, s.Tries[1].At = 4000, 2000
	one := &slot{}
	one.copy(s)
	if first, second := values(one.attempt(0)), values(one.attempt(1)); first["http.request.resend_count"] != int64(1) || second["http.request.resend_count"] != nil {
		t.Errorf("got %v and %v", first, second)
	}
}

// A collector that refuses, redirects, takes a part, answers nonsense or endlessly, or is not there: each batch is counted
// as lost, and the next batch is sent.
func TestBadCollectorsAreCounted(t *testing.T) {
	partial, err := proto.Marshal(&collectorpb.ExportTraceServiceResponse{PartialSuccess: &collectorpb.ExportTracePartialSuccess{RejectedSpans: -7, ErrorMessage: "no"}})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	t.Cleanup(elsewhere.Close)
	protobuf := func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/x-protobuf") }
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"refuses": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			_, _ = w.Write(bytes.Repeat([]byte("\x1b["), 9000))
		},
		"unavailable": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "999999999999")
			w.WriteHeader(503)
		},
		"redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
		"a part":   func(w http.ResponseWriter, _ *http.Request) { protobuf(w); _, _ = w.Write(partial) },
		"nonsense": func(w http.ResponseWriter, _ *http.Request) { protobuf(w); _, _ = w.Write([]byte("\xff\xff")) },
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			protobuf(w)
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		},
		"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"cuts":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := true
			c := &collector{t: t}
			c.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if bad {
					answer(w, r)
				}
				return bad
			}
			server := httptest.NewServer(c)
			defer server.Close()
			var log bytes.Buffer
			timeout := time.Minute
			if name == "silent" || name == "unavailable" {
				timeout = 200 * time.Millisecond
			}
			e, stop := start(t, Config{Endpoint: server.URL + "/v1/traces", Timeout: timeout, Log: slog.New(slog.NewTextHandler(&log, nil))})
			losesOneBatchAndRecovers(t, e, c.len, func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				bad = false
			})
			stop()
			namesTheLoss(t, log.String())
		})
	}
}

// losesOneBatchAndRecovers records an exchange that a bad collector does not accept, repairs the collector, and records
// until spans have arrived.
func losesOneBatchAndRecovers(t *testing.T, e *Exporter, arrived func() int, repair func()) {
	t.Helper()
	e.Record(anExchange())
	eventually(t, "the batch is counted as lost", func() bool { return e.Stats().Undelivered == 3 })
	repair()
	for arrived() == 0 { // a short timeout may end a good batch too
		before := e.Stats().Undelivered
		e.Record(anExchange())
		eventually(t, "the next batch ends", func() bool { return arrived() > 0 || e.Stats().Undelivered > before })
	}
}

// namesTheLoss checks the log after a batch was lost: it is short, and nothing of the answer controls a terminal.
func namesTheLoss(t *testing.T, log string) {
	t.Helper()
	if !strings.Contains(log, "did not accept spans") || len(log) > 4000 || strings.Contains(log, "\x1b") {
		t.Errorf("log %q", log)
	}
}

func TestASlowCollectorDelaysNoRequest(t *testing.T) {
	release := make(chan struct{})
	c := &collector{t: t, answer: func(http.ResponseWriter, *http.Request) bool { <-release; return false }}
	server := httptest.NewServer(c)
	defer server.Close()
	e, stop := start(t, Config{Endpoint: server.URL + "/v1/traces"})
	const n = 2*ringSlots + 2*batchMost
	for range n {
		e.Record(anExchange())
	}
	if lost := e.Stats().Dropped; lost < n-ringSlots-batchMost-1 || lost > n-ringSlots {
		t.Errorf("%d of %d were dropped", lost, n)
	}
	close(release)
	lost := int(e.Stats().Dropped)
	eventually(t, "the collector has what was not dropped", func() bool { return c.len() == 3*(n-lost) })
	stop()
	if s := e.Stats(); s != (Stats{Dropped: uint64(lost)}) {
		t.Errorf("lost %+v", s)
	}
}

func TestRecordingAllocatesNothing(t *testing.T) {
	e, err := New(Config{Endpoint: "http://127.0.0.1:1/v1/traces", Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	s := anExchange()
	if n := testing.AllocsPerRun(100, func() {
		e.Record(s)
		e.free <- <-e.ring
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, cfg := range map[string]Config{
		"telemetry.tracing.ca: open":              {CA: empty + "-not"},
		"holds no certificate":                    {CA: empty},
		"telemetry.tracing.headers.X: the variab": {Headers: map[string]secret.Ref{"X": "${env:NOT_SET_AT_ALL}"}},
	} {
		cfg.Key = "telemetry.tracing"
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
