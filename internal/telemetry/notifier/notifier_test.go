package notifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
	"github.com/smartlb/smartlb/internal/telemetry/grouping"
	"github.com/smartlb/smartlb/internal/telemetry/rule"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var quiet = slog.New(slog.DiscardHandler)

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not happen: %s", what)
		}
	}
}

// hook is a webhook that stores what it gets, as "status instance" words.
type hook struct {
	*httptest.Server
	down atomic.Bool

	mu   sync.Mutex
	got  []string
	last []byte
}

func newHook(t *testing.T) *hook {
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if h.down.Load() {
			w.WriteHeader(503)
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.got, h.last = append(h.got, words(body)), body
	}))
	t.Cleanup(h.Close)
	return h
}

func words(body []byte) string {
	type alert struct {
		Status string
		Labels map[string]string
		EndsAt time.Time
	}
	var message struct{ Alerts []alert }
	if json.Unmarshal(body, &message) != nil {
		if json.Unmarshal(body, &message.Alerts) != nil { // as for an Alertmanager
			return string(body)
		}
	}
	var out []string
	for _, a := range message.Alerts {
		out = append(out, strings.TrimSpace(a.Status+" "+a.Labels["instance"]))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (h *hook) messages() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got)
}

func (h *hook) want(t *testing.T, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprint("the messages ", want), func() bool { return len(h.messages()) >= len(want) })
	if got := h.messages(); !slices.Equal(got, want) {
		t.Fatalf("messages %q, want %q", got, want)
	}
}

// fleet is a cluster with a producer of alerts and a clock.
type fleet struct {
	t    *testing.T
	k    *kafkatest.Cluster
	cfg  kafka.Config
	skew atomic.Int64 // nanoseconds that the clock of the nodes is ahead
	seq  uint64
}

func newFleet(t *testing.T) *fleet {
	f := &fleet{t: t, k: kafkatest.New(t, event.TopicAlerts, event.TopicConfigUpdates)}
	f.cfg = kafka.Default()
	f.cfg.Brokers, f.cfg.Linger = []string{f.k.Addr()}, 0
	return f
}

func (f *fleet) now() time.Time { return time.Now().Add(time.Duration(f.skew.Load())) }

func (f *fleet) send(ring *sign.Ring, topic string, values ...[]byte) {
	f.t.Helper()
	cfg := f.cfg
	cfg.Signing = ring
	p, err := kafka.NewProducer(cfg, quiet)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = p.Close(context.Background()) }()
	for _, v := range values {
		if _, err := p.SendSync(f.t.Context(), kafka.Record{Topic: topic, Value: v}); err != nil {
			f.t.Fatal(err)
		}
	}
}

// alert writes the state of an instance's alert; the id of an occurrence is its begin.
func (f *fleet) alert(instance string, began time.Time, status string) {
	f.t.Helper()
	f.send(f.cfg.Signing, event.TopicAlerts, f.state(instance, began, status).AppendJSON(nil))
}

func (f *fleet) state(instance string, began time.Time, status string) event.Alert {
	labels := map[string]string{"service": "shop", "instance": instance}
	f.seq++
	now := readable.Moment(time.Now())
	a := event.Alert{
		Fingerprint: rule.Fingerprint(rule.InstanceDown.ID, labels), RuleID: rule.InstanceDown.ID, Status: status, Severity: event.SeverityCritical,
		Labels: labels, StartsAt: readable.Moment(began), FiredAt: readable.Moment(began), UpdatedAt: now, Seq: uint64(now.UnixMilli()) + f.seq,
	}
	a.AlertID = fmt.Sprintf("%s-%d", a.Fingerprint, began.UnixMilli())
	if status == event.AlertResolved {
		a.EndsAt = now
	}
	return a
}

func alertingTo(receivers ...config.Receiver) config.Alerting {
	a := config.DefaultAlerting()
	a.GroupBy, a.GroupWait, a.GroupInterval = []string{"alertname", "instance"}, 0, time.Second
	for _, r := range receivers {
		r.Timeout, r.MinSeverity, r.SendResolved = 10*time.Second, event.SeverityInfo, true
		a.Receivers = append(a.Receivers, r)
	}
	return a
}

func webhookTo(h *hook) config.Receiver {
	return config.Receiver{Name: "ops", Type: config.ReceiverWebhook, URL: h.URL}
}

// node runs a notifier; the function that it returns stops it.
func (f *fleet) node(name string, a config.Alerting) (*Notifier, func()) {
	f.t.Helper()
	n, err := New(Config{Kafka: f.cfg, Alerting: a, Node: name, Now: f.now}, quiet)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
		n.Close()
	})
	f.t.Cleanup(stop)
	return n, stop
}

func (f *fleet) sends(n *Notifier) {
	f.t.Helper()
	eventually(f.t, "the node sends", func() bool { return n.Status().Sender })
}

func TestOneNodeSendsAndTheNextContinues(t *testing.T) {
	f, h := newFleet(t), newHook(t)
	begin := time.Now()
	f.alert("old", begin.Add(-time.Hour), event.AlertFiring) // before any node sent alerts
	f.alert("old", begin.Add(-time.Hour), event.AlertResolved)
	f.alert("i1", begin.Add(-time.Minute), event.AlertFiring)
	a, stopA := f.node("a", alertingTo(webhookTo(h)))
	h.want(t, "firing i1")
	b, stopB := f.node("b", alertingTo(webhookTo(h)))
	eventually(t, "one node of two sends", func() bool { return a.Status().Sender != b.Status().Sender })
	f.alert("i2", begin, event.AlertFiring)
	h.want(t, "firing i1", "firing i2")
	if !a.Status().Sender {
		a, b, stopA, stopB = b, a, stopB, stopA
	}
	stopA()
	f.alert("i1", begin.Add(-time.Minute), event.AlertResolved) // while no node sends
	f.sends(b)
	h.want(t, "firing i1", "firing i2", "resolved i1")
	stopB()
	c, _ := f.node("c", alertingTo(webhookTo(h)))
	f.sends(c)
	f.alert("i2", begin, event.AlertResolved)
	h.want(t, "firing i1", "firing i2", "resolved i1", "resolved i2")
	eventually(t, "the message is settled", func() bool { return c.Status().Receivers[0].Delivered == 1 })
	if s := c.Status().Receivers[0]; s.Failed != 0 || s.Alerts != 0 || s.LastDelivered.IsZero() || s.Target != h.URL {
		t.Errorf("%+v", s)
	}
}

func TestAReceiverThatIsDownGetsTheStateLater(t *testing.T) {
	f, h, other := newFleet(t), newHook(t), newHook(t)
	second := webhookTo(other)
	second.Name = "other"
	h.down.Store(true)
	n, stop := f.node("a", alertingTo(webhookTo(h), second))
	begin := time.Now()
	f.alert("i1", begin, event.AlertFiring)
	f.alert("i2", begin, event.AlertFiring)
	eventually(t, "the receiver fails", func() bool { return slices.Equal(n.Failing(), []string{"ops"}) })
	eventually(t, "the other receiver has its messages", func() bool { return len(other.messages()) == 2 })
	if s := n.Status().Receivers[0]; s.LastError != "it answered 503 Service Unavailable" || s.FailingSince.IsZero() || s.NextAttempt.IsZero() {
		t.Errorf("%+v", s)
	}
	stop()
	n, _ = f.node("b", alertingTo(webhookTo(h), second)) // what was not delivered is not lost
	f.sends(n)
	f.alert("i2", begin, event.AlertResolved)
	eventually(t, "the end arrived", func() bool { return slices.Contains(other.messages(), "resolved i2") })
	h.down.Store(false)
	f.skew.Add(int64(2 * time.Minute)) // past the wait for the next attempt
	eventually(t, "both messages", func() bool { return len(h.messages()) == 2 })
	got := h.messages()
	slices.Sort(got)
	if !slices.Equal(got, []string{"firing i1", "resolved i2"}) || len(n.Failing()) != 0 {
		t.Errorf("%q, failing %v", got, n.Failing())
	}
	if got := other.messages(); len(got) != 3 {
		t.Errorf("duplicates at the other receiver: %q", got)
	}
}

func TestSilencesAreHonoured(t *testing.T) {
	f, h := newFleet(t), newHook(t)
	id, err := configlog.PublishSilence(t.Context(), f.cfg, event.Silence{Labels: map[string]string{"instance": "i1"}, EndsAt: time.Now().Add(time.Hour)}, "ann", "known", quiet)
	if err != nil {
		t.Fatal(err)
	}
	f.node("a", alertingTo(webhookTo(h)))
	begin := time.Now()
	f.alert("i1", begin, event.AlertFiring)
	f.alert("i2", begin, event.AlertFiring)
	h.want(t, "firing i2")
	if _, err := configlog.PublishSilence(t.Context(), f.cfg, event.Silence{ID: id, Labels: map[string]string{"instance": "i1"}, EndsAt: time.Now()}, "ann", "", quiet); err != nil {
		t.Fatal(err)
	}
	h.want(t, "firing i2", "firing i1")
}

// With keys, only records of the fleet cause messages. Without, a record must at least be one that an analyzer may write.
func TestForgedAlertsCauseNoMessage(t *testing.T) {
	f, h := newFleet(t), newHook(t)
	keys, err := sign.Config{Keys: []sign.Key{{ID: "a", Secret: "${env:K}"}}}.Ring(func(string) string { return strings.Repeat("s", 32) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.cfg.Signing = keys
	f.node("a", alertingTo(webhookTo(h)))
	stolen, future := f.state("i3", time.Now(), event.AlertFiring), f.state("i4", time.Now().Add(time.Hour), event.AlertFiring)
	stolen.Labels["instance"] = "i5"
	f.send(nil, event.TopicAlerts, []byte("nonsense"), f.state("i1", time.Now(), event.AlertFiring).AppendJSON(nil))
	f.send(keys, event.TopicAlerts, stolen.AppendJSON(nil), future.AppendJSON(nil))
	f.alert("i2", time.Now(), event.AlertFiring)
	h.want(t, "firing i2")
}

// An Alertmanager resolves an alert that no node sends again. Without Kafka, no alert has ended.
func TestWithoutKafkaTheSenderContinues(t *testing.T) {
	f, h := newFleet(t), newHook(t)
	n, _ := f.node("a", alertingTo(config.Receiver{Name: "am", Type: config.ReceiverAlertmanager, URL: h.URL}))
	f.alert("i1", time.Now(), event.AlertFiring)
	h.want(t, "i1")
	f.k.Stop()
	orphaned := func() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.orphaned }
	eventually(t, "the node lost its place in the group", orphaned)
	for i := range 3 {
		f.skew.Add(int64(61 * time.Second))
		eventually(t, "the alert is sent again", func() bool { return len(h.messages()) >= i+2 })
	}
	f.k.Start()
	eventually(t, "the node has its partition again", func() bool { return !orphaned() && n.Status().Sender })
	f.alert("i2", time.Now(), event.AlertFiring)
	eventually(t, "new alerts arrive", func() bool {
		return slices.ContainsFunc(h.messages(), func(m string) bool { return strings.Contains(m, "i2") })
	})
}

// A sender that was paused for so long that another node took its place ends, once it notices.
func TestASenderWithoutItsPlaceEnds(t *testing.T) {
	f, h := newFleet(t), newHook(t)
	n, _ := f.node("a", alertingTo(webhookTo(h)))
	f.sends(n)
	n.orphan()
	eventually(t, "the node ends", func() bool { return !n.Status().Sender })
	f.alert("i1", time.Now(), event.AlertFiring)
	if s := n.Status().Receivers[0]; s.Alerts != 0 || len(h.messages()) != 0 {
		t.Errorf("%+v, %q", s, h.messages())
	}
}

func TestATestMessage(t *testing.T) {
	f, h := newFleet(t), newHook(t)
	n, err := New(Config{Kafka: f.cfg, Alerting: alertingTo(webhookTo(h)), Node: "a"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.Test(t.Context(), "none"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if err := n.Test(t.Context(), "ops"); err != nil {
		t.Error(err)
	}
	if !strings.Contains(string(h.last), "test message from smartlb node a") || !strings.Contains(string(h.last), TestRule) {
		t.Errorf("%s", h.last)
	}
	h.down.Store(true)
	if err := n.Test(t.Context(), "ops"); err == nil || err.Error() != "it answered 503 Service Unavailable" {
		t.Error(err)
	}
	if s := n.Status(); s.Sender || s.Receivers[0].Delivered != 0 || len(n.Failing()) != 0 {
		t.Errorf("%+v", s)
	}
}

func TestMarksAreStored(t *testing.T) {
	now := time.UnixMilli(time.Now().UnixMilli())
	m := marks{}
	for i := range 16 {
		m[fmt.Sprint(strings.Repeat("n", 126), i)] = mark(now, now.Add(-time.Hour), time.Time{})
	}
	text := m.encode()
	if len(text) > 4096 {
		t.Errorf("%d bytes are more than Kafka stores", len(text))
	}
	got := parseMarks(text)
	for name, k := range m {
		if !got[name].At.Equal(k.At) || !got[name].Since.Equal(k.Since) || !got[name].Silenced.IsZero() {
			t.Errorf("%+v", got[name])
		}
	}
	if !got.same(m) || got.same(marks{}) {
		t.Error("same")
	}
	for _, text := range []string{"", "{}", "nonsense", `{"v":2,"at":1}`, `{"v":1,"at":-5,"receivers":{"a":[1,2]}}`} {
		if got := parseMarks(text); len(got) != 0 {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func mark(at, since, silenced time.Time) grouping.Mark {
	return grouping.Mark{At: at, Since: since, Silenced: silenced}
}
