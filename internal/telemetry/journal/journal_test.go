package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/mask"
	"github.com/smartlb/smartlb/internal/telemetry/audit"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// rig is a broker with our topics and a producer.
type rig struct {
	*kafkatest.Cluster
	cfg      Config
	producer *kafka.Producer
}

func newRig(t *testing.T) *rig {
	t.Helper()
	k := kafkatest.New(t, event.TopicRoutingDecisions, event.TopicAuditLogs, event.TopicConfigUpdates, event.TopicAccessLogs)
	cfg := kafka.Default()
	cfg.Brokers, cfg.Linger = []string{k.Addr()}, 0
	log := slog.New(slog.DiscardHandler)
	p, err := kafka.NewProducer(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = p.Close(ctx)
	})
	return &rig{k, Config{Kafka: cfg, Log: log}, p}
}

func (r *rig) send(t *testing.T, topic, key string, value []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := r.producer.SendSync(ctx, kafka.Record{Topic: topic, Key: []byte(key), Value: value}); err != nil {
		t.Fatal(err)
	}
}

func decided(n int, id, instance string) event.RoutingDecision {
	return event.RoutingDecision{
		Timestamp: time.Now().UTC().Add(time.Duration(n) * time.Millisecond), Node: "n", Kind: event.KindDecision, RequestID: id, ServiceID: fmt.Sprint("s", n%3),
		Attempt: n, InstanceID: instance, Outcome: event.Outcome{Status: 200},
	}
}

// run runs an actor until the test ends.
func run(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestDecisionsAreReadWhileSomebodyLooks(t *testing.T) {
	r := newRig(t)
	for i := range 30 {
		d := decided(i, fmt.Sprint("r", i), fmt.Sprint("i", i%2))
		r.send(t, event.TopicRoutingDecisions, d.ServiceID, d.AppendJSON(nil))
	}
	r.send(t, event.TopicRoutingDecisions, "s0", []byte("<script>"))
	s := Decisions(r.cfg)
	run(t, s.Run)
	got, err := s.Recent(t.Context(), 10, Filter{Instance: "i1"}.Match)
	if err != nil || len(got) != 10 {
		t.Fatalf("%d decisions, %v", len(got), err)
	}
	for i, d := range got { // newest first, over all partitions
		if want := fmt.Sprint("r", 29-2*i); d.RequestID != want {
			t.Errorf("decision %d is %s, want %s", i, d.RequestID, want)
		}
	}
	page := s.Subscribe(5, nil)
	defer page.Close()
	if first, skipped := page.Take(); len(first) != 5 || first[4].RequestID != "r29" || skipped != 0 {
		t.Errorf("a page begins with %d, %d skipped", len(first), skipped)
	}
	for i := range 20 {
		d := decided(100+i, fmt.Sprint("new", i), "i")
		r.send(t, event.TopicRoutingDecisions, "s0", d.AppendJSON(nil))
	}
	shown, missed := 0, 0
	var last string
	for end := time.Now().Add(2 * time.Minute); shown+missed < 20 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		fresh, skipped := page.Take()
		if len(fresh) > 5 {
			t.Errorf("%d at once", len(fresh))
		}
		for _, d := range fresh {
			last = d.RequestID
		}
		shown, missed = shown+len(fresh), missed+skipped
	}
	if shown+missed != 20 || last != "new19" {
		t.Errorf("%d shown, %d skipped, last %s", shown, missed, last)
	}
}

// Who comes first sees the newest of the past, and is not told that the rest of
// it was skipped.
func TestThePastIsNotSkipped(t *testing.T) {
	r := newRig(t)
	for i := range 40 {
		d := decided(i, fmt.Sprint("r", i), "i")
		r.send(t, event.TopicRoutingDecisions, d.ServiceID, d.AppendJSON(nil))
	}
	s := Decisions(r.cfg)
	page := s.Subscribe(5, nil)
	defer page.Close()
	run(t, s.Run)
	var got []Decision
	for end := time.Now().Add(2 * time.Minute); len(got) == 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var skipped int
		if got, skipped = page.Take(); skipped > 0 {
			t.Errorf("%d skipped", skipped)
		}
	}
	if len(got) != 5 || got[0].RequestID != "r35" || got[4].RequestID != "r39" {
		t.Errorf("begins with %d: %+v", len(got), got)
	}
}

func TestWithoutKafkaItSaysSoAndKeepsWhatItHad(t *testing.T) {
	r := newRig(t)
	d := decided(0, "r0", "i0")
	r.send(t, event.TopicRoutingDecisions, "s0", d.AppendJSON(nil))
	s := Decisions(r.cfg)
	run(t, s.Run)
	if got, err := s.Recent(t.Context(), 10, nil); err != nil || len(got) != 1 {
		t.Fatalf("%d %v", len(got), err)
	}
	r.Stop()
	if got, err := s.Recent(t.Context(), 10, nil); err != nil || len(got) != 1 {
		t.Errorf("what was read is gone: %d %v", len(got), err)
	}
	other := Records(r.cfg)
	run(t, other.Run)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := other.Recent(ctx, 10, nil); !errors.Is(err, ErrAway) {
		t.Errorf("error %v", err)
	}
	r.Start()
	if _, err := other.Recent(t.Context(), 10, nil); err != nil {
		t.Errorf("Kafka is back: %v", err)
	}
}

func TestOneRequestIsFoundWithAllItsAttempts(t *testing.T) {
	r := newRig(t)
	const hostile = `a"\<b>é`
	for i := range 50 {
		d := decided(i, fmt.Sprint("r", i), "i")
		r.send(t, event.TopicRoutingDecisions, fmt.Sprint(i), d.AppendJSON(nil))
	}
	for _, attempt := range []int{2, 1, 3} {
		d := decided(attempt, hostile, "i")
		r.send(t, event.TopicRoutingDecisions, fmt.Sprint(attempt), d.AppendJSON(nil))
	}
	calls := 0
	s, err := Find(t.Context(), r.cfg, hostile, time.Hour, func(Search) { calls++ })
	if err != nil || !s.Done || len(s.Decisions) != 3 || s.Scanned != 53 || s.Total != 53 || calls == 0 {
		t.Fatalf("%+v %v", s, err)
	}
	for i, d := range s.Decisions {
		if d.Attempt != i+1 {
			t.Errorf("attempt %d is at %d", d.Attempt, i)
		}
	}
	if s, err := Find(t.Context(), r.cfg, "r1", time.Hour, func(Search) {}); err != nil || len(s.Decisions) != 1 {
		t.Errorf("r1 is not r10: %+v %v", s, err)
	}
	if s, err := Find(t.Context(), r.cfg, "nobody", time.Hour, func(Search) {}); err != nil || len(s.Decisions) != 0 || !s.Done {
		t.Errorf("%+v %v", s, err)
	}
}

func TestFiltersTakeWhatTheyName(t *testing.T) {
	d := Decision{RoutingDecision: decided(0, "abc", "i")}
	d.Route, d.Reason, d.Why = "users", "lowest-cost", event.WhyRetry
	d.Outcome = event.Outcome{Status: 503, Retried: true}
	change := Decision{RoutingDecision: event.RoutingDecision{Kind: event.KindChange, ServiceID: "s0", Change: event.StandingChange{InstanceID: "i", To: "ejected"}}}
	for _, c := range []struct {
		f    Filter
		want bool
	}{
		{Filter{}, true}, {Filter{Service: "s0", Instance: "i", Route: "users", Reason: "lowest-cost", Why: "retry", Kind: "decision"}, true},
		{Filter{Service: "s1"}, false}, {Filter{Instance: "j"}, false}, {Filter{Route: "u"}, false}, {Filter{Why: "sample"}, false},
		{Filter{Outcome: "ok"}, false}, {Filter{Outcome: "failed"}, true}, {Filter{Outcome: "5xx"}, true}, {Filter{Outcome: "503"}, true},
		{Filter{Outcome: "500"}, false}, {Filter{Outcome: "4xx"}, false}, {Filter{Outcome: "retried"}, true}, {Filter{Outcome: "timeout"}, false}, {Filter{RequestID: "ab"}, true}, {Filter{RequestID: "b"}, false},
	} {
		if got := c.f.Match(&d); got != c.want {
			t.Errorf("%+v: %v", c.f, got)
		}
	}
	if !(Filter{Instance: "i"}).Match(&change) || (Filter{Outcome: "failed"}).Match(&change) {
		t.Error("a change of standing has an instance and no outcome")
	}
	r := Record{AuditLog: event.AuditLog{Actor: event.Actor{Type: "user", ID: "Ann"}, Action: "drain.instance", Target: event.Target{Kind: "instance", ID: "s/i"}, Result: event.ResultDenied, Timestamp: time.Unix(100, 0)}}
	for _, c := range []struct {
		f    RecordFilter
		want bool
	}{
		{RecordFilter{}, true}, {RecordFilter{Actor: "ann", Action: "DRAIN", Target: "s/", Result: "denied"}, true}, {RecordFilter{Actor: "bob"}, false},
		{RecordFilter{Since: time.Unix(101, 0)}, false}, {RecordFilter{Until: time.Unix(100, 0)}, false}, {RecordFilter{Since: time.Unix(100, 0), Until: time.Unix(101, 0)}, true},
	} {
		if got := c.f.Match(&r); got != c.want {
			t.Errorf("%+v: %v", c.f, got)
		}
	}
}

func TestTheLogOfConfigurationIsFolded(t *testing.T) {
	r := newRig(t)
	name, err := configlog.Publish(t.Context(), r.cfg.Kafka, configlog.Change{Document: []byte("routes: []\nservices: []\n"), Author: "ada"}, r.cfg.Log)
	if err != nil {
		t.Fatal(err)
	}
	id, err := configlog.PublishSilence(t.Context(), r.cfg.Kafka, event.Silence{RuleID: "panic", EndsAt: time.Now().Add(time.Hour).UTC()}, "ada", "known", r.cfg.Log)
	if err != nil {
		t.Fatal(err)
	}
	c := NewConfiguration(r.cfg)
	run(t, c.Run)
	s, err := c.State(t.Context())
	if err != nil || s.Revision != name || len(s.Silences) != 1 || s.Silences[0].ID != id || s.Silences[0].Reason != "known" {
		t.Errorf("%+v %v", s, err)
	}
}

func TestAllOfTheAuditLogIsVerified(t *testing.T) {
	r := newRig(t)
	l, err := audit.New("n", t.TempDir(), r.producer, r.cfg.Log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	for range 5 {
		l.Record(event.AuditLog{Actor: event.Actor{Type: "user"}, Action: "drain.instance"})
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.send(t, event.TopicAuditLogs, "n", []byte("{}"))
	got, err := Verify(t.Context(), r.cfg)
	if err != nil || got.State != audit.Intact || len(got.Chains) != 1 || got.Chains[0].Records != 5 || got.Unreadable != 1 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestWhatIsHiddenIsNeitherShownNorFound(t *testing.T) {
	r := newRig(t)
	r.cfg.Mask = mask.Rules{
		{Topics: []string{event.TopicAuditLogs}, Fields: []string{"before", "after.secret"}},
		{Topics: []string{"routing-*"}, Fields: []string{"requestId"}},
	}
	l, err := audit.New("n", t.TempDir(), r.producer, r.cfg.Log)
	if err != nil {
		t.Fatal(err)
	}
	run(t, l.Run)
	l.Record(event.AuditLog{
		Actor: event.Actor{Type: "user"}, Action: "set.thing", Target: event.Target{Kind: "thing"},
		Before: []byte(`{"secret":"hunter1"}`), After: []byte(`{"secret":"hunter2","open":"yes"}`),
	})
	d := decided(0, "request-1", "i")
	r.send(t, event.TopicRoutingDecisions, "0", d.AppendJSON(nil))

	records := Records(r.cfg)
	run(t, records.Run)
	got, err := records.Recent(t.Context(), 10, func(*Record) bool { return true })
	for i := 0; err == nil && len(got) == 0 && i < 2000; i++ {
		time.Sleep(50 * time.Millisecond)
		got, err = records.Recent(t.Context(), 10, func(*Record) bool { return true })
	}
	if err != nil || len(got) != 1 {
		t.Fatalf("%+v %v", got, err)
	}
	if text := string(got[0].Before) + string(got[0].After); strings.Contains(text, "hunter") || !strings.Contains(text, `"open":"yes"`) {
		t.Errorf("before and after: %s", text)
	}
	for id, want := range map[string]int{"request-1": 0, mask.Hidden: 1} {
		if s, err := Find(t.Context(), r.cfg, id, time.Hour, func(Search) {}); err != nil || len(s.Decisions) != want {
			t.Errorf("%s: %+v %v", id, s, err)
		}
	}
	if v, err := Verify(t.Context(), r.cfg); err != nil || v.State != audit.Intact || len(v.Chains) != 1 {
		t.Errorf("what is hidden does not break the chain: %+v %v", v, err)
	}
}
