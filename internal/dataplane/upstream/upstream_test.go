package upstream

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const second = int64(time.Second)

func TestDecayIsCloseToExpAndMonotone(t *testing.T) {
	last := 2.0
	for x := 0.0; x < 40; x += .01 {
		d := Decay(x)
		if math.Abs(d-math.Exp(-x)) > .04 || d >= last || d <= 0 {
			t.Fatalf("Decay(%v) = %v, exp is %v", x, d, math.Exp(-x))
		}
		last = d
	}
}

func TestEWMAStaysWithinItsSamples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e EWMA
		now, lo, hi := second, math.Inf(1), math.Inf(-1)
		for range rapid.IntRange(1, 50).Draw(t, "n") {
			x := float64(float32(rapid.Float64Range(0, 1e10).Draw(t, "x")))
			lo, hi = min(lo, x), max(hi, x)
			now += rapid.Int64Range(0, 20e9).Draw(t, "gap")
			e.Observe(x, now, LatencyTau, LatencyFloor)
			v, _, ok := e.Load(now)
			if !ok || v < lo*(1-1e-6) || v > hi*(1+1e-6) {
				t.Fatalf("average %v outside [%v, %v]", v, lo, hi)
			}
		}
	})
}

func TestEWMAForgetsByTimeWhenQuietAndByCountWhenBusy(t *testing.T) {
	var quiet, busy EWMA
	quiet.Observe(100, second, LatencyTau, LatencyFloor)
	quiet.Observe(0, 31*second, LatencyTau, LatencyFloor)
	if v, _, _ := quiet.Load(31 * second); v > 1 {
		t.Errorf("after ten time constants %v is left of 100", v)
	}
	busy.Observe(100, second, LatencyTau, LatencyFloor)
	for range 50 {
		busy.Observe(0, second, LatencyTau, LatencyFloor)
	}
	if v, _, _ := busy.Load(second); math.Abs(v-100*math.Pow(.98, 50)) > .1 {
		t.Errorf("after fifty samples %v is left of 100", v)
	}
}

func TestFirstErrorOfAQuietInstanceIsNotItsWholeHistory(t *testing.T) {
	l := NewLive("s", "i", "", 1, second)
	l.observe(Failed, second, second+1e6, LatencyFloor)
	if e, _, _ := l.ErrorRate.Load(second); e > .06 {
		t.Fatalf("one error set the rate to %v", e)
	}
}

func TestHistBucketHoldsItsLatency(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Int64Range(1<<15, 200e9).Draw(t, "ns")
		b := HistBucket(ns)
		if mid := HistMiddle(b); math.Abs(mid-float64(ns))/float64(ns) > .1 {
			t.Fatalf("%d ns is in bucket %d, whose middle is %v", ns, b, mid)
		}
		if low, high := HistBounds(b); float64(ns) <= low || float64(ns) > high {
			t.Fatalf("%d ns is in bucket %d, from %v to %v", ns, b, low, high)
		}
		if next := HistBucket(ns + 1); next < b {
			t.Fatal("buckets are not monotone")
		}
	})
	for _, ns := range []int64{-1, 0, 1, math.MaxInt64} {
		if b := HistBucket(ns); b < 0 || b >= HistBuckets {
			t.Errorf("bucket %d for %d", b, ns)
		}
	}
}

func TestFailuresDoNotFeedTheLatency(t *testing.T) {
	l := NewLive("s", "i", "", 1, second)
	l.observe(Failed, second, second+1e6, LatencyFloor)
	l.observe(Overloaded, second, second+1e6, LatencyFloor)
	if _, _, ok := l.Latency.Load(second); ok {
		t.Error("a failure became a latency")
	}
	l.observe(TimedOut, second, 3*second, LatencyFloor)
	if v, _, _ := l.Latency.Load(second); v < 1.9e9 {
		t.Errorf("a timeout of 2 s became %v ns", v)
	}
	if l.Fails.Load() != 2 {
		t.Errorf("%d failures in a row, want 2: an overload is no step towards ejection", l.Fails.Load())
	}
}

func TestSilenceNeedsTwoUnansweredPicks(t *testing.T) {
	l := NewLive("s", "i", "", 1, 0)
	l.picked(second, 0)
	if l.Silence(5*second) != 0 {
		t.Error("one slow request counts as silence")
	}
	l.picked(2*second, 0)
	if got := l.Silence(5 * second); got != 4*second {
		t.Errorf("silence %d, want since the instance became busy", got)
	}
	l.observe(Success, second, 6*second, LatencyFloor)
	if l.Silence(7*second) != 0 {
		t.Error("a head did not end the silence")
	}
}

type anyPolicy struct{}

func (anyPolicy) Choose(p *Pool, a *Ask) int { return int(p.Live[a.Rand.Uint64()%uint64(len(p.Live))]) }

func TestConcurrentPicksAndSwapsBalance(t *testing.T) {
	s := NewService("s")
	lives := []*Live{NewLive("s", "a", "", 1, 0), NewLive("s", "b", "", 1, 0)}
	swap := func(n int) {
		p := &Pool{Policy: anyPolicy{}}
		for i := range n {
			p.Members, p.Live = append(p.Members, Member{Live: lives[i]}), append(p.Live, int32(i))
		}
		s.Swap(p)
	}
	swap(2)
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			a := &Ask{Rand: rand.NewPCG(uint64(g), 1)}
			for i := range 2000 {
				var ticket Ticket
				a.NTried, a.Now = 0, int64(i+1)*1e6
				if _, ok := s.Pick(a, &ticket); ok {
					ticket.Observe(Success, a.Now+1e6)
					ticket.Release()
				}
			}
		})
	}
	for i := range 300 {
		swap(1 + i%2)
	}
	group.Wait()
	if n := lives[0].InFlight.Load() + lives[1].InFlight.Load(); n != 0 {
		t.Errorf("%d in flight after all ended", n)
	}
	if n := lives[0].Requests.Load() + lives[1].Requests.Load(); n != 8000 {
		t.Errorf("%d requests counted, want 8000", n)
	}
}

// Whoever makes the failures five wakes the keeper: of failures at once exactly
// one must be told that it was the fifth.
func TestEachOfSeveralFailuresAtOnceHasItsNumber(t *testing.T) {
	const at = 8
	for range 2000 {
		l := NewLive("s", "i", "a:1", 1, 0)
		var begin, all sync.WaitGroup
		var told [at]atomic.Uint32
		begin.Add(1)
		for range at {
			ticket := Ticket{live: l, state: ticketOpen}
			all.Go(func() {
				begin.Wait()
				told[ticket.Observe(Failed, 1)-1].Add(1)
			})
		}
		begin.Done()
		all.Wait()
		for i := range told {
			if n := told[i].Load(); n != 1 {
				t.Fatalf("%d failures were told to be number %d", n, i+1)
			}
		}
	}
}

// A response whose body breaks off, or whose trailers say that the instance failed, begins with a good head. Five of them
// are five failures in a row.
func TestAGoodHeadAloneEndsNoSeriesOfFailures(t *testing.T) {
	l := NewLive("s", "i", "", 1, 0)
	for i := range 5 {
		ticket := Ticket{live: l, started: second, state: ticketOpen}
		ticket.Observe(Success, 2*second)
		if got := ticket.Broken(2 * second); got != uint32(i+1) {
			t.Fatalf("broken response %d is failure %d in a row", i+1, got)
		}
		ticket.Release()
	}
	ticket := Ticket{live: l, started: second, state: ticketOpen}
	ticket.Observe(Success, 2*second)
	ticket.Release()
	if n := l.Fails.Load(); n != 0 {
		t.Errorf("%d failures in a row after a success", n)
	}
}

// A trial ends with its request, however that ends: otherwise a failing instance would never get another one.
func TestATrialEndsWithItsRequest(t *testing.T) {
	for _, end := range []func(*Ticket){
		func(t *Ticket) { t.Observe(Failed, 3*second); t.Release() },
		func(t *Ticket) { t.Observe(Abandoned, 3*second); t.Release() },
		func(t *Ticket) { t.Observe(Success, 3*second); t.Release() },
		func(t *Ticket) { t.Release() },
	} {
		l := NewLive("s", "i", "", 1, 0)
		for range FailingAfter {
			l.observe(Failed, second, second, LatencyFloor)
		}
		s := NewService("s")
		s.Swap(&Pool{Policy: anyPolicy{}, Members: []Member{{Live: l, OnTrial: true}}, Live: []int32{0}})
		var ticket Ticket
		if _, ok := s.Pick(&Ask{Now: 3 * second, Rand: rand.NewPCG(1, 1)}, &ticket); !ok || !l.trial.Load() {
			t.Fatalf("picked %v, trial %v", ok, l.trial.Load())
		}
		end(&ticket)
		if l.trial.Load() {
			t.Error("the trial goes on after its request")
		}
	}
}

// One slow response raises the average by a limited factor. Many raise it to their own latency.
func TestAnOutlierCountsLittle(t *testing.T) {
	l := NewLive("s", "a", "", 1, 0)
	now := int64(second)
	answer := func(took int64) float64 {
		now += took
		l.observe(Success, now-took, now, LatencyFloor)
		average, _, _ := l.Latency.Load(now)
		return average
	}
	if answer(second / 20); answer(1e6) > 1.1e6 {
		t.Error("a cold start counts longer than the first response")
	}
	for range 100 {
		answer(1e6)
	}
	if average := answer(second / 10); average > 1.5e6 {
		t.Errorf("after one response of 100 ms the average is %.2f ms", average/1e6)
	}
	average := 0.0
	for range 200 {
		average = answer(second / 10)
	}
	if average < 95e6 {
		t.Errorf("after many responses of 100 ms the average is %.2f ms", average/1e6)
	}
}
