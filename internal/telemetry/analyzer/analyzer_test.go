package analyzer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/analyzer"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func topics() []string {
	return []string{
		event.TopicServiceMetrics + ":3", event.TopicHealthStatus + ":3", event.TopicRekey + ":3", event.TopicMetricsAggregated + ":3",
		event.TopicHealthScores + ":3", event.TopicAlerts + ":1", event.TopicNodeStatus + ":1",
		event.TopicServiceMetricsDLQ + ":1", event.TopicHealthStatusDLQ + ":1",
	}
}

func clientConfig(c *kafkatest.Cluster) kafka.Config {
	cfg := kafka.Default()
	cfg.Brokers = []string{c.Addr()}
	cfg.Linger = 0
	cfg.Compression = "none"
	return cfg
}

// start runs an analyzer; the function that it returns stops it.
func start(t *testing.T, c *kafkatest.Cluster, change ...func(*analyzer.Config)) (*analyzer.Analyzer, func()) {
	t.Helper()
	cfg := analyzer.Default()
	cfg.Kafka = clientConfig(c)
	cfg.Interval = 200 * time.Millisecond
	for _, f := range change {
		f(&cfg)
	}
	a, err := analyzer.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("analyzer: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return a, stop
}

// report is one message as it was produced.
type report struct {
	service, instance, reporter string
	at                          time.Time
	rps, failed                 float64
}

func (r report) record(key []byte) kafka.Record {
	out := kafka.Record{
		Topic: event.TopicServiceMetrics, Key: key, Timestamp: r.at,
		Value: event.ServiceMetrics{Timestamp: r.at, ServiceID: r.service, InstanceID: r.instance, Metrics: event.Metrics{
			RPS: event.Some(r.rps), ErrorRate: event.Some(r.failed), P95Latency: event.Some(20),
		}}.AppendJSON(nil),
	}
	if r.reporter != "" {
		out.Headers = []kafka.Header{{Key: event.HeaderReporter, Value: []byte(r.reporter)}}
	}
	return out
}

// keys are the ways in which producers key records: ours, a foreign one by instance, none.
func keys(r report, n int) []byte {
	switch n % 3 {
	case 0:
		return []byte(r.service)
	case 1:
		return []byte(r.instance)
	}
	return nil
}

type producer struct {
	t testing.TB
	p *kafka.Producer
}

func newProducer(t testing.TB, c *kafkatest.Cluster) *producer {
	t.Helper()
	p, err := kafka.NewProducer(clientConfig(c), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = p.Close(ctx)
	})
	return &producer{t, p}
}

func (p *producer) send(r kafka.Record) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if _, err := p.p.SendSync(ctx, r); err != nil {
		p.t.Fatal(err)
	}
}

// log collects everything that a topic holds, from its beginning.
type log struct {
	mu      sync.Mutex
	records []kafka.Record
}

func read(t *testing.T, c *kafkatest.Cluster, names ...string) *log {
	t.Helper()
	tail, err := kafka.NewTail(clientConfig(c), kafka.TailConfig{Topics: names}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l := &log{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tail.Run(ctx, func(batch []kafka.Record) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.records = append(l.records, batch...)
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return l
}

func (l *log) all() []kafka.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.records)
}

// eventually waits until check is content; it says what was wrong last when it never is.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second) // a hung test, not a promise
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// model recomputes requests and errors per window from what was produced, by its own plain rules: per reporter in
// order of time, rate times the gap to the one before (first one second, at most a minute), proxies added up, the
// instance's own only where there are none.
func model(reports []report) map[string][2]float64 {
	type who struct{ service, instance, reporter string }
	by := map[who][]report{}
	for _, r := range reports {
		w := who{r.service, r.instance, r.reporter}
		by[w] = append(by[w], r)
	}
	proxies, own := map[string][2]float64{}, map[string][2]float64{}
	for w, rs := range by {
		slices.SortFunc(rs, func(a, b report) int { return a.at.Compare(b.at) })
		for n, r := range rs {
			gap := 1.0
			if n > 0 {
				if r.at.Equal(rs[n-1].at) {
					continue
				}
				gap = math.Min(r.at.Sub(rs[n-1].at).Seconds(), 60)
			}
			for _, sec := range []int64{10, 60} {
				name := fmt.Sprintf("%s/%s %ds %d", w.service, w.instance, sec, r.at.Unix()/sec*sec)
				into := own
				if strings.HasPrefix(w.reporter, "proxy/") {
					into = proxies
				}
				v := into[name]
				into[name] = [2]float64{v[0] + r.rps*gap, v[1] + r.rps*gap*r.failed}
			}
		}
	}
	for name, v := range proxies {
		own[name] = v
	}
	return own
}

// windows returns what metrics-aggregated says last of every instance's window. A revision that goes down in the log
// is a failure.
func windows(t *testing.T, l *log) map[string][2]float64 {
	t.Helper()
	out, revision := map[string][2]float64{}, map[string]uint64{}
	for _, r := range l.all() {
		m, err := event.DecodeMetricsAggregated(r.Value)
		if err != nil {
			t.Fatalf("%s offset %d: %v", r.Topic, r.Offset, err)
		}
		name := fmt.Sprintf("%s/%s %ds %d", m.ServiceID, m.InstanceID, m.WindowSec, m.WindowStart.Unix())
		if m.Revision <= revision[name] {
			t.Fatalf("%s: revision %d after %d", name, m.Revision, revision[name])
		}
		revision[name] = m.Revision
		if m.InstanceID != event.InstanceAll {
			out[name] = [2]float64{m.Requests.Value, m.Errors.Value}
		}
	}
	return out
}

func same(want, got map[string][2]float64) error {
	for name, w := range want {
		g, ok := got[name]
		if !ok {
			return fmt.Errorf("%s: no window, want %v", name, w)
		}
		for i := range w {
			if math.Abs(g[i]-w[i]) > 1e-3+1e-6*w[i] { // records round to a thousandth
				return fmt.Errorf("%s: got %v, want %v", name, g, w)
			}
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			return fmt.Errorf("%s: window of nothing", name)
		}
	}
	return nil
}

// traffic makes reports of some services for the seconds [from, to) before now, in a log's order: by time, with some
// disorder.
func traffic(now time.Time, from, to int, seed uint64) []report {
	rng := rand.New(rand.NewPCG(seed, 1))
	var out []report
	for sec := from; sec > to; sec-- {
		for s := range 6 {
			for _, reporter := range []string{"", "proxy/n1", "proxy/n2"} {
				if rng.IntN(5) == 0 || s == 0 && reporter != "" {
					continue // the first service has self-reports only
				}
				out = append(out, report{
					service: fmt.Sprintf("service-%d", s), instance: fmt.Sprintf("instance-%d", rng.IntN(2)), reporter: reporter,
					at:  now.Add(-time.Duration(sec)*time.Second + time.Duration(rng.IntN(1000))*time.Millisecond).Truncate(time.Millisecond),
					rps: readable.Number(rng.Float64() * 100), failed: readable.Number(rng.Float64()), // as records say it
				})
			}
		}
	}
	for n := range len(out) - 8 {
		if rng.IntN(6) == 0 {
			out[n], out[n+rng.IntN(8)] = out[n+rng.IntN(8)], out[n]
		}
	}
	return out
}

func TestAnalyzersSharePartitionsAndKeylessInputWithoutChangingAWindow(t *testing.T) {
	c := kafkatest.New(t, topics()...)
	p := newProducer(t, c)
	out := read(t, c, event.TopicMetricsAggregated)
	now := time.Now()
	var sent []report
	send := func(rs []report) {
		for n, r := range rs {
			p.send(r.record(keys(r, n)))
		}
		sent = append(sent, rs...)
	}
	settled := func() {
		t.Helper()
		eventually(t, func() error { return same(model(sent), windows(t, out)) })
	}

	send(traffic(now, 58, 45, 1))
	a, stopA := start(t, c)
	settled()

	b, stopB := start(t, c) // takes a share away
	send(traffic(now, 45, 35, 2))
	eventually(t, func() error {
		na, nb := len(a.Status().Partitions), len(b.Status().Partitions)
		if na+nb != 3 || na == 0 || nb == 0 {
			return fmt.Errorf("%d and %d partitions", na, nb)
		}
		return nil
	})
	send(traffic(now, 35, 25, 3))
	settled()

	stopA() // gives all to the other, in the middle of input
	send(traffic(now, 25, 15, 4))
	settled()

	stopB() // nobody
	send(traffic(now, 15, 10, 5))
	d, _ := start(t, c)
	send(traffic(now, 10, 5, 6))
	settled()
	if st := d.Status(); st.Dropped["rekeyed-wrongly"] != 0 || st.Output.Dropped() != 0 {
		t.Errorf("dropped %v, output %v", st.Dropped, st.Output.Topics)
	}
}

func TestBrokerRestartChangesNoWindow(t *testing.T) {
	c := kafkatest.New(t, topics()...)
	p := newProducer(t, c)
	out := read(t, c, event.TopicMetricsAggregated)
	now := time.Now()
	start(t, c)
	first := traffic(now, 50, 40, 1)
	for n, r := range first {
		p.send(r.record(keys(r, n)))
	}
	eventually(t, func() error { return same(model(first), windows(t, out)) })
	c.Stop()
	c.Start()
	second := traffic(now, 40, 30, 2)
	for n, r := range second {
		p.send(r.record(keys(r, n)))
	}
	eventually(t, func() error { return same(model(append(first, second...)), windows(t, out)) })
}

func TestOutputThatWasLostIsMadeAgain(t *testing.T) {
	c := kafkatest.New(t, topics()...)
	p := newProducer(t, c)
	out := read(t, c, event.TopicMetricsAggregated)
	now := time.Now()
	a, _ := start(t, c, func(cfg *analyzer.Config) { cfg.Kafka.DeliveryTimeout = 300 * time.Millisecond })
	sent := traffic(now, 40, 30, 1)
	for n, r := range sent {
		p.send(r.record(keys(r, n)))
	}
	eventually(t, func() error { return same(model(sent), windows(t, out)) })
	recent := traffic(now, 9, 0, 2) // its windows close while the broker is away
	for n, r := range recent {
		p.send(r.record(keys(r, n)))
	}
	sent = append(sent, recent...)
	eventually(t, func() error {
		if got := windows(t, out); len(got) == 0 || a.Status().Commits == 0 {
			return errors.New("nothing yet")
		}
		return nil
	})
	c.Stop()
	eventually(t, func() error {
		if a.Status().Restarts == 0 {
			return fmt.Errorf("no output was lost: %+v", a.Status().Output.Topics)
		}
		return nil
	})
	c.Start()
	eventually(t, func() error { return same(model(sent), windows(t, out)) })
}

func TestBrokerThatComesBackEmptyIsAnalyzedAnew(t *testing.T) {
	c := kafkatest.New(t, topics()...)
	p := newProducer(t, c)
	now := time.Now()
	start(t, c)
	first := read(t, c, event.TopicMetricsAggregated)
	before := traffic(now, 50, 40, 1)
	for n, r := range before {
		p.send(r.record(keys(r, n)))
	}
	eventually(t, func() error { return same(model(before), windows(t, first)) })
	c.Stop()
	c.Wipe()
	c.Start(topics()...)
	p = newProducer(t, c)
	second := read(t, c, event.TopicMetricsAggregated)
	after := traffic(now, 30, 20, 2)
	for n, r := range after {
		p.send(r.record(keys(r, n)))
	}
	eventually(t, func() error { return same(model(after), windows(t, second)) })
}

func TestWithoutTheRekeyTopicOnlyForeignKeysAreLost(t *testing.T) {
	names := slices.DeleteFunc(topics(), func(s string) bool { return strings.HasPrefix(s, event.TopicRekey) })
	c := kafkatest.New(t, names...)
	p := newProducer(t, c)
	out := read(t, c, event.TopicMetricsAggregated)
	var ahead atomic.Int64
	a, _ := start(t, c, func(cfg *analyzer.Config) {
		cfg.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	now := time.Now()
	sent := traffic(now, 20, 10, 1)
	for _, r := range sent {
		p.send(r.record([]byte(r.service)))
	}
	time.Sleep(300 * time.Millisecond)
	ahead.Store(int64(20 * time.Second)) // long enough for somebody to have created it
	eventually(t, func() error { return same(model(sent), windows(t, out)) })
	if st := a.Status(); len(st.Disabled) != 1 || !strings.Contains(st.Disabled[0], event.TopicRekey) {
		t.Errorf("disabled %q", st.Disabled)
	}
}

func TestForeignKeylessMessagesReachTheScores(t *testing.T) {
	c := kafkatest.New(t, topics()...)
	p := newProducer(t, c)
	out := read(t, c, event.TopicHealthScores)
	start(t, c)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	wg.Go(func() {
		for {
			at := time.Now()
			p.p.Send(kafka.Record{Topic: event.TopicServiceMetrics, Timestamp: at, Value: []byte(`{"timestamp": "` + at.UTC().Format(time.RFC3339Nano) + `","serviceId": "user-service","instanceId": "user-service-1",` +
				`"metrics": {"rps": 150.5,"p95Latency": 45.2,"errorRate": 0.02,"activeConnections": 25,"cpuUsage": 0.97,"memoryUsage": 0.42}}`)})
			r := report{service: "user-service", instance: "user-service-1", reporter: "proxy/n1", at: at, rps: 10}
			p.p.Send(r.record([]byte("user-service")))
			select {
			case <-stop:
				return
			case <-time.After(300 * time.Millisecond):
			}
		}
	})
	eventually(t, func() error {
		for _, r := range out.all() {
			h, err := event.DecodeHealthScore(r.Value)
			if err != nil {
				t.Fatal(err)
			}
			if h.Utilization == event.Some(0.97) && math.Abs(h.Capacity.Value-150.5*0.98/0.97) < 1e-3 && h.RPS == event.Some(10) {
				return nil
			}
		}
		return errors.New("no score with utilization 0.97, its capacity and the proxy's rate")
	})
}

func TestBadRecordsGoToTheDeadLetterTopicsAndStopNothing(t *testing.T) {
	c := kafkatest.New(t, topics()...)
	p := newProducer(t, c)
	dead := read(t, c, event.TopicServiceMetricsDLQ, event.TopicHealthStatusDLQ)
	scores := read(t, c, event.TopicHealthScores)
	start(t, c)
	for _, v := range []string{"", "hello", `{"test": "message"}`, strings.Repeat("[", 100_000), `{"x":"` + strings.Repeat("y", 10<<20-100) + `"}`} {
		p.send(kafka.Record{Topic: event.TopicServiceMetrics, Value: []byte(v)})
	}
	p.send(kafka.Record{Topic: event.TopicHealthStatus, Value: []byte(`{"status":"UP"}`)})
	r := report{service: "s", instance: "i", at: time.Now(), rps: 1}
	p.send(r.record(nil))
	eventually(t, func() error {
		if n := len(dead.all()); n != 6 {
			return fmt.Errorf("%d dead letters, want 6", n)
		}
		if len(scores.all()) == 0 {
			return errors.New("the good report after them was not used")
		}
		return nil
	})
	for _, r := range dead.all() {
		if len(r.Value) > 64<<10 {
			t.Errorf("dead letter of %d bytes", len(r.Value))
		}
		if reason, ok := r.Header("smartlb-reason"); !ok || len(reason) == 0 {
			t.Error("a dead letter without a reason")
		}
	}
}

// An analyzer that ended for it took the proxy of its process along.
func TestUnequalPartitionsAreRefusedByNameUntilTheyAreEqual(t *testing.T) {
	c := kafkatest.New(t, event.TopicServiceMetrics+":3", event.TopicHealthStatus+":2", event.TopicRekey+":3", event.TopicAlerts+":1", event.TopicNodeStatus+":1")
	cfg := analyzer.Default()
	cfg.Kafka = clientConfig(c)
	a, err := analyzer.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("it ended with %v", err)
		}
	}()
	await := func(what string, ok func(analyzer.Status) bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(a.Status()); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s does not come: %+v", what, a.Status())
			}
		}
	}
	await("the refusal", func(s analyzer.Status) bool {
		return len(s.Disabled) == 1 && strings.Contains(s.Disabled[0], "health-status has 2")
	})
	admin, err := kafka.NewAdmin(cfg.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := kadm.NewClient(admin.Client()).UpdatePartitions(ctx, 3, event.TopicHealthStatus); err != nil {
		t.Fatal(err)
	}
	await("the work", func(s analyzer.Status) bool { return len(s.Disabled) == 0 && len(s.Partitions) == 3 })
}

func TestAlertsSurviveTheirAnalyzer(t *testing.T) {
	c := kafkatest.New(t, topics()...)
	p := newProducer(t, c)
	out := read(t, c, event.TopicAlerts)
	say := func(status string) {
		at := time.Now()
		p.send(kafka.Record{Topic: event.TopicHealthStatus, Timestamp: at, Headers: []kafka.Header{{Key: event.HeaderReporter, Value: []byte("proxy/n1")}},
			Value: event.HealthStatus{Timestamp: at, ServiceID: "s", InstanceID: "i", Status: status, CheckType: "HTTP"}.AppendJSON(nil)})
	}
	statuses := func() (list []string, ids map[string]bool) {
		ids = map[string]bool{}
		for _, r := range out.all() {
			m, err := event.DecodeAlert(r.Value)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, m.Status)
			ids[m.AlertID] = true
		}
		return list, ids
	}
	_, stop := start(t, c)
	say(event.StatusUnhealthy)
	eventually(t, func() error {
		if l, _ := statuses(); !slices.Equal(l, []string{"pending", "firing"}) {
			return fmt.Errorf("alerts %v", l)
		}
		return nil
	})
	stop()
	start(t, c)
	eventually(t, func() error {
		say(event.StatusHealthy)
		if l, ids := statuses(); !slices.Equal(l, []string{"pending", "firing", "resolved"}) || len(ids) != 1 {
			return fmt.Errorf("alerts %v of %v", l, ids)
		}
		return nil
	})
}

func TestConfigurationMistakesAreReportedTogether(t *testing.T) {
	_, err := analyzer.New(analyzer.Config{}, slog.New(slog.DiscardHandler))
	for _, want := range []string{"group: missing", "interval:", "now: missing", "brokers:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}
