package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/smartlb/smartlb/internal/dataplane/accesslog"
	"github.com/smartlb/smartlb/internal/dataplane/tracecontext"
)

// logCollector decodes what it gets with the official types.
type logCollector struct {
	t       *testing.T
	mu      sync.Mutex
	records []*logspb.LogRecord
	node    map[string]any
	answer  func(w http.ResponseWriter) bool // false: take the records
}

func (c *logCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	unzip, err := gzip.NewReader(r.Body)
	if err != nil {
		c.t.Error(err)
		return
	}
	body, err := io.ReadAll(unzip)
	var request collectorpb.ExportLogsServiceRequest
	if err != nil || proto.Unmarshal(body, &request) != nil || r.URL.Path != "/v1/logs" {
		c.t.Errorf("got %s, %d bytes: %v", r.URL.Path, len(body), err)
		return
	}
	if c.answer != nil && c.answer(w) {
		return
	}
	for _, resource := range request.ResourceLogs {
		c.node = values(&tracepb.Span{Attributes: resource.Resource.Attributes})
		for _, scope := range resource.ScopeLogs {
			c.records = append(c.records, scope.LogRecords...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *logCollector) len() int { c.mu.Lock(); defer c.mu.Unlock(); return len(c.records) }

// startLogs runs an exporter. It returns it, and what ends it.
func startLogs(t *testing.T, cfg Config) (*LogExporter, func()) {
	t.Helper()
	cfg.Node, cfg.Key = "node-1", "telemetry.logs"
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e, err := NewLogs(cfg)
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

func anEntry() *accesslog.Entry {
	return &accesslog.Entry{
		Time: 1e18 + 7, RequestID: []byte("id-1"), Traced: true, Trace: tracecontext.Context{TraceID: [16]byte{1}, SpanID: [8]byte{2}, Sampled: true},
		Client: netip.MustParseAddr("192.0.2.1"), Listener: "web", Protocol: "HTTP/2.0", Method: []byte("GET"), Host: []byte("shop.example:8443"), Target: []byte("/a\xff?b=c"),
		Status: 503, BytesIn: 1, BytesOut: 2, Dispatched: true, DurationNs: 3000, Route: "all", Service: "s", Instance: "s-1", Attempts: 2, User: "ann",
		QueueNs: 4000, Hedge: "won", Failure: "reset", Why: "turn", SNI: "shop.example", TLSSubject: "CN=a",
	}
}

func TestACollectorGetsTheAccessLog(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "none")
	c := &logCollector{t: t}
	server := httptest.NewServer(c)
	defer server.Close()
	e, _ := startLogs(t, Config{Endpoint: server.URL + "/v1/logs"})
	e.Log(anEntry())
	refused := &accesslog.Entry{Time: 1e18, Status: 400, Method: []byte("PURGE"), Why: "bad", Target: []byte(strings.Repeat("x", 9999))}
	e.Log(refused)
	eventually(t, "two records arrive", func() bool { return c.len() == 2 })
	r := c.records[0]
	if r.TimeUnixNano != 1e18+7 || r.TraceId[0] != 1 || r.SpanId[0] != 2 || r.Flags&1 == 0 || r.SeverityNumber != logspb.SeverityNumber_SEVERITY_NUMBER_ERROR || r.Body.GetStringValue() != "GET /a\uFFFD?b=c" {
		t.Errorf("record %v", r)
	}
	v := values(&tracepb.Span{Attributes: r.Attributes})
	for key, want := range map[string]any{
		"http.request.method": "GET", "url.path": "/a\uFFFD", "url.query": "b=c", "server.address": "shop.example", "server.port": int64(8443), "client.address": "192.0.2.1",
		"network.protocol.version": "2", "smartlb.request_id": "id-1", "smartlb.listener": "web", "smartlb.route": "all", "smartlb.service": "s",
		"smartlb.instance": "s-1", "user.name": "ann", "smartlb.hedge": "won", "smartlb.failure": "reset", "smartlb.why": "turn",
		"tls.client.server_name": "shop.example", "tls.client.subject": "CN=a", "http.response.status_code": int64(503),
		"smartlb.request.bytes": int64(1), "smartlb.response.bytes": int64(2), "smartlb.attempts": int64(2), "smartlb.duration_us": int64(3), "smartlb.queue_us": int64(4),
	} {
		if v[key] != want {
			t.Errorf("%s is %v", key, v[key])
		}
	}
	if c.node["service.name"] != "smartlb" || c.node["service.instance.id"] != "node-1" {
		t.Errorf("resource %v", c.node)
	}
	r = c.records[1]
	v = values(&tracepb.Span{Attributes: r.Attributes})
	if path, _ := v["url.path"].(string); len(r.TraceId)+len(r.SpanId) != 0 || r.SeverityNumber != logspb.SeverityNumber_SEVERITY_NUMBER_INFO || len(path) != 512 || v["http.request.method"] != "_OTHER" || v["http.request.method_original"] != "PURGE" || v["smartlb.route"] != nil {
		t.Errorf("record %v", r)
	}
	if s := e.Stats(); s != (Stats{}) {
		t.Errorf("lost %+v", s)
	}
}

// A collector that refuses, takes a part, answers nonsense, or says nothing: each batch is counted as lost, and the next
// batch is sent.
func TestBadCollectorsOfLogsAreCounted(t *testing.T) {
	partial, err := proto.Marshal(&collectorpb.ExportLogsServiceResponse{PartialSuccess: &collectorpb.ExportLogsPartialSuccess{RejectedLogRecords: 1, ErrorMessage: "no"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{"refuses": nil, "a part": partial, "nonsense": []byte("\xff\xff"), "endless": make([]byte, 1<<20)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := true
			c := &logCollector{t: t}
			c.answer = func(w http.ResponseWriter) bool {
				if bad {
					w.Header().Set("Content-Type", "application/x-protobuf")
					if body == nil {
						w.WriteHeader(http.StatusBadRequest)
					}
					_, _ = w.Write(body)
				}
				return bad
			}
			server := httptest.NewServer(c)
			defer server.Close()
			var log bytes.Buffer
			e, stop := startLogs(t, Config{Endpoint: server.URL + "/v1/logs", Log: slog.New(slog.NewTextHandler(&log, nil))})
			e.Log(anEntry())
			eventually(t, "the batch is counted as lost", func() bool { return e.Stats().Undelivered == 1 })
			c.mu.Lock()
			bad = false
			c.mu.Unlock()
			e.Log(anEntry())
			eventually(t, "the next batch arrives", func() bool { return c.len() == 1 })
			stop()
			if text := log.String(); !strings.Contains(text, "the collector of logs did not accept records") || !strings.Contains(text, "accepts records again") {
				t.Errorf("log %q", text)
			}
		})
	}
}

func TestLoggingAllocatesNothingAndIsBounded(t *testing.T) {
	e, err := NewLogs(Config{Endpoint: "http://127.0.0.1:1/v1/logs", Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	entry := anEntry()
	if n := testing.AllocsPerRun(100, func() {
		e.Log(entry)
		e.free <- <-e.ring
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	for range ringSlots + 10 {
		e.Log(entry)
	}
	if got, want := fmt.Sprint(len(e.ring), e.Stats()), fmt.Sprint(ringSlots, Stats{Dropped: 10}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
