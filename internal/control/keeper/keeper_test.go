package keeper

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/orca"
	"github.com/smartlb/smartlb/internal/dataplane/picker"
	"github.com/smartlb/smartlb/internal/dataplane/probe"
	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// world is a keeper whose clock is turned by hand.
type world struct {
	*Keeper
	now     int64
	changes []Change
}

func newWorld() *world {
	w := &world{now: int64(time.Second)}
	w.Keeper = New(Config{
		Now: func() int64 { return w.now }, Wall: func() time.Time { return time.Unix(0, 0).Add(time.Duration(w.now)) },
		Reporter: "proxy/self", OnChange: func(c Change) { w.changes = append(w.changes, c) }, Log: slog.New(slog.DiscardHandler),
	})
	return w
}

func (w *world) wait(d time.Duration) {
	w.now += int64(d)
	w.Rebuild()
}

func (w *world) state(service, instance string) string {
	for _, v := range w.Views() {
		for _, i := range v.Instances {
			if v.ID == service && i.ID == instance {
				return i.State
			}
		}
	}
	return "absent"
}

func (w *world) status(instance, status, reporter string) {
	w.ObserveStatus(event.HealthStatus{Timestamp: w.cfg.Wall(), ServiceID: "s", InstanceID: instance, Status: status, CheckType: "HTTP"}, reporter, false)
}

// configured makes a configured service "s" with instances i1..in.
func configured(id string, n int) config.Service {
	s := config.Service{
		ID: id, Policy: "least_request", SlowStart: 10 * time.Second, PanicThreshold: .5,
		Ejection: config.Ejection{ConsecutiveFailures: 5, MinRequests: 20, Window: 10 * time.Second, Time: 5 * time.Second, Growth: 2, MaxTime: time.Minute, MaxShare: .3},
	}
	for i := range n {
		s.Instances = append(s.Instances, config.Instance{ID: fmt.Sprintf("i%d", i+1), Address: fmt.Sprintf("10.0.0.%d:80", i+1), Weight: 1})
	}
	return s
}

// Those who are told of changes and those who look have locks of their own,
// which they hold while they ask the keeper: it must hold none of its own then.
func TestNobodyIsCalledUnderTheKeepersLock(t *testing.T) {
	told, looked := 0, 0
	var k *Keeper
	look := func() { looked += len(k.Views()) }
	k = New(Config{
		Now: func() int64 { return int64(time.Second) }, Wall: time.Now, Log: slog.New(slog.DiscardHandler),
		OnChange: func(Change) { told++; look() },
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.Apply([]config.Service{configured("s", 2)})
		k.SetOverrides([]event.Override{drain("i1")})
		k.EachLive(func(*upstream.Live, map[string]string) { look() })
		k.EachCost(func(*upstream.Member, upstream.Candidate) { look() })
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("the keeper waits for itself")
	}
	if told != 1 || looked != 5 {
		t.Errorf("%d changes told, looked %d times, want 1 and 5", told, looked)
	}
}

func drain(instance string) event.Override {
	return event.Override{ServiceID: "s", InstanceID: instance, Action: event.ActionDrain}
}

func weigh(instance string, weight float64) event.Override {
	return event.Override{ServiceID: "s", InstanceID: instance, Action: event.ActionWeight, Weight: event.Some(weight)}
}

func TestOverridesAreReplacedAsAWhole(t *testing.T) {
	w := newWorld()
	w.Apply([]config.Service{configured("s", 4)})
	w.SetOverrides([]event.Override{drain("i1"), drain("i2"), weigh("i3", 7)})
	for id, want := range map[string]string{"i1": "draining", "i2": "draining", "i3": "in", "i4": "in"} {
		if got := w.state("s", id); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
	if got := w.Views()[0].Instances[2].Weight; got != 7 {
		t.Errorf("the weight is %v, want 7", got)
	}
	w.SetOverrides([]event.Override{drain("i2")})
	if got := w.state("s", "i1"); got != "in" {
		t.Errorf("i1 is %s after its drain was taken back", got)
	}
	if got := w.Views()[0].Instances[2].Weight; got != 1 {
		t.Errorf("the weight is %v, want the configured 1", got)
	}
}

// Every batch of config-updates sets the overrides again. Once, that put the
// drained instances back for a moment, one after the other.
func TestOverridesThatStayNeverLapse(t *testing.T) {
	w := newWorld()
	w.Apply([]config.Service{configured("s", 4)})
	w.SetOverrides([]event.Override{drain("i1"), drain("i2")})
	w.changes = nil
	rev := w.Service("s").Pool().Rev
	w.SetOverrides([]event.Override{drain("i1"), drain("i2")})
	if got := w.Service("s").Pool().Rev; got != rev {
		t.Errorf("the same overrides built %d pools", got-rev)
	}
	w.SetOverrides([]event.Override{drain("i1"), drain("i2"), drain("i3")})
	if len(w.changes) != 1 || w.changes[0].Instance != "i3" || w.changes[0].To != "draining" {
		t.Errorf("one more drain changed %+v", w.changes)
	}
}

func TestOverridesHoldForInstancesThatComeLater(t *testing.T) {
	w := newWorld()
	w.SetOverrides([]event.Override{drain("i1"), weigh("i2", 3)})
	w.Apply([]config.Service{configured("s", 2)})
	v := w.Views()[0]
	if v.Instances[0].State != "draining" || v.Instances[1].Weight != 3 {
		t.Errorf("%+v", v.Instances)
	}
}

func TestAReportHoldsThreeIntervalsOfItsSender(t *testing.T) {
	for _, c := range []struct {
		name     string
		interval time.Duration // between messages; 0: a single one
		holds    time.Duration
	}{
		{"a single message", 0, 30 * time.Second},
		{"each second", time.Second, 3 * time.Second},
		{"each five seconds", 5 * time.Second, 15 * time.Second},
		{"faster than it makes sense", 10 * time.Millisecond, 3 * time.Second},
		{"each hour", time.Hour, 3 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			w.Apply([]config.Service{configured("s", 3)})
			w.status("i1", event.StatusDraining, "")
			if c.interval > 0 {
				w.wait(c.interval)
				w.status("i1", event.StatusDraining, "")
			}
			w.wait(c.holds - time.Millisecond)
			if got := w.state("s", "i1"); got != "draining" {
				t.Errorf("just before the end it is %s", got)
			}
			w.wait(2 * time.Millisecond)
			if got := w.state("s", "i1"); got != "in" {
				t.Errorf("just after the end it is %s", got)
			}
		})
	}
}

// A checker that says something each 5 s and a change at once: the short gap
// before the change is not its interval.
func TestAChangeOfStatusIsNotAnInterval(t *testing.T) {
	w := newWorld()
	w.Apply([]config.Service{configured("s", 3)})
	for range 3 {
		w.status("i1", event.StatusHealthy, "checker")
		w.wait(5 * time.Second)
	}
	w.status("i1", event.StatusHealthy, "checker")
	w.wait(100 * time.Millisecond)
	w.status("i1", event.StatusUnhealthy, "checker")
	for range 10 {
		w.wait(5*time.Second - time.Millisecond)
		if got := w.state("s", "i1"); got != "reported-unhealthy" {
			t.Fatalf("between two messages it is %s", got)
		}
		w.wait(time.Millisecond)
		w.status("i1", event.StatusUnhealthy, "checker")
	}
}

// A proxy that starts reads the last minute at once; the messages' own times
// still tell how often they come.
func TestMessagesReadTogetherKeepTheirInterval(t *testing.T) {
	w := newWorld()
	w.Apply([]config.Service{configured("s", 3)})
	for i := range 5 {
		w.ObserveStatus(event.HealthStatus{
			Timestamp: w.cfg.Wall().Add(time.Duration(i-5) * 5 * time.Second), ServiceID: "s", InstanceID: "i1",
			Status: event.StatusUnhealthy, CheckType: "HTTP",
		}, "checker", false)
	}
	w.wait(14 * time.Second)
	if got := w.state("s", "i1"); got != "reported-unhealthy" {
		t.Errorf("14 s after messages of every 5 s it is %s", got)
	}
}

func TestUnhealthyReportsYieldToAPassingProbeAndOurOwnAreIgnored(t *testing.T) {
	w := newWorld()
	s := configured("s", 3)
	s.HealthCheck = &config.HealthCheck{Type: "http", Path: "/health"}
	w.Apply([]config.Service{s})
	w.ObserveProbe(probe.Result{Target: target(w, "i1"), OK: true, Up: true, Changed: true})
	w.status("i1", event.StatusUnhealthy, "elsewhere")
	w.status("i2", event.StatusUnhealthy, "elsewhere")
	w.status("i3", event.StatusUnhealthy, "proxy/self")
	w.wait(time.Millisecond)
	for id, want := range map[string]string{"i1": "in", "i2": "reported-unhealthy", "i3": "in"} {
		if got := w.state("s", id); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
}

func target(w *world, instance string) probe.Target {
	for _, t := range w.Targets() {
		if t.Instance == instance {
			return t
		}
	}
	return probe.Target{}
}

func TestWhatIsCheckedOfAnInstance(t *testing.T) {
	w := newWorld()
	s := configured("s", 1)
	plain := false
	s.ProxyProtocol, s.TLS = "v2", &config.ServiceTLS{}
	s.HealthCheck = &config.HealthCheck{
		Type: "http", Port: 8081, TLS: &plain, Protocol: "h2c", Method: "HEAD", Path: "/ready", Headers: map[string]string{"X-B": "2", "X-A": "1"},
		Statuses: []string{"200-204", "304"}, Body: config.BodyMatch{Contains: "ok"},
	}
	w.Apply([]config.Service{s})
	security := &upstream.TLS{}
	w.Service("s").SetTLS(security)
	got := target(w, "i1")
	if got.Addr != "10.0.0.1:8081" || got.TLS != nil || !got.HTTP2 || got.ProxyProtocol != proxyproto.None || got.Method != "HEAD" || got.Headers != "X-A: 1\nX-B: 2\n" || !got.Expect.Statuses.Has(304) || got.Expect.Text != "ok" {
		t.Errorf("got %+v", got)
	}
	if got != target(w, "i1") {
		t.Error("the same configuration makes another target, so the state of the checks would be lost")
	}
	s.HealthCheck = &config.HealthCheck{Type: "http", Port: 80, Path: "/ready"}
	w.Apply([]config.Service{s})
	if got := target(w, "i1"); got.Addr != "10.0.0.1:80" || got.TLS != security || got.HTTP2 || got.ProxyProtocol != proxyproto.V2 {
		t.Errorf("without settings of its own: %+v", got)
	}
	w.ObserveProbe(probe.Result{Target: target(w, "i1"), At: w.cfg.Wall(), StatusCode: 200, Body: "no", Reason: "the body does not match", Changed: true})
	w.wait(time.Millisecond)
	lines, _ := Explain(w.Views()[0], "i1", w.cfg.Wall())
	if text := strings.Join(lines, "\n"); !strings.Contains(text, "status 200, the body does not match") {
		t.Errorf("explained as %s", text)
	}
}

func TestStrangersCannotMakeItRememberWithoutBound(t *testing.T) {
	w := newWorld()
	w.Apply([]config.Service{configured("s", 2)})
	for i := range 10_000 {
		w.status("i1", event.StatusHealthy, fmt.Sprint("sender-", i))
		w.ObserveStatus(event.HealthStatus{ServiceID: "s", InstanceID: fmt.Sprint("stranger-", i), Status: event.StatusDraining}, "x", false)
		w.ObserveScore(event.HealthScore{ServiceID: fmt.Sprint("other-", i), InstanceID: "i1", Seq: 1})
	}
	w.status("i1", event.StatusHealthy, strings.Repeat("x", 10<<20))
	for sender := range w.reports[member{"s", "i1"}] {
		if len(sender.name) > maxSenderName {
			t.Errorf("a sender's name of %d bytes is remembered", len(sender.name))
		}
	}
	if n := len(w.reports[member{"s", "i1"}]); n > maxSenders || len(w.reports) > 1 || len(w.scores) > 0 {
		t.Errorf("%d senders of one instance, %d instances, %d scores", n, len(w.reports), len(w.scores))
	}
}

func TestWhatLeavesIsForgotten(t *testing.T) {
	w := newWorld()
	w.Apply([]config.Service{configured("s", 3)})
	w.status("i3", event.StatusDraining, "")
	w.ObserveScore(event.HealthScore{ServiceID: "s", InstanceID: "i3", Seq: 5, AsOf: w.cfg.Wall()})
	w.Apply([]config.Service{configured("s", 2)})
	if len(w.reports) != 0 || len(w.scores) != 0 {
		t.Errorf("%d reports and %d scores of an instance that left", len(w.reports), len(w.scores))
	}
	w.Apply([]config.Service{configured("s", 3)})
	if got := w.state("s", "i3"); got != "in" {
		t.Errorf("its successor is %s", got)
	}
	w.Apply(nil)
	if len(w.Views()) != 0 || len(w.services) != 0 {
		t.Errorf("%d services are left", len(w.services))
	}
}

func TestAllowDownStaysUnderTheCap(t *testing.T) {
	for n := 1; n <= 12; n++ {
		w := newWorld()
		s := configured("s", n)
		s.HealthCheck = &config.HealthCheck{Type: "tcp"}
		w.Apply([]config.Service{s})
		down := 0
		for i := range n {
			at := target(w, fmt.Sprintf("i%d", i+1))
			if w.AllowDown(at) {
				down++
				w.ObserveProbe(probe.Result{Target: at, Up: false, Changed: true, Event: true})
				w.wait(time.Millisecond)
			}
		}
		want := picker.DefaultEjection().Most(n)
		if n == 1 {
			want = 0 // never the last
		}
		if down != want {
			t.Errorf("of %d instances %d may go down at once, want %d", n, down, want)
		}
	}
	if newWorld().AllowDown(probe.Target{Service: "nobody", Instance: "i"}) {
		t.Error("an unknown service may go down")
	}
}

func TestAnotherAddressIsAnotherLife(t *testing.T) {
	w := newWorld()
	s := configured("s", 2)
	s.HealthCheck = &config.HealthCheck{Type: "tcp"}
	w.Apply([]config.Service{s})
	old := target(w, "i1")
	first := w.Service("s").Pool().Members[0].Live
	w.Apply([]config.Service{s})
	if w.Service("s").Pool().Members[0].Live != first {
		t.Fatal("the same configuration gave an instance a new life")
	}
	moved := configured("s", 2)
	moved.HealthCheck = s.HealthCheck
	moved.Instances[0].Address = "10.0.0.9:80"
	retire := w.Apply([]config.Service{moved})
	next := w.Service("s").Pool().Members[0].Live
	if next == first || next.Generation <= first.Generation || next.Addr != "10.0.0.9:80" {
		t.Errorf("moved: %+v after %+v", next.Addr, first.Addr)
	}
	if first.Retired() {
		t.Error("retired before the new routing was in place")
	}
	retire()
	if !first.Retired() || next.Retired() {
		t.Error("retire ends the old life and only that")
	}
	w.ObserveProbe(probe.Result{Target: old, Up: false, Changed: true})
	w.wait(time.Millisecond)
	if got := w.state("s", "i1"); got != "in" {
		t.Errorf("a check of the old address made the new one %s", got)
	}
}

func TestAnOlderScoreChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.Apply([]config.Service{configured("s", 1)})
		var best uint64
		for range rapid.IntRange(1, 20).Draw(t, "n") {
			seq := rapid.Uint64Range(1, 10).Draw(t, "seq")
			w.ObserveScore(event.HealthScore{ServiceID: "s", InstanceID: "i1", Seq: seq, Samples: float64(seq), AsOf: time.Unix(int64(seq), 0)})
			best = max(best, seq)
			if got := w.scores[member{"s", "i1"}].Seq; got != best {
				t.Fatalf("holds seq %d, want %d", got, best)
			}
		}
	})
}

// A request takes its instance from one pool and gives it back later; swaps in
// between must neither lose the count nor hand out what left.
func TestSwapsUnderConcurrentPicksLoseNothing(t *testing.T) {
	k := New(Config{Now: func() int64 { return int64(time.Second) }, Wall: time.Now, Log: slog.New(slog.DiscardHandler)})
	k.Apply([]config.Service{configured("s", 4)})
	s := k.Service("s")
	const pickers, each = 4, 3000
	var group sync.WaitGroup
	var mu sync.Mutex
	lives := map[*upstream.Live]bool{}
	for p := range pickers {
		group.Go(func() {
			r := rand.NewPCG(uint64(p), 1)
			for i := range each {
				a, ticket := upstream.Ask{Now: int64(i), Rand: r}, upstream.Ticket{}
				pool, ok := s.Pick(&a, &ticket)
				if !ok {
					t.Error("a pick found nobody")
					return
				}
				live := a.Tried[0]
				if !slices.ContainsFunc(pool.Members, func(m upstream.Member) bool { return m.Live == live }) {
					t.Error("the pick is not of the pool that was asked")
					return
				}
				mu.Lock()
				lives[live] = true
				mu.Unlock()
				ticket.Observe(upstream.Success, int64(i)+1)
				ticket.Release()
			}
		})
	}
	for i := range 300 {
		c := configured("s", 2+i%4)
		c.Instances[0].Address = fmt.Sprintf("10.0.1.%d:80", i%5)
		c.Policy = []string{"least_request", "round_robin", "maglev", "adaptive"}[i%4]
		retire := k.Apply([]config.Service{c})
		k.SetOverrides([]event.Override{weigh("i2", float64(1+i%3))})
		retire()
	}
	group.Wait()
	var requests uint64
	for l := range lives {
		if n := l.InFlight.Load(); n != 0 {
			t.Errorf("%s %s has %d in flight", l.Instance, l.Addr, n)
		}
		requests += l.Requests.Load()
	}
	if requests != pickers*each {
		t.Errorf("%d requests were counted, want %d", requests, pickers*each)
	}
}

func TestRunBuildsPoolsAndEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	k := New(Config{Now: func() int64 { return int64(time.Second) }, Wall: time.Now, Log: slog.New(slog.DiscardHandler)})
	k.Apply([]config.Service{configured("s", 2)})
	rev := k.Service("s").Pool().Rev
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	for range 10 {
		k.Wake()
	}
	for k.Service("s").Pool().Rev == rev {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// smartlb_service_requests_total went back when an instance left.
func TestTheRequestsOfAServiceNeverGoBack(t *testing.T) {
	w := newWorld()
	apply := func(addresses ...string) {
		c := config.Service{ID: "s", Policy: "round_robin"}
		for i, a := range addresses {
			c.Instances = append(c.Instances, config.Instance{ID: fmt.Sprint("i", i), Address: a, Weight: 1})
		}
		w.Apply([]config.Service{c})()
	}
	total := func() (n uint64) {
		return w.Counts()[0].Requests
	}
	request := func() (end func()) {
		var ticket upstream.Ticket
		a := upstream.Ask{Now: w.now, Rand: rand.NewPCG(1, 2)}
		if _, ok := w.Service("s").Pick(&a, &ticket); !ok {
			t.Fatal("no instance")
		}
		return func() { ticket.Observe(upstream.Success, w.now); ticket.Release() }
	}
	apply("h:1", "h:2")
	for range 10 {
		request()()
	}
	late := []func(){request(), request()} // on both instances
	apply("h:3")                           // one left, the other has another address
	if got := total(); got < 10 {
		t.Errorf("%d requests after instances left, want 10 or more", got)
	}
	for _, end := range late {
		end()
	}
	if got := total(); got != 12 {
		t.Errorf("%d requests after the last ones ended, want 12", got)
	}
	apply("h:3", "h:4")
	if got := total(); got != 12 {
		t.Errorf("%d requests after the next change, want 12", got)
	}
}

// smartlb_instance_requests_total went back when the address of an instance changed.
func TestTheRequestsOfAnInstanceNeverGoBack(t *testing.T) {
	w := newWorld()
	count := func() (service, instance uint64) {
		c := w.Counts()[0]
		return c.Requests, c.Instances[0].Requests
	}
	for i, address := range []string{"h:1", "h:2", "h:3", "h:1"} {
		w.Apply([]config.Service{{ID: "s", Policy: "round_robin", Instances: []config.Instance{{ID: "i", Address: address, Weight: 1}}}})()
		for range 10 {
			var ticket upstream.Ticket
			if _, ok := w.Service("s").Pick(&upstream.Ask{Now: w.now, Rand: rand.NewPCG(1, 2)}, &ticket); !ok {
				t.Fatal("no instance")
			}
			ticket.Observe(upstream.Success, w.now+1e6)
			ticket.Release()
		}
		want := uint64(10 * (i + 1))
		if service, instance := count(); service != want || instance != want {
			t.Errorf("at address %d: %d requests of the service and %d of the instance, want %d", i, service, instance, want)
		}
		if c := w.Counts()[0].Instances[0]; c.Hist[upstream.HistBucket(1e6)] != want || c.HistSum != want*1e6 {
			t.Errorf("at address %d: %d latencies, %d ns", i, c.Hist[upstream.HistBucket(1e6)], c.HistSum)
		}
	}
	w.Apply([]config.Service{{ID: "s", Policy: "round_robin", Instances: []config.Instance{{ID: "j", Address: "h:9", Weight: 1}}}})()
	if service, instance := count(); service != 40 || instance != 0 {
		t.Errorf("after it left: %d requests of the service and %d of its successor, want 40 and 0", service, instance)
	}
}

func TestEjectionsAndStatesAreCounted(t *testing.T) {
	w := newWorld()
	w.Apply([]config.Service{configured("s", 4)})()
	w.wait(time.Second)
	live := w.services["s"].spec.Entries[0].Live
	for range picker.DefaultEjection().Consecutive {
		var ticket upstream.Ticket
		if _, ok := w.Service("s").PickLive(live, &upstream.Ask{Now: w.now}, &ticket); !ok {
			t.Fatal("not picked")
		}
		ticket.Observe(upstream.Failed, w.now)
		ticket.Release()
	}
	w.Rebuild()
	w.Rebuild()
	c := w.Counts()[0]
	if c.Ejections != 1 || c.States[upstream.Ejected] != 1 || c.States[upstream.In] != 3 || c.Errors != 5 {
		t.Errorf("%d ejections, states %v, %d errors", c.Ejections, c.States, c.Errors)
	}
}

// An instance that returns after an ejection has not answered anything yet: it is shown as failing until a request succeeds,
// however long ago it failed.
func TestAnInstanceThatReturnsIsFailingUntilASuccess(t *testing.T) {
	w := newWorld()
	w.Apply([]config.Service{configured("s", 4)})
	request := func(l *upstream.Live, o upstream.Outcome) {
		one := upstream.NewService("s")
		one.Swap(&upstream.Pool{Members: []upstream.Member{{Live: l}}, Live: []int32{0}, Policy: firstOne{}})
		var ticket upstream.Ticket
		one.Pick(&upstream.Ask{Now: w.now}, &ticket)
		ticket.Observe(o, w.now)
		ticket.Release()
	}
	view := func() InstanceView { return w.Views()[0].Instances[0] }
	for range picker.DefaultEjection().Consecutive {
		request(view().Live, upstream.Failed)
	}
	if w.wait(0); view().State != "ejected" {
		t.Fatalf("state %s", view().State)
	}
	w.wait(time.Hour)
	explained := func() string { lines, _ := Explain(w.Views()[0], "i1", w.cfg.Wall()); return strings.Join(lines, " ") }
	if v := view(); v.State != "in" || v.Failures != picker.DefaultEjection().Consecutive || !v.OnTrial || !strings.Contains(explained(), "Its latest 5 requests failed, the last one 1h0m0s ago. It gets one request at a time") {
		t.Errorf("an hour later: state %s, %d failures, on trial %v: %s", v.State, v.Failures, v.OnTrial, explained())
	}
	request(view().Live, upstream.Success)
	if w.wait(Tick); view().Failures != 0 || view().OnTrial || strings.Contains(explained(), "latest") {
		t.Errorf("after a success: %d failures, on trial %v: %s", view().Failures, view().OnTrial, explained())
	}
}

type firstOne struct{}

func (firstOne) Choose(*upstream.Pool, *upstream.Ask) int { return 0 }

// The limit that is found stays through changes of the configuration, and ends with the key.
func TestTheLimitOfRequestsInFlightAdapts(t *testing.T) {
	w := newWorld()
	service := func(adaptive *config.Adaptive) config.Service {
		return config.Service{
			ID: "s", Policy: picker.DefaultPolicy, Instances: []config.Instance{{ID: "a", Address: "h:1", Weight: 1}},
			Concurrency: &config.Concurrency{Limit: 10, Adaptive: adaptive},
		}
	}
	limit := func() int { return w.Counts()[0].Gate.Limit }
	w.Apply([]config.Service{service(&config.Adaptive{Min: 1, Tolerance: 1.5})})()
	up := w.Service("s")
	full := make([]*guard.Waiter, 10)
	for i := range full {
		full[i] = guard.NewWaiter()
		up.Gate.Enter(full[i], guard.Normal)
	}
	for range 25 {
		up.Latencies.Observe(1e9, 10)
	}
	if got := limit(); got != 10 {
		t.Errorf("before a measurement: %d", got)
	}
	w.wait(time.Second)
	if got := limit(); got != 5 {
		t.Errorf("while the base is measured: %d", got)
	}
	w.Apply([]config.Service{service(&config.Adaptive{Min: 6, Tolerance: 2})})()
	if got := limit(); got != 6 {
		t.Errorf("with another lowest limit: %d", got)
	}
	w.Apply([]config.Service{service(nil)})()
	if got := limit(); got != 10 {
		t.Errorf("without adaptive: %d", got)
	}
	if up.Latencies.Observe(1, 1); up.Latencies.Take().Count != 0 {
		t.Error("without adaptive: latencies are measured")
	}
}

// A utilization in a response acts with the next pool, instead of what Kafka says, and ends with its age.
func TestUtilizationInResponsesActsAtOnce(t *testing.T) {
	w := newWorld()
	w.Apply([]config.Service{configured("s", 2)})
	member := func() upstream.Member { return w.Service("s").Pool().Members[0] }
	load := &w.Service("s").Pool().Members[0].Load
	busy := orca.Report{CPU: .97, Has: orca.CPU}
	load.Take(busy, w.now)
	if w.wait(Tick); member().Veto != .5 || member().Utilization != .97 {
		t.Errorf("without Kafka: veto %v, utilization %v", member().Veto, member().Utilization)
	}
	if w.wait(20 * time.Second); member().Veto < .95 {
		t.Errorf("after 20 s: veto %v", member().Veto)
	}
	w.ObserveScore(event.HealthScore{ServiceID: "s", InstanceID: "i1", Seq: 1, AsOf: w.cfg.Wall(), PeriodMs: 1000, Utilization: event.Some(.2)})
	if w.wait(Tick); member().Utilization != .2 || member().Veto != 1 {
		t.Errorf("an old report against a fact from Kafka: veto %v, utilization %v", member().Veto, member().Utilization)
	}
	load.Take(busy, w.now)
	if w.wait(Tick); member().Veto != .5 {
		t.Errorf("a new report against a fact from Kafka: veto %v", member().Veto)
	}
	load.Take(orca.Report{CPU: .3, Has: orca.CPU}, w.now)
	if w.wait(Tick); member().Veto != 1 || member().Utilization != .3 {
		t.Errorf("relief: veto %v, utilization %v", member().Veto, member().Utilization)
	}
	load.Take(orca.Report{RPS: 3, Has: orca.RPS}, w.now)
	if w.wait(2 * time.Minute); member().Veto != 1 || member().Utilization != .2 {
		t.Errorf("a report without utilization: veto %v, utilization %v", member().Veto, member().Utilization)
	}
}

func TestALargeFleetIsRebuiltLessOften(t *testing.T) {
	for n, want := range map[int]time.Duration{0: Tick, 1: Tick, 1000: Tick, 2500: Tick * 5 / 2, 5000: 500 * time.Millisecond, 10_000: time.Second, 1_000_000: time.Second} {
		if got := tickOf(n); got != want {
			t.Errorf("%d instances: a rebuild each %s, want %s", n, got, want)
		}
	}
}
