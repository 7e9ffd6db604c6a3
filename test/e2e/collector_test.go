package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/smartlb/smartlb/internal/test/porttest"
)

// collector is a real OpenTelemetry collector that writes what it gets to a file.
type collector struct {
	t   *testing.T
	url string // of OTLP over HTTP
	rpc string // of OTLP over gRPC
	out string
}

// collectorBinary is built once for all tests.
var collectorBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "collector")
	out, err := exec.Command("go", "build", "-C", "../../tools/collector", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the collector: %w\n%s", err, out)
	}
	return path, nil
})

// newCollector starts a collector. It passes metrics on to the URLs.
func newCollector(t *testing.T, metrics ...string) *collector {
	t.Helper()
	path, err := collectorBinary()
	if err != nil {
		t.Fatal(err)
	}
	addr, rpc := porttest.Address(t), porttest.Address(t)
	c := &collector{t: t, url: "http://" + addr, rpc: "http://" + rpc, out: filepath.Join(t.TempDir(), "lines")}
	pipelines, exporters := "traces: {receivers: [otlp], exporters: [lines]}, logs: {receivers: [otlp], exporters: [lines]}", ""
	for i, url := range metrics {
		exporters += fmt.Sprintf(", otlp_http/%d: {endpoint: %q}", i, url)
		pipelines += fmt.Sprintf(", metrics/%d: {receivers: [otlp], exporters: [otlp_http/%d]}", i, i)
	}
	config := mustWrite(t, fmt.Sprintf(`receivers: {otlp: {protocols: {http: {endpoint: %q}, grpc: {endpoint: %q}}}}
exporters: {lines: {path: %q}%s}
service: {pipelines: {%s}}
`, addr, rpc, c.out, exporters, pipelines))
	cmd := exec.Command(path, "--config", "file:"+config)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the collector wrote %s", log.String())
		}
	})
	eventually(t, "the collector answers", func() bool {
		res, err := http.Get(c.url)
		if err == nil {
			_ = res.Body.Close()
		}
		return err == nil
	})
	return c
}

// Kinds of spans and codes of their status, as numbers of OTLP.
const (
	kindServer = 2
	kindClient = 3
	codeError  = 2
)

// gotRecord is a log record as the collector writes it.
type gotRecord struct {
	TraceID    string         `json:"traceId"`
	SpanID     string         `json:"spanId"`
	Body       map[string]any `json:"body"`
	Attributes []gotAttribute `json:"attributes"`

	values map[string]any // numbers are text
}

// gotSpan is a span as the collector writes it.
type gotSpan struct {
	TraceID      string `json:"traceId"`
	SpanID       string `json:"spanId"`
	ParentSpanID string `json:"parentSpanId"`
	Name         string `json:"name"`
	Kind         int    `json:"kind"`
	Start        string `json:"startTimeUnixNano"` // all have the same number of digits
	End          string `json:"endTimeUnixNano"`
	Status       struct {
		Code int `json:"code"`
	} `json:"status"`
	Attributes []gotAttribute `json:"attributes"`

	values map[string]any // of the span and of its resource; numbers are text
}

type gotAttribute struct {
	Key   string         `json:"key"`
	Value map[string]any `json:"value"`
}

// got is a batch of spans or records.
type got struct {
	ResourceSpans []struct {
		Resource   struct{ Attributes []gotAttribute }
		ScopeSpans []struct{ Spans []gotSpan }
	}
	ResourceLogs []struct {
		Resource  struct{ Attributes []gotAttribute }
		ScopeLogs []struct{ LogRecords []gotRecord }
	}
}

// batches returns what the collector got so far.
func (c *collector) batches() (all []got) {
	c.t.Helper()
	raw, err := os.ReadFile(c.out)
	if err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	for line := range bytes.Lines(raw) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // being written
		}
		var batch got
		if err := json.Unmarshal(line, &batch); err != nil {
			c.t.Fatal(err)
		}
		all = append(all, batch)
	}
	return all
}

// spans returns the spans so far.
func (c *collector) spans() (all []gotSpan) {
	for _, batch := range c.batches() {
		for _, r := range batch.ResourceSpans {
			for _, scope := range r.ScopeSpans {
				for _, s := range scope.Spans {
					s.values = valuesOf(r.Resource.Attributes, s.Attributes)
					all = append(all, s)
				}
			}
		}
	}
	return all
}

// records returns the log records so far.
func (c *collector) records() (all []gotRecord) {
	for _, batch := range c.batches() {
		for _, r := range batch.ResourceLogs {
			for _, scope := range r.ScopeLogs {
				for _, one := range scope.LogRecords {
					one.values = valuesOf(r.Resource.Attributes, one.Attributes)
					all = append(all, one)
				}
			}
		}
	}
	return all
}

func valuesOf(lists ...[]gotAttribute) map[string]any {
	all := map[string]any{}
	for _, list := range lists {
		for _, a := range list {
			for _, v := range a.Value { // one, by its type
				all[a.Key] = v
			}
		}
	}
	return all
}

// span waits for the span with that id.
func (c *collector) span(trace, id string) (found gotSpan) {
	c.t.Helper()
	eventually(c.t, "the collector has the span "+id+" of the trace "+trace, func() bool {
		for _, s := range c.spans() {
			if s.TraceID == trace && s.SpanID == id {
				found = s
				return true
			}
		}
		return false
	})
	return found
}

// childOf returns a child of parent, nil if the collector has none.
func (c *collector) childOf(parent gotSpan) *gotSpan {
	for _, s := range c.spans() {
		if s.TraceID == parent.TraceID && s.ParentSpanID == parent.SpanID {
			return &s
		}
	}
	return nil
}
