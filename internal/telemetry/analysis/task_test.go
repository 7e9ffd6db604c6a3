package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/rule"
	"github.com/smartlb/smartlb/internal/telemetry/window"
)

var epoch = time.Date(2026, 1, 15, 10, 30, 0, 0, time.UTC)

// bench drives one task with a clock of its own and decodes what it writes.
type bench struct {
	t    testing.TB
	task *Task
	now  time.Time
	fx   Effects
	all  []Record
}

func newBench(t testing.TB) *bench {
	b := &bench{t: t, task: New(Config{Partition: 0, Partitions: 1}), now: epoch}
	b.task.GoLive(0)
	return b
}

func (b *bench) input(topic, reporter string, value []byte, sketch []byte) Input {
	return Input{Topic: topic, Value: value, Reporter: reporter, Latency: sketch, Appended: b.now, Now: b.now}
}

func (b *bench) metrics(reporter, instance string, m event.Metrics) {
	b.metricsAt(reporter, instance, b.now, m)
}

func (b *bench) metricsAt(reporter, instance string, at time.Time, m event.Metrics) {
	b.t.Helper()
	v, err := event.ServiceMetrics{Timestamp: at, ServiceID: "user-service", InstanceID: instance, Metrics: m}.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	b.task.Apply(b.input(event.TopicServiceMetrics, reporter, v, nil), &b.fx)
}

func (b *bench) health(reporter, instance, status string) {
	b.t.Helper()
	v, err := event.HealthStatus{Timestamp: b.now, ServiceID: "user-service", InstanceID: instance, Status: status, CheckType: "HTTP"}.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	b.task.Apply(b.input(event.TopicHealthStatus, reporter, v, nil), &b.fx)
}

// tick lets a second pass and returns what was written in it.
func (b *bench) tick() []Record {
	b.now = b.now.Add(time.Second)
	b.task.Punctuate(b.now, &b.fx)
	out := slices.Clone(b.fx.Records)
	b.all = append(b.all, out...)
	b.fx.Reset()
	return out
}

func decodeAll[T any](t testing.TB, rs []Record, topic string, decode func([]byte) (T, error)) []T {
	t.Helper()
	var out []T
	for _, r := range rs {
		if r.Topic != topic {
			continue
		}
		m, err := decode(r.Value)
		if err != nil {
			t.Fatalf("%s: %v\n%s", topic, err, r.Value)
		}
		out = append(out, m)
	}
	return out
}

func (b *bench) score(instance string) (last event.HealthScore) {
	b.t.Helper()
	for _, s := range decodeAll(b.t, b.all, event.TopicHealthScores, event.DecodeHealthScore) {
		if s.InstanceID == instance {
			if s.Seq <= last.Seq {
				b.t.Fatalf("seq %d after %d", s.Seq, last.Seq)
			}
			last = s
		}
	}
	return last
}

func (b *bench) alerts() []string {
	b.t.Helper()
	var out []string
	for _, a := range decodeAll(b.t, b.all, event.TopicAlerts, event.DecodeAlert) {
		out = append(out, a.RuleID+" "+a.Labels["instance"]+a.Labels["topic"]+" "+a.Status)
	}
	return out
}

func rps(v float64) event.Metrics {
	return event.Metrics{RPS: event.Some(v), ErrorRate: event.Some(0), P95Latency: event.Some(20)}
}

// seed is the example message of the documentation with another CPU usage and time.
func seed(at time.Time, cpu string) []byte {
	return []byte(`{"timestamp": "` + at.UTC().Format(time.RFC3339) + `","serviceId": "user-service","instanceId": "user-service-1",` +
		`"metrics": {"rps": 150.5,"p95Latency": 45.2,"errorRate": 0.02,"activeConnections": 25,"cpuUsage": ` + cpu + `,"memoryUsage": 0.42},` +
		`"tags": {"environment": "production","region": "us-east-1"}}`)
}

func TestForeignMessagesGiveUtilizationAndCapacityAndProxiesTheRest(t *testing.T) {
	b := newBench(t)
	proxy := event.ReporterProxy("n1")
	for range 20 {
		b.metrics(proxy, "user-service-1", rps(12))
		b.metrics(proxy, "user-service-2", rps(12))
		b.tick()
	}
	if s := b.score("user-service-1"); s.Utilization.Set || s.Capacity.Set {
		t.Fatalf("utilization or capacity without a self-report: %+v", s)
	}
	for range 5 {
		b.metrics(proxy, "user-service-1", rps(12))
		b.metrics(proxy, "user-service-2", rps(12))
		b.task.Apply(b.input(event.TopicServiceMetrics, "", seed(b.now, "0.97"), nil), &b.fx)
		b.tick()
	}
	s := b.score("user-service-1")
	if s.Utilization != event.Some(0.97) {
		t.Errorf("utilization %v, want 0.97", s.Utilization)
	}
	if want := 150.5 * 0.98 / 0.97; math.Abs(s.Capacity.Value-want) > 1e-3 {
		t.Errorf("capacity %v, want %v", s.Capacity, want)
	}
	if s.RPS != event.Some(12) || s.P95Latency != event.Some(20) || s.ErrorRate != event.Some(0) {
		t.Errorf("rps %v, p95 %v, errors %v: want the proxy's 12, 20, 0", s.RPS, s.P95Latency, s.ErrorRate)
	}
	if s.Samples != 300 {
		t.Errorf("%v requests in 25 s, want the proxy's 300", s.Samples)
	}
	if other := b.score("user-service-2"); other.Score <= s.Score {
		t.Errorf("busy instance scores %v, its idle peer %v", s.Score, other.Score)
	}
	if s.PeriodMs != 1000 || b.now.Sub(s.AsOf) > 2*time.Second {
		t.Errorf("period %v ms, as of %v at %v", s.PeriodMs, s.AsOf, b.now)
	}
	// The messages stop: what the instance said of itself does not hold for long.
	for range 15 {
		b.metrics(proxy, "user-service-1", rps(12))
		b.tick()
	}
	if s := b.score("user-service-1"); s.Utilization.Set || s.Capacity.Set {
		t.Errorf("15 s after the last self-report: utilization %v, capacity %v", s.Utilization, s.Capacity)
	}
}

func TestUtilizationIsPreferredToCPU(t *testing.T) {
	b := newBench(t)
	b.metrics("", "i", event.Metrics{RPS: event.Some(100), CPUUsage: event.Some(0.9), Utilization: event.Some(0.5)})
	b.tick()
	if s := b.score("i"); s.Utilization != event.Some(0.5) || s.Capacity != event.Some(200) {
		t.Errorf("utilization %v, capacity %v", s.Utilization, s.Capacity)
	}
}

func TestIgnoredReportsAreCountedByReason(t *testing.T) {
	b := newBench(t)
	b.metrics("", "i", rps(10))
	b.metrics("", "i", rps(99)) // same timestamp
	b.metricsAt("", "i", b.now.Add(-61*time.Second), rps(99))
	b.metricsAt("proxy/n1", "i", b.now.Add(-61*time.Second), rps(99)) // first of its reporter, behind the log
	b.metricsAt("proxy/n2", "i", b.now.Add(time.Hour), event.Metrics{ActiveConnections: event.Some(1)})
	b.task.Apply(b.input(event.TopicServiceMetrics, "", []byte(`{"serviceId":"user-service","instanceId":"i","metrics":{"rps":-1}}`), nil), &b.fx)
	b.task.Apply(b.input(event.TopicServiceMetrics, "proxy/n3", seed(b.now, "NaN"), nil), &b.fx)
	rs := b.tick()
	s := b.score("i")
	want := map[string]uint64{event.IgnoredDuplicate: 1, event.IgnoredLate: 2, event.IgnoredFutureClamped: 1, event.IgnoredNonConforming: 1}
	if fmt.Sprint(s.Ignored) != fmt.Sprint(want) {
		t.Errorf("ignored %v, want %v", s.Ignored, want)
	}
	if s.Samples != 10 {
		t.Errorf("%v requests, want 10", s.Samples)
	}
	var dead int
	for _, r := range rs {
		if r.Topic == event.TopicServiceMetricsDLQ {
			dead++
			names := map[string]string{}
			for _, h := range r.Headers {
				names[h.Key] = string(h.Value)
			}
			if names[HeaderReason] == "" || names[HeaderSourceTopic] != event.TopicServiceMetrics || names[HeaderSize] == "" {
				t.Errorf("dead letter headers %v", names)
			}
		}
	}
	if dead != 2 {
		t.Errorf("%d dead letters, want 2", dead)
	}
	for range 61 {
		b.tick()
	}
	if s := b.score("i"); len(s.Ignored) != 0 {
		t.Errorf("a minute later still ignored: %v", s.Ignored)
	}
}

func TestDeadLettersAreCutAndLimited(t *testing.T) {
	b := newBench(t)
	big := []byte(`{"x":"` + strings.Repeat("y", 10<<20))
	b.task.Apply(b.input(event.TopicHealthStatus, "", big, nil), &b.fx)
	if r := b.fx.Records[0]; r.Topic != event.TopicHealthStatusDLQ || len(r.Value) != 64<<10 {
		t.Errorf("%s of %d bytes", r.Topic, len(r.Value))
	}
	for range 1000 {
		b.task.Apply(b.input(event.TopicHealthStatus, "", []byte("x"), nil), &b.fx)
	}
	if n := len(b.fx.Records); n > dlqPerSecond {
		t.Errorf("%d dead letters in a second", n)
	}
	if n := b.task.Dropped()["dlq-limit"]; n != 1001-dlqPerSecond {
		t.Errorf("%d counted as dropped", n)
	}
}

func TestRecordsOfOtherPartitionsAreForwardedWhole(t *testing.T) {
	own := -1
	for p := range 3 {
		if PartitionOf("user-service", 3) == int32(p) {
			own = p
		}
	}
	sketch := window.NewSketch()
	sketch.Add(5)
	in := Input{Topic: event.TopicServiceMetrics, Partition: 1, Offset: 7, Value: seed(epoch, "0.5"), Reporter: "proxy/n1", Latency: sketch.Encode(nil), Appended: epoch, Now: epoch}
	for p := range 3 {
		task := New(Config{Partition: int32(p), Partitions: 3})
		task.GoLive(0)
		var fx Effects
		task.Apply(in, &fx)
		if p == own {
			if len(fx.Records) != 0 {
				t.Errorf("the right partition forwards %v", fx.Records)
			}
			continue
		}
		if len(fx.Records) != 1 || fx.Records[0].Topic != event.TopicRekey || string(fx.Records[0].Key) != "user-service" || string(fx.Records[0].Value) != string(in.Value) {
			t.Fatalf("partition %d: %v", p, fx.Records)
		}
		headers := map[string]string{}
		for _, h := range fx.Records[0].Headers {
			headers[h.Key] = string(h.Value)
		}
		if headers[event.HeaderReporter] != "proxy/n1" || headers[event.HeaderLatency] != string(in.Latency) || headers[HeaderSourceTopic] != event.TopicServiceMetrics || headers[HeaderSourceOffset] != "7" {
			t.Errorf("headers %q", headers)
		}
	}
	task := New(Config{Partition: int32(own+1) % 3, Partitions: 3})
	task.GoLive(0)
	in.Rekeyed = true
	var fx Effects
	task.Apply(in, &fx)
	if len(fx.Records) != 0 || task.Dropped()["rekeyed-wrongly"] != 1 {
		t.Errorf("a rekeyed record goes in circles: %v", fx.Records)
	}
}

// TestPartitionOfIsKafkas has known answers of the Java client's Utils.murmur2 (from its unit test).
func TestPartitionOfIsKafkas(t *testing.T) {
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(murmur2(key)); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestDrainingAndDownShowInTheStateAndLapse(t *testing.T) {
	b := newBench(t)
	b.metrics("", "i", rps(10))
	b.health("", "i", event.StatusDraining)
	b.tick()
	if s := b.score("i"); s.State != event.StatusDraining || s.Score != 0 {
		t.Fatalf("draining: %v %v", s.State, s.Score)
	}
	for range 31 { // a single message holds for 30 s
		b.metrics("", "i", rps(10))
		b.tick()
	}
	if s := b.score("i"); s.State != event.StatusHealthy {
		t.Errorf("31 s later: %v", s.State)
	}
	for range 3 {
		b.health("proxy/n1", "i", event.StatusUnhealthy)
		b.tick()
	}
	if s := b.score("i"); s.State != event.StatusUnhealthy {
		t.Errorf("unhealthy: %v", s.State)
	}
}

func TestOneOfThreeCheckersDoesNotTakeAnInstanceDown(t *testing.T) {
	b := newBench(t)
	for range 5 {
		b.health("proxy/n1", "i", event.StatusUnhealthy)
		b.health("proxy/n2", "i", event.StatusHealthy)
		b.health("proxy/n3", "i", event.StatusHealthy)
		b.tick()
	}
	if s := b.score("i"); s.State != event.StatusDegraded {
		t.Errorf("state %v", s.State)
	}
	if len(b.alerts()) != 0 {
		t.Errorf("alerts %v", b.alerts())
	}
}

func TestInstanceDownFiresAndSilenceDoesNotResolveIt(t *testing.T) {
	b := newBench(t)
	for range 5 {
		b.health("proxy/n1", "i", event.StatusUnhealthy)
		b.tick()
	}
	want := []string{"instance-down i pending", "instance-down i firing"}
	if got := b.alerts(); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for range 400 {
		b.tick()
	}
	if got := b.alerts(); !slices.Equal(got, want) {
		t.Fatalf("after silence: %v", got)
	}
	for range 8 {
		b.health("proxy/n1", "i", event.StatusHealthy)
		b.tick()
	}
	if got := b.alerts(); !slices.Equal(got, append(want, "instance-down i resolved")) {
		t.Errorf("after it came back: %v", got)
	}
}

func TestFastFailingFiresOnFewRequestsAndResolvesOnGoodOnes(t *testing.T) {
	b := newBench(t)
	bad := rps(5)
	bad.ErrorRate = event.Some(1)
	b.metrics("proxy/n1", "i", bad)
	for range 5 {
		b.tick()
	}
	if got, want := b.alerts(), []string{"fast-failing i pending", "fast-failing i firing"}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for range 60 {
		b.tick()
	}
	if got := b.alerts(); len(got) != 2 {
		t.Fatalf("without requests: %v", got)
	}
	for range 40 {
		b.metrics("proxy/n1", "i", rps(5))
		b.tick()
	}
	if got := b.alerts(); len(got) != 3 || got[2] != "fast-failing i resolved" {
		t.Errorf("after good requests: %v", got)
	}
}

func TestTelemetryStaleConcernsSelfReportersThatStillServe(t *testing.T) {
	b := newBench(t)
	for range 5 {
		b.metrics("", "silent", rps(5))
		b.metrics("", "idle", rps(5))
		for _, i := range []string{"silent", "idle", "never"} {
			b.metrics("proxy/n1", i, rps(5))
		}
		b.tick()
	}
	for range 60 {
		b.metrics("proxy/n1", "silent", rps(5))
		b.metrics("proxy/n1", "never", rps(5))
		b.tick()
	}
	want := []string{"telemetry-stale silent pending", "telemetry-stale silent firing"}
	if got := b.alerts(); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	b.metrics("", "silent", rps(5))
	b.tick()
	if got := b.alerts(); !slices.Equal(got, append(want, "telemetry-stale silent resolved")) {
		t.Errorf("after a report: %v", got)
	}
}

func TestNodesReportPanicAndRecreatedTopics(t *testing.T) {
	b := newBench(t)
	say := func(panics, topics []string, lost bool) {
		v, err := event.NodeStatus{Timestamp: b.now, Node: "n1", Roles: []string{"proxy"}, PanicServices: panics, RecreatedTopics: topics, LostLog: lost}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b.task.Apply(b.input(event.TopicNodeStatus, "", v, nil), &b.fx)
		for range 5 {
			b.tick()
		}
	}
	say([]string{"user-service"}, []string{"service-metrics"}, true)
	want := []string{"panic  pending", "topic-recreated config-updates firing", "topic-recreated service-metrics firing", "panic  firing"}
	if got := b.alerts(); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for range 30 {
		b.tick() // a silent node resolves nothing
	}
	if got := b.alerts(); !slices.Equal(got, want) {
		t.Fatalf("silent node: %q", got)
	}
	for range 4 {
		say(nil, nil, false)
	}
	if got := b.alerts(); len(got) != len(want)+3 {
		t.Errorf("after recovery: %q", got)
	}
}

// A proxy without descriptors called every instance unhealthy; now it says what it lacks, and that is the alert.
func TestANodesShortageIsAnAlertOfTheNode(t *testing.T) {
	b := newBench(t)
	say := func(lacks string) {
		v, err := event.NodeStatus{Timestamp: b.now, Node: "n1", Roles: []string{"proxy"}, Shortage: lacks}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b.task.Apply(b.input(event.TopicNodeStatus, "", v, nil), &b.fx)
		for range 5 {
			b.tick()
		}
	}
	say("")
	if got := b.alerts(); len(got) != 0 {
		t.Fatalf("got %q without a shortage", got)
	}
	say("file descriptors of the process")
	if got := b.alerts(); !slices.Equal(got, []string{"node-shortage  firing"}) {
		t.Fatalf("got %q", got)
	}
	for range 3 {
		say("")
	}
	if got := b.alerts(); !slices.Equal(got, []string{"node-shortage  firing", "node-shortage  resolved"}) {
		t.Errorf("after it: %q", got)
	}
}

func TestANodesCertificatesAreAlertsOfTheNode(t *testing.T) {
	b := newBench(t)
	say := func(node string, ticks int, all ...event.Certificate) {
		for range ticks {
			v, err := event.NodeStatus{Timestamp: b.now, Node: node, Roles: []string{"proxy"}, Certificates: all}.Encode()
			if err != nil {
				t.Fatal(err)
			}
			b.task.Apply(b.input(event.TopicNodeStatus, "", v, nil), &b.fx)
			b.tick()
		}
	}
	expires := event.Certificate{Listener: "web", File: "/a.pem", Expires: b.now.Add(72 * time.Hour)}
	refused := event.Certificate{Listener: "web", File: "/a.pem", Refused: "/a.pem: the file is empty"}
	say("n1", 1, expires, refused, event.Certificate{Listener: "web", File: "/nothing.pem"})
	want := []string{"certificate-expires  firing", "certificate-refused  pending"}
	if got := b.alerts(); !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
	fired := decodeAll(t, b.all, event.TopicAlerts, event.DecodeAlert)[0]
	if text := fired.Annotations.Summary; !strings.Contains(text, "/a.pem of listener web on proxy n1 expires on "+expires.Expires.UTC().Format(time.RFC3339)) {
		t.Errorf("summary %q", text)
	}
	say("n2", 20) // a node without problems resolves nothing of another node
	say("n1", 12, expires, refused)
	if want = append(want, "certificate-refused  firing"); !slices.Equal(b.alerts(), want) {
		t.Fatalf("got %q", b.alerts())
	}
	say("n1", 2, expires)
	if want = append(want, "certificate-refused  resolved"); !slices.Equal(b.alerts(), want) {
		t.Fatalf("after the file is right again: %q", b.alerts())
	}
	say("n1", 2)
	if want = append(want, "certificate-expires  resolved"); !slices.Equal(b.alerts(), want) {
		t.Fatalf("after the certificate was exchanged: %q", b.alerts())
	}
	order := event.Certificate{Listener: "web", File: "/acme/a.pem", Order: "order: 429 rateLimited: too many certificates", Retry: b.now.Add(time.Hour)}
	say("n1", 1, order)
	if want = append(want, "certificate-order-failed  firing"); !slices.Equal(b.alerts(), want) {
		t.Fatalf("after an order failed: %q", b.alerts())
	}
	all := decodeAll(t, b.all, event.TopicAlerts, event.DecodeAlert)
	if text := all[len(all)-1].Annotations; !strings.Contains(text.Summary, "proxy n1 did not obtain the certificate /acme/a.pem of listener web") ||
		!strings.Contains(text.Description, "too many certificates") || !strings.Contains(text.Description, order.Retry.UTC().Format(time.RFC3339)) {
		t.Errorf("texts: %+v", text)
	}
	say("n1", 2)
	if want = append(want, "certificate-order-failed  resolved"); !slices.Equal(b.alerts(), want) {
		t.Fatalf("after the certificate was obtained: %q", b.alerts())
	}
}

func TestARefusedFileIsAnAlertOfTheNode(t *testing.T) {
	b := newBench(t)
	say := func(refused string) {
		v, err := event.NodeStatus{Timestamp: b.now, Node: "n1", Roles: []string{"proxy"}, RefusedFile: refused}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b.task.Apply(b.input(event.TopicNodeStatus, "", v, nil), &b.fx)
		b.tick()
	}
	say("")
	if got := b.alerts(); len(got) != 0 {
		t.Fatalf("got %q for a node that refused nothing", got)
	}
	say("a.yaml: 2 mistakes, nothing was changed")
	say("a.yaml: 2 mistakes, nothing was changed")
	if got := b.alerts(); !slices.Equal(got, []string{"config-file-refused  firing"}) {
		t.Fatalf("got %q", got)
	}
	say("")
	say("")
	if got := b.alerts(); !slices.Equal(got, []string{"config-file-refused  firing", "config-file-refused  resolved"}) {
		t.Errorf("after the file was accepted: %q", got)
	}
}

func TestAFailedUpgradeIsAnAlertOfTheNode(t *testing.T) {
	b := newBench(t)
	say := func(why string) {
		v, err := event.NodeStatus{Timestamp: b.now, Node: "n1", Roles: []string{"proxy"}, FailedUpgrade: why}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b.task.Apply(b.input(event.TopicNodeStatus, "", v, nil), &b.fx)
		b.tick()
	}
	say("")
	say("the new process ended before it was ready: exit status 2")
	if got := b.alerts(); !slices.Equal(got, []string{"upgrade-failed  firing"}) {
		t.Fatalf("got %q", got)
	}
	say("")
	if got := b.alerts(); !slices.Equal(got, []string{"upgrade-failed  firing", "upgrade-failed  resolved"}) {
		t.Errorf("after an upgrade: %q", got)
	}
}

// Another node may have become the sender, so the alert is about the receiver.
func TestAReceiverThatTakesNoAlertsIsAnAlert(t *testing.T) {
	b := newBench(t)
	say := func(node string, failing ...string) {
		v, err := event.NodeStatus{Timestamp: b.now, Node: node, Roles: []string{"analyzer"}, SendsAlerts: true, FailedReceivers: failing}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b.task.Apply(b.input(event.TopicNodeStatus, "", v, nil), &b.fx)
		b.tick()
	}
	for range 30 {
		say("n1", "chat")
	}
	say("n1")
	if got := b.alerts(); !slices.Equal(got, []string{"alert-receiver-failing  pending", "alert-receiver-failing  resolved"}) {
		t.Fatalf("after half a minute: %q", got)
	}
	for range 62 {
		say("n2", "chat")
		say("n1")
	}
	say("n2")
	if got := b.alerts()[2:]; !slices.Equal(got, []string{"alert-receiver-failing  pending", "alert-receiver-failing  firing", "alert-receiver-failing  resolved"}) {
		t.Errorf("after two minutes: %q", got)
	}
}

func TestAlertsAreRestoredBySeqAndPartition(t *testing.T) {
	b := newBench(t)
	for range 5 {
		b.health("proxy/n1", "i", event.StatusUnhealthy)
		b.tick()
	}
	log := decodeAll(t, b.all, event.TopicAlerts, event.DecodeAlert)
	next := New(Config{Partition: 0, Partitions: 1})
	for _, a := range slices.Backward(log) {
		next.Restore(a)
	}
	next.GoLive(0)
	if a := next.Active(); len(a) != 1 || a[0].RuleID != rule.InstanceDown.ID || a[0].Status != event.AlertFiring {
		t.Fatalf("restored %v", a)
	}
	other := New(Config{Partition: 1 - PartitionOf("user-service", 2), Partitions: 2})
	for _, a := range log {
		other.Restore(a)
	}
	if a := other.Active(); len(a) != 0 {
		t.Errorf("the owner of another partition took %v", a)
	}
}

// Each alert about what a node reports of its services is restored by the owner of partition 0, whichever partition the
// service has, so that it ends when the node no longer reports its cause.
func TestAlertsOfNodesAboutServicesAreRestored(t *testing.T) {
	b := newBench(t)
	services := []string{"a", "b", "c", "d"}
	n := event.NodeStatus{Node: "n1", Roles: []string{"proxy"}, PanicServices: services, CrowdedServices: services, StaleServices: services}
	for _, s := range services {
		n.Certificates = append(n.Certificates, event.Certificate{Service: s, File: "f", Expires: b.now})
	}
	for range 5 {
		n.Timestamp = b.now
		v, err := n.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b.task.Apply(b.input(event.TopicNodeStatus, "", v, nil), &b.fx)
		b.tick()
	}
	log := decodeAll(t, b.all, event.TopicAlerts, event.DecodeAlert)
	for partition, want := range []int{4 * len(services), 0, 0} {
		next := New(Config{Partition: int32(partition), Partitions: 3})
		for _, a := range log {
			next.Restore(a)
		}
		if next.GoLive(0); len(next.Active()) != want {
			t.Errorf("partition %d restored %d alerts, want %d", partition, len(next.Active()), want)
		}
	}
}

func TestReplayEmitsNothing(t *testing.T) {
	b := newBench(t)
	b.task = New(Config{Partition: 0, Partitions: 1})
	for range 100 {
		b.metrics("", "i", rps(10))
		bad := b.input(event.TopicServiceMetrics, "", []byte("bad"), nil)
		bad.Replay = true
		b.task.Apply(bad, &b.fx)
		b.health("", "i", event.StatusUnhealthy)
		if rs := b.tick(); len(rs) != 0 {
			t.Fatalf("wrote %v", rs)
		}
	}
	used := uint64(b.now.Add(time.Hour).UnixMilli())
	b.task.GoLive(used)
	b.metrics("", "i", rps(10))
	b.tick()
	if s := b.score("i"); s.Seq <= used {
		t.Errorf("seq %d went below the previous owner's", s.Seq)
	}
}

func TestForgottenInstancesCostNothing(t *testing.T) {
	b := newBench(t)
	b.metrics("", "i", rps(10))
	b.health("proxy/n1", "j", event.StatusHealthy)
	for range 182 {
		b.tick()
	}
	if len(b.task.services) != 0 || b.task.unconfigured != 0 {
		t.Errorf("%d services, %d instances left", len(b.task.services), b.task.unconfigured)
	}
}

func TestReportersAndInstancesAreBounded(t *testing.T) {
	b := newBench(t)
	for n := range maxReporters + 10 {
		b.metrics(fmt.Sprintf("proxy/n%d", n), "i", rps(1))
	}
	b.tick()
	s := b.score("i")
	if s.Ignored[ignoredReporters] != 10 {
		t.Errorf("ignored %v", s.Ignored)
	}
}

func TestNodesReportUnsignedRecords(t *testing.T) {
	b := newBench(t)
	say := func(topics ...string) {
		v, err := event.NodeStatus{Timestamp: b.now, Node: "n1", Roles: []string{"proxy"}, UnsignedTopics: topics}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b.task.Apply(b.input(event.TopicNodeStatus, "", v, nil), &b.fx)
		b.tick()
	}
	say(event.TopicConfigUpdates)
	say()
	want := []string{"unsigned-records config-updates firing", "unsigned-records config-updates resolved"}
	if got := b.alerts(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNodesReportMassDrains(t *testing.T) {
	b := newBench(t)
	say := func(services ...string) {
		v, err := event.NodeStatus{Timestamp: b.now, Node: "n1", Roles: []string{"proxy"}, CrowdedServices: services}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b.task.Apply(b.input(event.TopicNodeStatus, "", v, nil), &b.fx)
		b.tick()
	}
	say("user-service")
	for range 12 {
		say()
	}
	want := []string{"mass-drain  firing", "mass-drain  resolved"}
	if got := b.alerts(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Two messages dated apart must not hold longer than one.
func TestDatesOfStatusesProlongNothing(t *testing.T) {
	b := newBench(t)
	for _, d := range []time.Duration{-50 * time.Second, 73 * 365 * 24 * time.Hour} {
		v, err := event.HealthStatus{Timestamp: b.now.Add(d), ServiceID: "s", InstanceID: "i", Status: event.StatusUnhealthy, CheckType: "HTTP"}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b.task.Apply(b.input(event.TopicHealthStatus, "x", v, nil), &b.fx)
	}
	i := b.task.services["s"].instances["i"]
	if got := i.checks(b.now.Add(29 * time.Second)).status; got != event.StatusUnhealthy {
		t.Errorf("29 s later: %q", got)
	}
	if i.checks(b.now.Add(31 * time.Second)).known {
		t.Error("it holds 31 s later")
	}
}

// What smartlb read from an instance counts like what the instance reports itself: utilization and capacity are from it,
// requests and errors from the proxies.
func TestCollectedReportsAreTheInstancesOwn(t *testing.T) {
	b := newBench(t)
	for range 30 {
		b.metrics(event.ReporterProxy("n1"), "i", rps(100))
		b.metrics(event.ReporterORCA, "i", event.Metrics{RPS: event.Some(100), ErrorRate: event.Some(0), CPUUsage: event.Some(.9), Utilization: event.Some(.5)})
		b.tick()
	}
	s := b.score("i")
	if !(s.Capacity.Or(0) > 180 && s.Capacity.Or(0) < 220) || s.Utilization.Or(0) != .5 {
		t.Errorf("capacity %v, utilization %v; want 200 and 0.5", s.Capacity, s.Utilization)
	}
}
