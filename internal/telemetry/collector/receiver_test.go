package collector

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	service "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/smartlb/smartlb/internal/base/otlpmetrics"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
)

// receiving is a receiver with a clock of the test.
type receiving struct {
	t   *testing.T
	r   *Receiver
	log *topicLog
	now time.Time
}

const otlpServices = `services:
  - id: shop
    loadReports:
      otlp:
        metrics:
          utilization: workers.busy / workers.max
          inFlight: http.server.active_requests
          requests: http.server.request.duration
          errors: 'http.server.request.duration{http.response.status_code=~"5.."}'
    instances:
      - {id: shop-1, address: "10.0.1.1:8080"}
      - {id: shop-2, address: "10.0.1.2:8080"}
  - id: silent
    instances: [{id: silent-1, address: "10.0.1.3:8080"}]
  - id: found
    instances: [{id: box-1, address: "10.0.1.4:8080"}]
    loadReports: {otlp: {serviceName: Found, instanceAttribute: host.name, metrics: {cpu: process.cpu.utilization}}}
`

func receive(t *testing.T, token string) *receiving {
	t.Helper()
	d, err := config.Parse([]byte(otlpServices))
	if err != nil {
		t.Fatal(err)
	}
	gate, err := access.New(access.Config{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	x := &receiving{t: t, log: &topicLog{}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	x.r = NewReceiver(ReceiverConfig{
		Services: func() []config.Service { return d.Services }, Sender: x.log, Gate: gate, Wall: func() time.Time { return x.now }, Log: slog.New(slog.DiscardHandler),
	})
	return x
}

// resource is the metrics of an instance, in the JSON of OTLP.
func resourceOf(name, instance string, metrics ...string) string {
	return fmt.Sprintf(`{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": %q}}, {"key": "service.instance.id", "value": {"stringValue": %q}}]}, "scopeMetrics": [{"metrics": [%s]}]}`,
		name, instance, strings.Join(metrics, ", "))
}

func (x *receiving) gauge(name string, value float64) string {
	return fmt.Sprintf(`{"name": %q, "gauge": {"dataPoints": [{"asDouble": %v, "timeUnixNano": "%d"}]}}`, name, value, x.now.UnixNano())
}

// durations is a histogram of requests by status, which began at a time.
func (x *receiving) durations(began time.Time, delta bool, byStatus map[int]int) string {
	var points []string
	for status, n := range byStatus {
		points = append(points, fmt.Sprintf(`{"attributes": [{"key": "http.response.status_code", "value": {"intValue": "%d"}}], "count": "%d", "startTimeUnixNano": "%d", "timeUnixNano": "%d"}`, status, n, began.UnixNano(), x.now.UnixNano()))
	}
	temporality := 2
	if delta {
		temporality = 1
	}
	return fmt.Sprintf(`{"name": "http.server.request.duration", "histogram": {"aggregationTemporality": %d, "dataPoints": [%s]}}`, temporality, strings.Join(points, ", "))
}

func (x *receiving) post(contentType, encoding, token string, body []byte) *http.Response {
	req := httptest.NewRequest(http.MethodPost, "/v1/metrics", bytes.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	x.r.ServeHTTP(w, req)
	return w.Result()
}

// send sends resources in both forms in turn and returns the rejected points and the reason.
func (x *receiving) send(binary bool, resources ...string) (int64, string) {
	x.t.Helper()
	body, kind := []byte(`{"resourceMetrics": [`+strings.Join(resources, ", ")+`]}`), jsonType
	if binary {
		var r service.ExportMetricsServiceRequest
		if err := protojson.Unmarshal(body, &r); err != nil {
			x.t.Fatal(err)
		}
		body, kind = must(x.t, &r), protoType
	}
	res := x.post(kind, "", "", body)
	var got service.ExportMetricsServiceResponse
	var answer bytes.Buffer
	_, _ = answer.ReadFrom(res.Body)
	var err error
	if binary {
		err = proto.Unmarshal(answer.Bytes(), &got)
	} else {
		err = protojson.Unmarshal(answer.Bytes(), &got)
	}
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != kind {
		x.t.Fatalf("status %d, %s: %v %s", res.StatusCode, res.Header.Get("Content-Type"), err, answer.Bytes())
	}
	return got.GetPartialSuccess().GetRejectedDataPoints(), got.GetPartialSuccess().GetErrorMessage()
}

func must(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// last returns the latest message about an instance, and how many there are.
func (x *receiving) last(instance string) (m event.ServiceMetrics, n int) {
	x.t.Helper()
	all := x.log.of(event.TopicServiceMetrics, instance)
	if len(all) == 0 {
		return m, 0
	}
	r := all[len(all)-1]
	m, err := event.DecodeServiceMetrics(r.Value)
	if by, _ := r.Header(event.HeaderReporter); err != nil || string(by) != "collector/otlp" || string(r.Key) != m.ServiceID {
		x.t.Fatalf("%v: %s by %s", err, r.Value, by)
	}
	return m, len(all)
}

func TestMetricsByOTLPBecomeMessages(t *testing.T) {
	for _, binary := range []bool{false, true} {
		for _, delta := range []bool{false, true} {
			t.Run(fmt.Sprintf("binary %v, delta %v", binary, delta), func(t *testing.T) {
				x := receive(t, "")
				began := x.now.Add(-time.Hour)
				total := map[int]int{}
				step := func(want event.Metrics, grown map[int]int, more ...string) {
					t.Helper()
					for status, n := range grown {
						total[status] += n
					}
					counters := total
					if delta {
						counters = grown
					}
					if rejected, why := x.send(binary, resourceOf("shop", "shop-1", append(more, x.durations(began, delta, counters), x.gauge("another", 5))...)); rejected != 0 || why != "" {
						t.Errorf("%d rejected: %s", rejected, why)
					}
					m, _ := x.last("shop-1")
					if d := cmp.Diff(want, m.Metrics); d != "" || !m.Timestamp.Equal(x.now) {
						t.Errorf("of %v, at %v (-want +got)\n%s", m.Timestamp, x.now, d)
					}
					x.now = x.now.Add(10 * time.Second)
				}
				step(event.Metrics{Utilization: event.Some(.75), ActiveConnections: event.Some(3)}, map[int]int{200: 1000}, x.gauge("workers.busy", 6), x.gauge("workers.max", 8), x.gauge("http.server.active_requests", 3))
				step(event.Metrics{RPS: event.Some(10), ErrorRate: event.Some(0)}, map[int]int{200: 100})
				step(event.Metrics{RPS: event.Some(10), ErrorRate: event.Some(.25)}, map[int]int{200: 75, 503: 25})
				// The first part of what it sends has no requests.
				if _, why := x.send(binary, resourceOf("shop", "shop-1", x.gauge("workers.busy", 16), x.gauge("workers.max", 8))); why != "" {
					t.Error(why)
				}
				if m, _ := x.last("shop-1"); m.Metrics != (event.Metrics{Utilization: event.Some(1)}) {
					t.Errorf("got %+v", m.Metrics)
				}
				step(event.Metrics{RPS: event.Some(5), ErrorRate: event.Some(.5)}, map[int]int{200: 25, 500: 25})
				if delta {
					return
				}
				_, before := x.last("shop-1")
				began, total = x.now.Add(-time.Second), map[int]int{} // it began anew, and counts more than before
				x.send(binary, resourceOf("shop", "shop-1", x.durations(began, delta, map[int]int{200: 100_000})))
				if _, n := x.last("shop-1"); n != before {
					t.Error("the requests of a new process since its start are a rate")
				}
			})
		}
	}
}

func TestWhatIsSentTwiceCountsOnce(t *testing.T) {
	x := receive(t, "")
	one := func() string { return resourceOf("shop", "shop-1", x.durations(x.now, true, map[int]int{200: 100})) }
	x.send(true, one())
	x.now = x.now.Add(10 * time.Second)
	again := one()
	x.send(true, again)
	x.send(true, again)
	x.now = x.now.Add(10 * time.Second)
	x.send(true, one())
	if m, n := x.last("shop-1"); n != 2 || m.Metrics.RPS != event.Some(10) {
		t.Errorf("%d messages, the latest with %+v", n, m.Metrics)
	}
	if rejected, why := x.send(true, again); rejected != 0 || why != "" {
		t.Errorf("%d rejected: %s", rejected, why)
	}
}

func TestOnlyInstancesOfServicesThatUseItCount(t *testing.T) {
	x := receive(t, "")
	at := func(name, instance string) string {
		return resourceOf(name, instance, x.gauge("workers.busy", 1), x.gauge("workers.max", 8))
	}
	for _, tc := range []struct{ resource, why string }{
		{at("nowhere", "shop-1"), `no service uses the metrics of service.name "nowhere"`},
		{at("silent", "silent-1"), `no service uses the metrics of service.name "silent"`},
		{at("shop", "shop-3"), `the service shop has no instance "shop-3"`},
		{at("shop", ""), `the service shop has no instance ""`},
		{`{"scopeMetrics": [{"metrics": [` + x.gauge("workers.busy", 1) + "," + x.gauge("workers.max", 1) + `]}]}`, `service.name ""`},
	} {
		if rejected, why := x.send(true, tc.resource, at("shop", "shop-2")); rejected != 2 || !strings.Contains(why, tc.why) {
			t.Errorf("%d rejected, %s; want %s", rejected, why, tc.why)
		}
	}
	if _, n := x.last("shop-2"); n != 5 {
		t.Errorf("the other resource of these requests made %d messages, want 5", n)
	}
	host := func(id string) string {
		return strings.ReplaceAll(resourceOf("Found", id, x.gauge("process.cpu.utilization", .5)), "service.instance.id", "host.name")
	}
	if rejected, why := x.send(false, host("box-1"), host("box-2"), resourceOf("Found", "box-1", x.gauge("process.cpu.utilization", .5))); rejected != 2 || why == "" {
		t.Errorf("%d rejected: %s", rejected, why)
	}
	if m, n := x.last("box-1"); n != 1 || m.ServiceID != "found" || m.Metrics.CPUUsage != event.Some(.5) {
		t.Errorf("an instance named by another attribute: %d messages, %+v", n, m)
	}
}

func TestReportsAreBounded(t *testing.T) {
	x := receive(t, "")
	one := func() string { return resourceOf("shop", "shop-1", x.gauge("http.server.active_requests", 3)) }
	for range burst {
		if rejected, why := x.send(true, one()); rejected > 0 {
			t.Fatal(why)
		}
	}
	if rejected, why := x.send(true, one()); rejected != 1 || !strings.Contains(why, "more than one report per 1s") {
		t.Errorf("%d rejected: %s", rejected, why)
	}
	x.now = x.now.Add(time.Second)
	if rejected, why := x.send(true, one()); rejected > 0 {
		t.Error(why)
	}
	x.now = x.now.Add(time.Second)
	huge := resourceOf("shop", "shop-1", x.gauge("http.server.active_requests", 9e14), x.gauge("http.server.active_requests", 9e15))
	if rejected, why := x.send(true, huge); rejected != 0 {
		t.Error("a number above 1e15 is skipped:", why)
	}
	x.now = x.now.Add(time.Second)
	var many []string
	for i := range 11 { // series that differ
		many = append(many, strings.Replace(x.gauge("http.server.active_requests", 9e14), "{\"asDouble", fmt.Sprintf(`{"attributes": [{"key": "a", "value": {"intValue": "%d"}}], "asDouble`, i), 1))
	}
	if rejected, why := x.send(true, resourceOf("shop", "shop-1", many...)); rejected != 11 || !strings.Contains(why, "activeConnections") {
		t.Errorf("a sum that no message can have: %d rejected: %s", rejected, why)
	}
	for _, off := range []time.Duration{-2 * time.Minute, 2 * time.Minute} {
		now := x.now
		x.now = now.Add(off)
		body := resourceOf("shop", "shop-2", x.gauge("http.server.active_requests", 3))
		x.now = now
		if rejected, why := x.send(true, body); rejected != 1 || !strings.Contains(why, "more than 1m0s from now") {
			t.Errorf("%v from now: %d rejected, %s", off, rejected, why)
		}
	}
	if _, n := x.last("shop-2"); n > 0 {
		t.Error("old metrics are published")
	}
	want := ReceiverStats{}
	want.Requests[RequestTaken] = burst + 6
	want.Reports[ReportPublished], want.Reports[ReportLimited], want.Reports[ReportInvalid], want.Reports[ReportOld] = burst+2, 1, 1, 2
	if got := x.r.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	x.now = x.now.Add(forgetAfter + time.Second)
	x.send(true, resourceOf("shop", "shop-2", x.gauge("http.server.active_requests", 3)))
	if n := len(x.r.reports.instances); n != 1 {
		t.Errorf("%d instances are remembered, want the one that sent something lately", n)
	}
}

func TestHostileRequestsOfOTLP(t *testing.T) {
	x := receive(t, "secret")
	zipped := func(b []byte) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, _ = z.Write(b)
		_ = z.Close()
		return out.Bytes()
	}
	bomb := zipped(make([]byte, 64<<20))
	empty := []byte(`{}`)
	for _, tc := range []struct {
		name, kind, encoding, token string
		body                        []byte
		status                      int
		result                      RequestResult
	}{
		{"nothing", protoType, "", "secret", nil, 200, RequestTaken},
		{"compressed", jsonType, "gzip", "secret", zipped(empty), 200, RequestTaken},
		{"parameters of the type", jsonType + "; charset=utf-8", "", "secret", empty, 200, RequestTaken},
		{"no token", jsonType, "", "", empty, 401, RequestRefused},
		{"another token", jsonType, "", "guess", empty, 401, RequestRefused},
		{"another type", "text/plain", "", "secret", empty, 415, RequestMalformed},
		{"another encoding", jsonType, "br", "secret", empty, 415, RequestMalformed},
		{"not compressed", jsonType, "gzip", "secret", empty, 400, RequestMalformed},
		{"cut", jsonType, "gzip", "secret", bomb[:100], 400, RequestMalformed},
		{"a bomb", protoType, "gzip", "secret", bomb, 413, RequestTooLarge},
		{"too large", protoType, "", "secret", make([]byte, maxBody+1), 413, RequestTooLarge},
		{"too many values", jsonType, "", "secret", []byte(`{"resourceMetrics": [` + strings.Repeat("{},", otlpmetrics.MaxValues) + `{}]}`), 413, RequestTooLarge},
		{"malformed", protoType, "", "secret", []byte(`{}`), 400, RequestMalformed},
	} {
		before := x.r.Stats().Requests[tc.result]
		res := x.post(tc.kind, tc.encoding, tc.token, tc.body)
		if res.StatusCode != tc.status || x.r.Stats().Requests[tc.result] != before+1 {
			t.Errorf("%s: status %d, want %d and %s", tc.name, res.StatusCode, tc.status, tc.result)
		}
	}
	for range maxAtOnce {
		x.r.slots <- struct{}{}
	}
	if res := x.post(jsonType, "", "secret", empty); res.StatusCode != 503 || res.Header.Get("Retry-After") != "1" {
		t.Errorf("busy: %d", res.StatusCode)
	}
	for path, status := range map[string]int{"/v1/traces": 404, "/v1/metrics": 405} {
		w := httptest.NewRecorder()
		x.r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != status {
			t.Errorf("GET %s: %d, want %d", path, w.Code, status)
		}
	}
	if len(x.log.got) > 0 {
		t.Errorf("published: %v", x.log.got)
	}
}
