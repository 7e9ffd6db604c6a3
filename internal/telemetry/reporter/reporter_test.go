package reporter

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/store"
	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/control/keeper"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/probe"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// topicLog is a sender that keeps what it took; full refuses.
type topicLog struct {
	mu   sync.Mutex
	full bool
	got  []kafka.Record
}

func (s *topicLog) Send(r kafka.Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return false
	}
	s.got = append(s.got, r)
	return true
}

func (s *topicLog) of(topic string) (out []kafka.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.got {
		if r.Topic == topic {
			out = append(out, r)
		}
	}
	return out
}

type lives []*upstream.Live

func (l lives) EachLive(f func(*upstream.Live, map[string]string)) {
	for _, one := range l {
		f(one, map[string]string{"region": "x"})
	}
}

// world is a reporter whose clock is turned by hand.
type world struct {
	*Reporter
	now int64
	log *topicLog
}

func newWorld(rate int) *world {
	w := &world{now: int64(time.Second), log: &topicLog{}}
	w.Reporter = New(Config{
		Node: "n1", DecisionRate: rate, Now: func() int64 { return w.now },
		Wall:   func() time.Time { return time.Unix(1000, 0).Add(time.Duration(w.now)) },
		Sender: w.log, Log: slog.New(slog.DiscardHandler),
	})
	return w
}

// serve lets an instance answer one request through the accounting that the
// data plane uses.
func serve(l *upstream.Live, o upstream.Outcome, at int64, took time.Duration) {
	s := upstream.NewService(l.Service)
	s.Swap(&upstream.Pool{Members: []upstream.Member{{Live: l, Weight: 1}}, Live: []int32{0}, Policy: first{}})
	a, t := upstream.Ask{Now: at}, upstream.Ticket{}
	s.Pick(&a, &t)
	t.Observe(o, at+int64(took))
	t.Release()
}

type first struct{}

func (first) Choose(*upstream.Pool, *upstream.Ask) int { return 0 }

func metrics(t interface{ Fatal(...any) }, records []kafka.Record) (out []event.ServiceMetrics) {
	for _, r := range records {
		m, err := event.DecodeServiceMetrics(r.Value)
		if err != nil {
			t.Fatal(string(r.Value), err)
		}
		out = append(out, m)
	}
	return out
}

// What is multiplied out of the reports, as a reader does, is what was counted,
// however busy and idle seconds follow each other.
func TestReportedRequestsAreCountedRequests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(0)
		l := upstream.NewLive("s", "i", "a:1", 1, w.now)
		total, failed := 0, 0
		for range rapid.IntRange(1, 60).Draw(t, "seconds") {
			n := rapid.SampledFrom([]int{0, 0, 0, 1, 3, 40}).Draw(t, "requests")
			for range n {
				o := rapid.SampledFrom([]upstream.Outcome{upstream.Success, upstream.Failed, upstream.TimedOut, upstream.Overloaded, upstream.Abandoned}).Draw(t, "outcome")
				serve(l, o, w.now, time.Millisecond)
				if o == upstream.Abandoned {
					continue
				}
				total++
				if o != upstream.Success {
					failed++
				}
			}
			w.now += int64(time.Second)
			before := len(w.log.got)
			w.report(lives{l})
			if len(w.log.got) > before+1 {
				t.Fatal("two reports of one instance in one second")
			}
		}
		var requests, errors float64
		var last time.Time
		for i, m := range metrics(t, w.log.of(event.TopicServiceMetrics)) {
			gap := time.Second
			if i > 0 {
				gap = m.Timestamp.Sub(last)
			}
			last = m.Timestamp
			n := m.Metrics.RPS.Value * gap.Seconds()
			if n < .5 {
				t.Fatal("an idle second was reported")
			}
			if m.Metrics.CPUUsage.Set || m.Metrics.MemoryUsage.Set {
				t.Fatal("a proxy cannot know cpu and memory")
			}
			requests += n
			errors += n * m.Metrics.ErrorRate.Value
		}
		if math.Abs(requests-float64(total)) > .01*float64(total)+.01 || math.Abs(errors-float64(failed)) > .01*float64(total)+.01 {
			t.Fatalf("reported %.2f requests and %.2f errors, counted %d and %d", requests, errors, total, failed)
		}
	})
}

// A report may fall between the two counters of one request.
func TestAnErrorBetweenTwoReportsIsReportedOnce(t *testing.T) {
	w := newWorld(0)
	l := upstream.NewLive("s", "i", "a:1", 1, w.now)
	errors := 0.0
	for i := range 4 {
		if i%2 == 0 {
			l.Errors.Add(1) // its request comes after the report
			serve(l, upstream.Success, w.now, time.Millisecond)
			l.Errors.Add(1)
		} else {
			l.Requests.Add(1)
		}
		w.now += int64(time.Second)
		w.report(lives{l})
	}
	for _, m := range metrics(t, w.log.of(event.TopicServiceMetrics)) {
		errors += m.Metrics.RPS.Value * m.Metrics.ErrorRate.Value
	}
	if errors != 4 {
		t.Errorf("%v errors were reported, want 4", errors)
	}
}

func TestTheSketchHoldsTheLatenciesOfItsSpan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(0)
		l := upstream.NewLive("s", "i", "a:1", 1, w.now)
		for range 2 { // the second report must not hold the first's
			took := time.Duration(rapid.IntRange(50, 5_000_000).Draw(t, "us")) * time.Microsecond
			n := rapid.IntRange(1, 50).Draw(t, "n")
			for range n {
				serve(l, upstream.Success, w.now, took)
				serve(l, upstream.Failed, w.now, time.Nanosecond) // failures are fast and must not count
			}
			w.now += int64(time.Second)
			w.report(lives{l})
			all := w.log.of(event.TopicServiceMetrics)
			r := all[len(all)-1]
			encoded, ok := r.Header(event.HeaderLatency)
			if !ok {
				t.Fatal("no sketch")
			}
			sketch, err := ddsketch.DecodeDDSketch(encoded, store.BufferedPaginatedStoreConstructor, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := float64(took) / 1e6
			got, _ := sketch.GetValueAtQuantile(.95)
			m, _ := event.DecodeServiceMetrics(r.Value)
			if sketch.GetCount() != float64(n) || got < want*.86 || got > want*1.14 || m.Metrics.P95Latency.Value < want*.86 || m.Metrics.P95Latency.Value > want*1.14 {
				t.Fatalf("%v latencies, p95 %.3f (message %.3f), want %d of %.3f ms", sketch.GetCount(), got, m.Metrics.P95Latency.Value, n, want)
			}
		}
	})
}

func TestReportersHeaderAndKey(t *testing.T) {
	w := newWorld(0)
	l := upstream.NewLive("s", "i", "a:1", 1, w.now)
	serve(l, upstream.Success, w.now, time.Millisecond)
	w.now += int64(time.Second)
	w.report(lives{l})
	r := w.log.of(event.TopicServiceMetrics)[0]
	if v, _ := r.Header(event.HeaderReporter); string(v) != "proxy/n1" || string(r.Key) != "s" {
		t.Errorf("reporter %q, key %q", v, r.Key)
	}
}

func decision() *dispatch.Decision {
	l := upstream.NewLive("s", "i", "a:1", 1, 0)
	p := &upstream.Pool{Rev: 3, Name: "adaptive", Members: []upstream.Member{{Live: l, Weight: .25, SlowStart: 1, Distance: upstream.CrossRegion}, {Live: upstream.NewLive("s", "j", "a:2", 1, 0), Out: upstream.Ejected, Until: 5}}, Live: []int32{0}}
	var compared upstream.Trace
	compared.Add(upstream.Candidate{Cost: 4, Latency: 1, Penalty: 1, Silence: 1})
	return &dispatch.Decision{ID: []byte("req-1"), Service: "s", Route: "r", Why: event.WhySample, At: 1, Attempts: []dispatch.Attempt{{Pool: p, Status: 200, Trace: compared}}}
}

func TestDecisionsBeyondTheRateAreCounted(t *testing.T) {
	w := newWorld(10)
	for second := range 3 {
		for range 25 {
			d := decision()
			d.At = int64(second) * 1e9
			w.Record(d)
		}
	}
	if s := w.Stats(); s.RateCapped != 45 || len(w.ring) != 30 || s.RingFull != 0 {
		t.Errorf("%+v, %d queued", s, len(w.ring))
	}
	none := newWorld(0)
	none.Record(decision())
	if none.Stats().RateCapped != 1 {
		t.Error("a rate of 0 let one through")
	}
}

// Requests that took long end among younger ones: their seconds must not begin
// the count of a second anew.
func TestTheRateHoldsWhereSlowRequestsEndAmongQuickOnes(t *testing.T) {
	w := newWorld(10)
	for i := range 100 {
		d := decision()
		d.At = int64(5-3*(i%2)) * 1e9
		w.Record(d)
	}
	if s := w.Stats(); s.RateCapped != 90 || len(w.ring) != 10 {
		t.Errorf("%+v, %d queued", s, len(w.ring))
	}
}

// Every decision is published, capped, or counted as lost, whoever sends them
// at once.
func TestNoDecisionVanishes(t *testing.T) {
	w := newWorld(math.MaxInt32)
	const senders, each = 8, 1000
	ctx, cancel := context.WithCancel(context.Background())
	var running, sending sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx, lives{}); err != nil {
			t.Error(err)
		}
	})
	for range senders {
		sending.Go(func() {
			for range each {
				w.Record(decision())
			}
		})
	}
	sending.Wait()
	cancel()
	running.Wait()
	if s := w.Stats(); s.Decisions+s.RingFull != senders*each || int(s.Decisions) != len(w.log.of(event.TopicRoutingDecisions)) {
		t.Errorf("%+v, %d messages of %d", s, len(w.log.of(event.TopicRoutingDecisions)), senders*each)
	}
	d, err := event.DecodeRoutingDecision(w.log.of(event.TopicRoutingDecisions)[0].Value)
	if err != nil || d.RequestID != "req-1" || d.InstanceID != "i" || len(d.Excluded) != 1 || d.Excluded[0].Reason != "ejected" {
		t.Errorf("%+v %v", d, err)
	}
	if c := d.Candidates; len(c) != 1 || c[0].Distance != "region" || c[0].Weight != .25 {
		t.Errorf("compared: %+v", c)
	}
}

func TestAFullRingIsCountedAndDoesNotBlock(t *testing.T) {
	w := newWorld(math.MaxInt32)
	for range ringSlots + 7 {
		w.Record(decision())
	}
	for range 300 {
		w.Changed(keeper.Change{Service: "s", Instance: "i", To: "ejected"})
	}
	if s := w.Stats(); s.RingFull != 7 || s.ChangesLost != 44 {
		t.Errorf("%+v", s)
	}
}

func TestRunReportsEachIntervalAndOnceMoreAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		log := &topicLog{}
		r := New(Config{
			Node: "n", DecisionRate: 10, Now: func() int64 { return int64(time.Since(began)) + 1e9 }, Wall: time.Now, Sender: log, Log: slog.New(slog.DiscardHandler),
		})
		l := upstream.NewLive("s", "i", "a:1", 1, 1e9)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx, lives{l}) }()
		serve(l, upstream.Success, 1e9, time.Millisecond)
		time.Sleep(10*time.Second + time.Millisecond)
		if n := len(log.of(event.TopicServiceMetrics)); n != 1 {
			t.Errorf("%d reports of one busy second and nine idle ones", n)
		}
		serve(l, upstream.Success, 1e9, time.Millisecond)
		r.Record(decision())
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := len(log.of(event.TopicServiceMetrics)); n != 2 {
			t.Errorf("%d reports, want the last one too", n)
		}
		if n := len(log.of(event.TopicRoutingDecisions)); n != 1 {
			t.Errorf("%d decisions, want the last one too", n)
		}
	})
}

func TestWhatIsQueuedAtTheEndIsPublished(t *testing.T) {
	w := newWorld(100)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	const each = 100
	for range each {
		w.Record(decision())
		w.Changed(keeper.Change{Service: "s", Instance: "i", From: "in", To: "ejected"})
	}
	if err := w.Run(ctx, lives{}); err != nil {
		t.Fatal(err)
	}
	if n := len(w.log.of(event.TopicRoutingDecisions)); n != 2*each {
		t.Errorf("%d decisions and changes of %d: %+v", n, 2*each, w.Stats())
	}
}

func TestProbesArePublishedOnChangeAndRepeatedLessAndLessOftenWhileHealthy(t *testing.T) {
	w := newWorld(0)
	at := time.Unix(2000, 0)
	probed := func(up, ok bool, after time.Duration) {
		at = at.Add(after)
		w.Probed(probe.Result{Target: probe.Target{Service: "s", Instance: "i", Check: "http"}, At: at, Up: up, OK: ok, StatusCode: 200})
	}
	for range 80 {
		probed(true, true, time.Second) // published after 0, 5, 15, 35 and 65 s: the pause doubles
	}
	probed(true, false, time.Second)
	for range 12 {
		probed(false, false, time.Second) // after 0, 5 and 10 s
	}
	var got []string
	for _, r := range w.log.of(event.TopicHealthStatus) {
		h, err := event.DecodeHealthStatus(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.Status)
	}
	if fmt.Sprint(got) != "[HEALTHY HEALTHY HEALTHY HEALTHY HEALTHY DEGRADED UNHEALTHY UNHEALTHY UNHEALTHY]" {
		t.Error(got)
	}
}

func TestWhatLeftIsForgotten(t *testing.T) {
	w := newWorld(0)
	for i := range 100 {
		l := upstream.NewLive("s", fmt.Sprint(i), "a:1", 1, w.now)
		w.Probed(probe.Result{Target: probe.Target{Service: "s", Instance: l.Instance}, At: time.Unix(2000, 0), Up: true, OK: true})
		w.report(lives{l})
	}
	if len(w.seen) != 1 || len(w.said) != 1 {
		t.Errorf("%d counters and %d statuses of one instance", len(w.seen), len(w.said))
	}
}

func TestWhatTheQueueRefusesIsCounted(t *testing.T) {
	w := newWorld(0)
	w.log.full = true
	l := upstream.NewLive("s", "i", "a:1", 1, w.now)
	serve(l, upstream.Success, w.now, time.Millisecond)
	w.now += int64(time.Second)
	w.report(lives{l})
	if s := w.Stats(); s.NotQueued != 1 || s.Reports != 0 {
		t.Errorf("%+v", s)
	}
}

func TestPublishingADecisionAllocatesOnlyWhatIsSent(t *testing.T) {
	r := New(Config{Node: "n", DecisionRate: 1 << 30, Now: func() int64 { return 1 }, Wall: time.Now, Sender: nobody{}, Log: slog.New(slog.DiscardHandler)})
	d := decision()
	round := func() {
		r.Record(d)
		r.publish(<-r.ring)
	}
	round() // its draft grows
	if n := testing.AllocsPerRun(200, round); n > 3 {
		t.Errorf("%v allocations; want three: request id, key, value", n)
	}
}

type nobody struct{}

func (nobody) Send(kafka.Record) bool { return true }
