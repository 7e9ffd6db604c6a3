package picker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// run is a service of which the pools follow each other.
type run struct {
	spec Spec
	pool *upstream.Pool
	now  int64
}

func newRun(n int, edit func(*Spec)) *run {
	r := &run{spec: spec("least_request", n), pool: &upstream.Pool{}, now: second}
	edit(&r.spec)
	r.after(0)
	return r
}

// after makes the pool of a later time.
func (r *run) after(d time.Duration) *run {
	r.now += int64(d)
	r.pool = Next(r.pool, r.spec, noFacts, r.now, noJitter)
	return r
}

// requests are answered by the instance i: those that fail come first, so that the failures are not the latest outcome.
func (r *run) requests(i, failed, ok int) *run {
	observe(r.spec.Entries[i].Live, failed, time.Millisecond, true, r.now)
	observe(r.spec.Entries[i].Live, ok, time.Millisecond, false, r.now)
	return r
}

func (r *run) out() (n int) {
	for i := range r.pool.Members {
		if r.pool.Members[i].Out == upstream.Ejected {
			n++
		}
	}
	return n
}

func TestConsecutiveFailuresOfAService(t *testing.T) {
	for after, failures := range map[uint32][2]int{1: {0, 1}, 5: {4, 5}, 50: {49, 50}, 0: {1000, 1000}} {
		r := newRun(3, func(s *Spec) { s.Ejection.Consecutive = after })
		if r.pool.EjectAfter != after {
			t.Errorf("%d: the pool says %d", after, r.pool.EjectAfter)
		}
		if r.requests(0, failures[0], 0).after(time.Second); r.out() != 0 {
			t.Errorf("%d: ejected after %d failures", after, failures[0])
		}
		r.requests(0, failures[1]-failures[0], 0).after(time.Second)
		if want := min(int(after), 1); r.out() != want {
			t.Errorf("%d: %d ejected after %d failures, want %d", after, r.out(), failures[1], want)
		}
	}
}

func TestTheFailureRateOfAWindow(t *testing.T) {
	with := func(edit func(*Ejection)) *run {
		return newRun(4, func(s *Spec) {
			s.Ejection.Consecutive, s.Ejection.Rate, s.Ejection.MinRequests, s.Ejection.Window = 0, .5, 10, 10*time.Second
			edit(&s.Ejection)
		})
	}
	same := func(*Ejection) {}
	if r := with(same).requests(0, 5, 5).after(time.Second); r.out() != 1 || r.pool.Members[0].Cause != "50 % of 10 requests in less than 10s failed" {
		t.Errorf("half of ten requests failed: %d out, %q", r.out(), r.pool.Members[0].Cause)
	}
	if r := with(same).requests(0, 4, 6).after(time.Second); r.out() != 0 {
		t.Error("ejected with 40 % failures")
	}
	if r := with(same).requests(0, 8, 1).after(time.Second); r.out() != 0 {
		t.Error("ejected after 9 requests")
	}
	if r := with(func(e *Ejection) { e.MinRequests = 9 }).requests(0, 8, 1).after(time.Second); r.out() != 1 {
		t.Error("9 requests are enough, and it was not ejected")
	}
	if r := with(func(e *Ejection) { e.Rate = .4 }).requests(0, 4, 6).after(time.Second); r.out() != 1 {
		t.Error("40 % are enough, and it was not ejected")
	}
	if r := with(func(e *Ejection) { e.Rate = 0 }).requests(0, 1000, 1).after(time.Second); r.out() != 0 {
		t.Error("ejected without a rate")
	}
	if r := with(same).requests(0, 8, 1).after(10*time.Second).requests(0, 1, 4).after(time.Second); r.out() != 0 {
		t.Error("failures before the window count")
	}
	if r := with(func(e *Ejection) { e.Window = time.Minute }).requests(0, 8, 1).after(10*time.Second).requests(0, 1, 4).after(time.Second); r.out() != 1 {
		t.Error("failures within the longer window do not count")
	}
	// The worst of two goes first, and the limit of a pool of four is one.
	if r := with(same).requests(0, 6, 6).requests(1, 9, 3).after(time.Second); r.out() != 1 || r.pool.Members[1].Out != upstream.Ejected {
		t.Error("the worst is not ejected first")
	}
	// After its return, the requests before it do not eject it again.
	r := with(same).requests(0, 10, 1).after(time.Second).after(5 * time.Second)
	if r.out() != 0 || r.after(time.Second).out() != 0 {
		t.Error("ejected again for the same requests")
	}
	if r.requests(0, 10, 1).after(time.Second); r.out() != 1 || r.pool.Members[0].Ejections != 2 {
		t.Error("a failing instance that returned is not ejected again")
	}
}

// 429 is no failure of the instance.
func TestOverloadIsNoFailureOfTheWindow(t *testing.T) {
	r := newRun(3, func(s *Spec) { s.Ejection.Rate, s.Ejection.MinRequests = .1, 1 })
	s := upstream.NewService("s")
	s.Swap(&upstream.Pool{Members: []upstream.Member{{Live: r.spec.Entries[0].Live}}, Live: []int32{0}, Policy: first{}})
	for range 100 {
		var ticket upstream.Ticket
		s.Pick(&upstream.Ask{Now: r.now}, &ticket)
		ticket.Observe(upstream.Overloaded, r.now)
		ticket.Release()
	}
	if r.after(time.Second); r.out() != 0 {
		t.Error("ejected because of 429")
	}
}

func TestTheTimeOfEjections(t *testing.T) {
	for _, tc := range []struct {
		time, most time.Duration
		growth     float64
		want       []time.Duration
	}{
		{5 * time.Second, time.Minute, 2, []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, time.Minute}},
		{time.Second, time.Hour, 1, []time.Duration{time.Second, time.Second, time.Second}},
		{time.Second, 5 * time.Second, 3, []time.Duration{time.Second, 3 * time.Second, 5 * time.Second}},
	} {
		r := newRun(3, func(s *Spec) { s.Ejection.Time, s.Ejection.Growth, s.Ejection.MaxTime = tc.time, tc.growth, tc.most })
		for i, want := range tc.want {
			r.requests(0, 5, 0).after(time.Millisecond)
			m := r.pool.Members[0]
			if got := time.Duration(m.Until - r.now); m.Out != upstream.Ejected || got != want {
				t.Errorf("%+v: ejection %d is %s for %s, want %s", tc, i+1, m.Out, got, want)
			}
			r.after(want)
		}
	}
	if got := (Ejection{Time: time.Second, Growth: 10, MaxTime: time.Hour}).After(1 << 30); got != float64(time.Hour) {
		t.Errorf("after very many ejections: %v", got)
	}
}

func TestTheShareThatMayBeOut(t *testing.T) {
	for share, want := range map[float64]int{0: 0, .01: 1, .3: 3, .5: 5, 1: 9} {
		r := newRun(10, func(s *Spec) { s.Ejection.MaxShare, s.Panic = share, 0 })
		for i := range 10 {
			r.requests(i, 5, 0)
		}
		if r.after(time.Second); r.out() != want {
			t.Errorf("%v: %d of 10 are out, want %d", share, r.out(), want)
		}
		trial := slices.ContainsFunc(r.pool.Members, func(m upstream.Member) bool { return m.OnTrial })
		if share == 0 && trial {
			t.Error("a share of 0 puts instances on trial")
		}
	}
}

func TestThePanicThreshold(t *testing.T) {
	for _, tc := range []struct {
		threshold   float64
		healthy     int
		panic       bool
		live        int
		description string
	}{
		{.5, 5, false, 5, "half are healthy"},
		{.5, 4, true, 10, "fewer than half are healthy"},
		{.2, 2, false, 2, "a lower threshold"},
		{.2, 1, true, 10, "below a lower threshold"},
		{1, 9, true, 10, "all must be healthy"},
		{1, 10, false, 10, "all are healthy"},
		{0, 1, false, 1, "never, with one healthy"},
		{0, 0, false, 0, "never, with none healthy"},
	} {
		s := spec("round_robin", 10)
		s.Panic = tc.threshold
		facts := func(l *upstream.Live) Fact {
			if i := slices.IndexFunc(s.Entries, func(e Entry) bool { return e.Live == l }); i >= tc.healthy {
				return Fact{Probe: Failing}
			}
			return Fact{}
		}
		p := Next(&upstream.Pool{}, s, facts, second, noJitter)
		if p.Panic != tc.panic || len(p.Live) != tc.live {
			t.Errorf("%s: panic %v with %d live, want %v with %d", tc.description, p.Panic, len(p.Live), tc.panic, tc.live)
		}
	}
}

// Whatever the rules are: the limit holds, one member stays, every ejection has a cause and an end.
func TestEveryEjectionIsWithinItsRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "n")
		rules := Ejection{
			Consecutive: uint32(rapid.IntRange(0, 6).Draw(t, "consecutive")), Rate: rapid.Float64Range(0, 1).Draw(t, "rate"),
			MinRequests: uint64(rapid.IntRange(0, 10).Draw(t, "least")), Window: time.Duration(rapid.IntRange(0, 20).Draw(t, "window")) * time.Second,
			Time: time.Duration(rapid.IntRange(1, 10).Draw(t, "time")) * time.Second, Growth: rapid.Float64Range(1, 10).Draw(t, "growth"),
			MaxTime: time.Minute, MaxShare: rapid.Float64Range(0, 1).Draw(t, "share"),
		}
		r := newRun(n, func(s *Spec) { s.Ejection, s.Panic = rules, 0 })
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			r.requests(rapid.IntRange(0, n-1).Draw(t, "i"), rapid.IntRange(0, 8).Draw(t, "failed"), rapid.IntRange(0, 8).Draw(t, "ok"))
			r.after(time.Duration(rapid.IntRange(0, 10_000).Draw(t, "ms")) * time.Millisecond)
			if out := r.out(); out > rules.Most(n) || out == n || len(r.pool.Live) == 0 {
				t.Fatalf("%d of %d are out, %d may be", out, n, rules.Most(n))
			}
			for i := range r.pool.Members {
				m := &r.pool.Members[i]
				if ejected := m.Out == upstream.Ejected; ejected != (m.Cause != "") || ejected && (m.Until <= r.now || m.Until > r.now+int64(time.Minute)) {
					t.Fatalf("%s with the cause %q until %d at %d", m.Out, m.Cause, m.Until, r.now)
				}
				if rules.Consecutive == 0 && strings.Contains(m.Cause, "consecutive") || rules.Rate == 0 && strings.Contains(m.Cause, "%") {
					t.Fatalf("ejected by a rule that is off: %s", m.Cause)
				}
			}
		}
	})
}

// An instance that asked for a rest gets it within the limits of ejection, and later ejections are no longer for it.
func TestARestIsAnEjectionThatDoesNotGrow(t *testing.T) {
	r := newRun(3, func(*Spec) {})
	for i, e := range r.spec.Entries {
		e.Live.Rest(r.now+int64(10+i)*second, r.now)
	}
	r.after(time.Second)
	m := r.pool.Members[2]
	if r.out() != 1 || m.Out != upstream.Ejected || m.Until != r.spec.Entries[2].Live.RestsUntil() || m.Ejections != 0 || !strings.Contains(m.Cause, "Retry-After") {
		t.Fatalf("%d are out, the one with the longest rest is %s until %d: %s", r.out(), m.Out, m.Until, m.Cause)
	}
	if r.after(20 * time.Second); r.out() != 0 {
		t.Error("a rest that is over takes instances out")
	}
	r = newRun(3, func(s *Spec) { s.Ejection.MaxShare = 0 })
	r.spec.Entries[0].Live.Rest(r.now+int64(time.Hour), r.now)
	if r.after(time.Second); r.out() != 0 {
		t.Error("a rest takes an instance out although no outcome may")
	}
}
