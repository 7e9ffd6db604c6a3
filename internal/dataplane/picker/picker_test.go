package picker

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

const second = int64(time.Second)

func spec(policy string, n int) Spec {
	s := Spec{Policy: policy, SlowStart: 10 * time.Second, Spread: DefaultSpread, Ejection: DefaultEjection(), Panic: DefaultPanic}
	for i := range n {
		s.Entries = append(s.Entries, Entry{Live: upstream.NewLive("s", fmt.Sprintf("i%d", i), "", 1, 0), Weight: 1})
	}
	return s
}

func noFacts(*upstream.Live) Fact { return Fact{} }
func noJitter() float64           { return 0 }

func pool(s Spec, now int64) *upstream.Pool {
	return Next(&upstream.Pool{}, s, noFacts, now, noJitter)
}

func ask(seed uint64) *upstream.Ask {
	return &upstream.Ask{Rand: rand.NewPCG(seed, 1), Now: second}
}

// shares picks n times without feedback and counts.
func shares(p *upstream.Pool, n int, prepare func(*upstream.Ask, int)) map[int]int {
	a, got := ask(7), map[int]int{}
	for i := range n {
		a.Seq, a.NTried, a.Trace.N = uint64(i), 0, 0
		if prepare != nil {
			prepare(a, i)
		}
		got[p.Policy.Choose(p, a)]++
	}
	return got
}

func TestEveryPolicyPicksOnlyLiveUntriedInstances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(slices.DeleteFunc(Names(), func(n string) bool { return n == "maglev" })).Draw(t, "policy") // maglev has its own test: its table is slow to build
		n := rapid.IntRange(1, 24).Draw(t, "n")
		s := spec(name, n)
		out := map[*upstream.Live]Fact{}
		for i := range s.Entries {
			s.Entries[i].Weight = rapid.Float64Range(.1, 8).Draw(t, "w")
			l := s.Entries[i].Live
			l.InFlight.Store(int64(rapid.IntRange(0, 5).Draw(t, "q")))
			switch rapid.IntRange(0, 5).Draw(t, "state") {
			case 0:
				out[l] = Fact{Draining: true}
			case 1:
				out[l] = Fact{Probe: Failing}
			}
		}
		p := Next(&upstream.Pool{}, s, func(l *upstream.Live) Fact { return out[l] }, second, noJitter)
		if len(p.Live) == 0 {
			return
		}
		a := ask(rapid.Uint64().Draw(t, "seed"))
		for try := range upstream.MaxTries {
			a.Seq, a.Hash = a.Rand.Uint64(), a.Rand.Uint64()
			i := p.Policy.Choose(p, a)
			if i < 0 {
				if try < len(p.Live) {
					t.Fatalf("%s: nobody at try %d of %d live", name, try, len(p.Live))
				}
				return
			}
			m := &p.Members[i]
			if m.Out == upstream.Draining {
				t.Fatalf("%s picked a draining instance", name)
			}
			if m.Out != upstream.In && !p.Panic {
				t.Fatalf("%s picked %s without panic", name, m.Out)
			}
			if a.WasTried(m.Live) {
				t.Fatalf("%s picked a tried instance", name)
			}
			a.Tried[a.NTried] = m.Live
			a.NTried++
		}
	})
}

func TestEmptyPoolHasNoPolicyAndNoPick(t *testing.T) {
	s := upstream.NewService("s")
	s.Swap(pool(spec("adaptive", 0), second))
	var ticket upstream.Ticket
	if _, ok := s.Pick(ask(1), &ticket); ok {
		t.Fatal("picked from nobody")
	}
}

func TestWeightsAreProportions(t *testing.T) {
	for _, name := range []string{"round_robin", "random", "ring_hash", "maglev"} {
		s := spec(name, 4)
		for i := range s.Entries {
			s.Entries[i].Weight = float64(i + 1) // 10 %, 20 %, 30 %, 40 %
		}
		p := pool(s, second)
		got := shares(p, 20000, func(a *upstream.Ask, _ int) { a.Hash = a.Rand.Uint64() })
		for i := range 4 {
			want := float64(i+1) / 10
			if share := float64(got[i]) / 20000; math.Abs(share-want) > .03 {
				t.Errorf("%s: instance %d got %.3f, want %.2f", name, i, share, want)
			}
		}
	}
}

func TestRoundRobinSpreadsTheHeavyOne(t *testing.T) {
	s := spec("round_robin", 3)
	s.Entries[0].Weight, s.Entries[1].Weight, s.Entries[2].Weight = 5, 1, 1
	p := pool(s, second)
	a, got := ask(1), ""
	for i := range 7 {
		a.Seq, a.NTried = uint64(i), 0
		got += string(rune('a' + p.Policy.Choose(p, a)))
	}
	if got != "aabacaa" {
		t.Fatalf("got %s, want aabacaa", got)
	}
}

func TestHashPoliciesMoveFewKeysWhenOneLeaves(t *testing.T) {
	for _, c := range []struct {
		name  string
		bound float64
	}{{"ring_hash", 0}, {"maglev", .05}} {
		s := spec(c.name, 10)
		before := pool(s, second)
		s.Entries = append(s.Entries[:3:3], s.Entries[4:]...)
		after := pool(s, second)
		moved := 0
		const keys = 20000
		for i := range keys {
			a := ask(1)
			a.Hash = upstream.Mix(uint64(i))
			b := before.Members[before.Policy.Choose(before, a)].Instance
			if b != "i3" && b != after.Members[after.Policy.Choose(after, a)].Instance {
				moved++
			}
		}
		if share := float64(moved) / keys; share > c.bound {
			t.Errorf("%s moved %.3f of the keys that could stay, want at most %.2f", c.name, share, c.bound)
		}
	}
}

// observe feeds an instance with answers of one latency.
func observe(l *upstream.Live, n int, latency time.Duration, fails bool, now int64) {
	p := &upstream.Pool{Members: []upstream.Member{{Live: l}}, Live: []int32{0}, Policy: first{}}
	s := upstream.NewService("s")
	s.Swap(p)
	for range n {
		var t upstream.Ticket
		s.Pick(&upstream.Ask{Now: now - int64(latency)}, &t)
		o := upstream.Success
		if fails {
			o = upstream.Failed
		}
		t.Observe(o, now)
		t.Release()
	}
}

type first struct{}

func (first) Choose(*upstream.Pool, *upstream.Ask) int { return 0 }

func TestAdaptiveShunsFastFailingInstance(t *testing.T) {
	for _, n := range []int{4, 10, 40} {
		s := spec("adaptive", n)
		for i, e := range s.Entries {
			observe(e.Live, 30, 20*time.Millisecond, false, second)
			if i == 0 {
				observe(e.Live, 30, time.Millisecond, true, second)
			}
		}
		p := pool(s, second)
		p.Members[0].Out = upstream.In // judge the cost alone, not the ejection
		p.Live = nil
		for i := range p.Members {
			p.Live = append(p.Live, int32(i))
		}
		p.Policy = NewAdaptive(p, second)
		if share := float64(shares(p, 20000, nil)[0]) / 20000; share > .03 {
			t.Errorf("n=%d: the failing instance got %.3f", n, share)
		}
	}
}

func TestAdaptiveKeepsEveryShareBelowItsSamplingBound(t *testing.T) {
	// However attractive one looks, it is compared in at most d/n of the picks
	// when weights are equal: that bounds herding on stale facts.
	s := spec("adaptive", 40)
	for i, e := range s.Entries {
		observe(e.Live, 30, 20*time.Millisecond, false, second)
		if i == 0 {
			observe(e.Live, 300, time.Microsecond*100, false, second)
		}
	}
	p := pool(s, second)
	got := float64(shares(p, 40000, nil)[0]) / 40000
	if bound := float64(drawLarge) / 40; got > bound*1.08 {
		t.Fatalf("share %.4f above the bound %.3f", got, bound)
	}
}

func TestAdaptiveIgnoresTheScaleOfCapacity(t *testing.T) {
	capacity := []float64{100, 150, 300, 80, 120, 200, 90, 110}
	with := func(scale, age float64) map[int]int {
		s := spec("adaptive", 8)
		facts := func(l *upstream.Live) Fact {
			var i int
			fmt.Sscanf(l.Instance, "i%d", &i)
			return Fact{Telemetry: Telemetry{Capacity: capacity[i] * scale, AsOf: second - int64(age*1e9), PeriodNs: second}}
		}
		for i, e := range s.Entries {
			e.Live.InFlight.Store(int64(i % 3))
		}
		return shares(Next(&upstream.Pool{}, s, facts, second, noJitter), 5000, nil)
	}
	a, b := with(1, 0), with(1000, 0)
	for i := range 8 {
		if a[i] != b[i] {
			t.Fatalf("scaling all capacities changed the picks: %v, %v", a, b)
		}
	}
	local, old := shares(pool(withFlight(spec("adaptive", 8)), second), 5000, nil), with(1, 300)
	for i := range 8 {
		if local[i] != old[i] {
			t.Fatalf("facts without trust still act: local %v, old facts %v", local, old)
		}
	}
}

// An idle instance of 2.8 times the latency is worse than one of the median with
// three requests: its own tail is longer than their wait. With the latency taken
// linearly it was cheaper, and p99 of an unequal pool was that of its slowest.
func TestAdaptiveLeavesASlowInstanceIdleBeforeItQueuesOnAFastOne(t *testing.T) {
	s := spec("adaptive", 3)
	for i, latency := range []time.Duration{20, 20, 56} {
		observe(s.Entries[i].Live, 30, latency*time.Millisecond, false, second)
	}
	s.Entries[0].Live.InFlight.Store(3)
	s.Entries[1].Live.InFlight.Store(3)
	if got := shares(pool(s, second), 1000, nil); got[2] != 0 {
		t.Errorf("the slow one got %d of 1000 while the others held three each", got[2])
	}
	s.Entries[0].Live.InFlight.Store(6)
	s.Entries[1].Live.InFlight.Store(6)
	if got := shares(pool(s, second), 1000, nil); got[2] != 1000 {
		t.Errorf("the slow one got %d of 1000 while the others held six each", got[2])
	}
}

// Where latency is what capacity says it must be, capacity is not counted a
// second time: the cost is that of the measured latency alone.
func TestCapacityCancelsAgainstLatency(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.Float64Range(.5, 2).Draw(t, "capacity")
		latency := time.Duration(float64(20*time.Millisecond) * rapid.Float64Range(.7, 1.5).Draw(t, "latency"))
		spread := rapid.SampledFrom([]float64{0, .5, DefaultSpread, .9, 1}).Draw(t, "spread")
		cost := func(capacity float64) float64 {
			l := upstream.NewLive("s", "i", "", 1, 0)
			observe(l, 30, latency, false, second)
			m := upstream.Member{Live: l, Weight: 1, Capacity: capacity, Veto: 1, SlowStart: 1}
			return float64(costOf(&upstream.Pool{Members: []upstream.Member{m}, MedianNs: 20e6, Spread: spread}, 0, second).Cost)
		}
		if a, b := cost(1), cost(c); math.Abs(a-b) > 1e-4*a && latencyInBounds(latency, c) {
			t.Fatalf("capacity %v moved the cost from %v to %v", c, a, b)
		}
	})
}

// What is shown as parts of a cost multiplies to it, whatever the member is like.
func TestPartsMultiplyToTheCost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := upstream.NewLive("s", "i", "", 1, 0)
		observe(l, 30, time.Duration(rapid.IntRange(1e6, 1e9).Draw(t, "latency")), false, second)
		observe(l, rapid.IntRange(0, 5).Draw(t, "failures"), time.Millisecond, true, second)
		l.InFlight.Store(int64(rapid.IntRange(0, 50).Draw(t, "in flight")))
		part := func(name string) float64 { return rapid.Float64Range(.1, 1).Draw(t, name) }
		m := upstream.Member{Live: l, Weight: 10 * part("weight"), Capacity: 4 * part("capacity"), Veto: part("veto"), SlowStart: part("slow start")}
		c := costOf(&upstream.Pool{Members: []upstream.Member{m}, MedianNs: 20e6, Spread: rapid.Float64Range(0, 1).Draw(t, "spread")}, 0, second)
		want := (float64(c.InFlight)/m.SlowStart + 1) / (m.Weight * m.Capacity * m.Veto) * float64(c.Latency) * float64(c.Penalty) * float64(c.Silence)
		if math.Abs(float64(c.Cost)-want) > 1e-5*want {
			t.Fatalf("cost %v, its parts %+v give %v", c.Cost, c, want)
		}
	})
}

// latencyInBounds says that the latency factor is not clamped.
func latencyInBounds(latency time.Duration, c float64) bool {
	r := float64(latency) * c / 20e6
	return r > minLatency && r < maxLatency
}

func withFlight(s Spec) Spec {
	for i, e := range s.Entries {
		e.Live.InFlight.Store(int64(i % 3))
	}
	return s
}

func TestAllBadIsTheSameAsAllGood(t *testing.T) {
	good, bad := spec("adaptive", 10), spec("adaptive", 10)
	for _, e := range bad.Entries {
		e.Live.ErrorRate.Start(1, second)
	}
	g, b := shares(pool(good, second), 5000, nil), shares(pool(bad, second), 5000, nil)
	for i := range 10 {
		if g[i] != b[i] {
			t.Fatalf("good %v, bad %v", g, b)
		}
	}
}

func TestCostIsFiniteAndPositive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := spec("adaptive", 3)
		now := rapid.Int64Range(1, 1<<50).Draw(t, "now")
		for _, e := range s.Entries {
			e.Live.InFlight.Store(rapid.Int64Range(0, 1<<20).Draw(t, "q"))
			e.Live.ErrorRate.Start(rapid.Float64Range(0, 1).Draw(t, "e"), rapid.Int64Range(1, now).Draw(t, "at"))
			e.Live.Latency.Start(rapid.Float64Range(1, 1e12).Draw(t, "l"), rapid.Int64Range(1, now).Draw(t, "at"))
			e.Live.Successes.Store(uint64(rapid.IntRange(0, 9).Draw(t, "n")))
		}
		facts := func(*upstream.Live) Fact {
			return Fact{Telemetry: Telemetry{
				Capacity: rapid.Float64Range(0, 1e9).Draw(t, "c"), ErrorRate: rapid.Float64Range(0, 1).Draw(t, "E"),
				Samples: 100, Utilization: rapid.Float64Range(0, 1).Draw(t, "u"),
				AsOf: rapid.Int64Range(0, now).Draw(t, "asof"), PeriodNs: rapid.Int64Range(0, 1<<40).Draw(t, "p"),
			}}
		}
		p := Next(&upstream.Pool{}, s, facts, now, noJitter)
		for _, at := range p.Live {
			if c := float64(costOf(p, at, now).Cost); !(c > 0) || math.IsInf(c, 0) {
				t.Fatalf("cost %v", c)
			}
		}
	})
}

func TestTrustFadesOnlyAfterThreePeriods(t *testing.T) {
	for _, c := range []struct {
		age, period time.Duration
		want        float64
	}{
		{0, time.Second, 1},
		{3 * time.Second, time.Second, 1},
		{8 * time.Second, time.Second, math.Exp(-1)},
		{30 * time.Second, 10 * time.Second, 1},
		{35 * time.Second, 10 * time.Second, math.Exp(-1)},
		{3 * time.Second, 0, 1},
		{185 * time.Second, time.Hour, math.Exp(-1)},
	} {
		if got := Trust(int64(c.age), int64(c.period)); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("age %s period %s: got %v, want %v", c.age, c.period, got, c.want)
		}
	}
}

func TestEjectionKeepsItsCapAndNeverTakesTheLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "n")
		s := spec("adaptive", n)
		p := pool(s, second)
		now := second
		for range 20 {
			now += second
			for _, e := range s.Entries {
				if rapid.IntRange(0, 2).Draw(t, "fails") == 0 {
					e.Live.Fails.Store(uint32(rapid.IntRange(0, 20).Draw(t, "f")))
				}
			}
			p = Next(p, s, noFacts, now, noJitter)
			ejected := 0
			for i := range p.Members {
				if p.Members[i].Out == upstream.Ejected {
					ejected++
				}
			}
			if ejected > DefaultEjection().Most(n) || ejected >= n {
				t.Fatalf("%d of %d ejected", ejected, n)
			}
			if p.Panic && float64(n-ejected) >= .5*float64(n) {
				t.Fatalf("panic with %d of %d in", n-ejected, n)
			}
		}
	})
}

func TestEjectedInstanceReturnsThroughSlowStart(t *testing.T) {
	s := spec("adaptive", 4)
	p := pool(s, second)
	bad := s.Entries[0].Live
	bad.Fails.Store(DefaultEjection().Consecutive)
	at := func(now int64) *upstream.Member {
		p = Next(p, s, noFacts, now, noJitter)
		return &p.Members[0]
	}
	if m := at(2 * second); m.Out != upstream.Ejected || m.Until != 7*second {
		t.Fatalf("out %s until %d", m.Out, m.Until)
	}
	bad.Fails.Store(0)
	if m := at(6 * second); m.Out != upstream.Ejected {
		t.Fatal("a passing second ended the ejection early")
	}
	if m := at(7 * second); m.Out != upstream.In || m.SlowStart != slowStartMin {
		t.Fatalf("out %s slow start %v", m.Out, m.SlowStart)
	}
	if m := at(12 * second); math.Abs(m.SlowStart-.5) > 1e-9 {
		t.Fatalf("slow start %v, want .5", m.SlowStart)
	}
	if m := at(17 * second); m.SlowStart != 1 {
		t.Fatalf("slow start %v, want 1", m.SlowStart)
	}
	bad.Fails.Store(DefaultEjection().Consecutive)
	if m := at(18 * second); m.Until != 28*second {
		t.Fatalf("second ejection until %d, want 10 s", m.Until-18*second)
	}
}

// Time alone does not make an instance healthy: after an ejection, one more failure ejects it again, until a request
// succeeds.
func TestTheLastOutcomeCountsAfterAnEjection(t *testing.T) {
	s := spec("round_robin", 4)
	p := pool(s, second)
	bad := s.Entries[0].Live
	at := func(now int64) *upstream.Member {
		p = Next(p, s, noFacts, now, noJitter)
		return &p.Members[0]
	}
	bad.Fails.Store(DefaultEjection().Consecutive)
	at(2 * second)
	if m := at(8 * second); m.Out != upstream.In || !m.OnTrial {
		t.Fatalf("out %s, on trial %v: want in rotation, on trial", m.Out, m.OnTrial)
	}
	if m := at(500 * second); m.Out != upstream.In || !m.OnTrial || m.Ejections != 1 {
		t.Fatalf("after minutes without a request: out %s, on trial %v, %d ejections", m.Out, m.OnTrial, m.Ejections)
	}
	bad.Fails.Add(1)
	if m := at(501 * second); m.Out != upstream.Ejected || m.Until != 511*second {
		t.Fatalf("after one more failure: out %s until %d, want ejected for 10 s", m.Out, m.Until)
	}
	if m := at(512 * second); m.Out != upstream.In {
		t.Fatalf("out %s", m.Out)
	}
	bad.Fails.Store(0)
	if m := at(513 * second); m.OnTrial {
		t.Fatal("a success did not end the trial")
	}
	bad.Fails.Store(2)
	if m := at(514 * second); m.Out != upstream.In || m.OnTrial {
		t.Fatal("two failures after a success count like those before it")
	}
}

// A member on trial gets few requests, whatever the policy: the others take the rest.
func TestAMemberOnTrialGetsOneRequestAtATime(t *testing.T) {
	for _, name := range Names() {
		s := spec(name, 4)
		bad := s.Entries[0].Live
		observe(bad, upstream.FailingAfter, time.Millisecond, true, second)
		service := upstream.NewService("s")
		now := 2*second + second/2
		service.Swap(pool(s, now))
		a, got := ask(5), [4]int{}
		var trial upstream.Ticket
		for i := range 2000 {
			var ticket upstream.Ticket
			a.Now, a.NTried, a.Hash = now, 0, a.Rand.Uint64()
			if _, ok := service.Pick(a, &ticket); !ok {
				t.Fatalf("%s: request %d got no instance", name, i)
			}
			if got[ticket.Index()]++; ticket.Index() == 0 {
				trial = ticket
			} else {
				ticket.Release()
			}
		}
		if got[0] > 1 || name != "adaptive" && got[0] != 1 { // adaptive prefers the others while its errors are recent
			t.Errorf("%s: %d requests to the instance on trial at the same time: %v", name, got[0], got)
		}
		if got[0] == 0 {
			continue
		}
		trial.Observe(upstream.Failed, now)
		trial.Release()
		got[0] = 0
		for range 2000 {
			var ticket upstream.Ticket
			a.Now, a.NTried, a.Hash = now+second/2, 0, a.Rand.Uint64()
			service.Pick(a, &ticket)
			got[ticket.Index()]++
			ticket.Release()
		}
		if got[0] != 0 {
			t.Errorf("%s: %d requests within half a second after a failed trial", name, got[0])
		}
		bad.Fails.Store(0) // as a success does
		for range 2000 {
			var ticket upstream.Ticket
			a.Now, a.NTried, a.Hash = now+second/2, 0, a.Rand.Uint64()
			service.Pick(a, &ticket)
			got[ticket.Index()]++
			ticket.Release()
		}
		if got[0] < 100 && name != "adaptive" {
			t.Errorf("%s: %d of 2000 requests after a success", name, got[0])
		}
	}
}

// An instance that no source lists may be gone: it gets first tries, and a retry only if nothing else is left.
func TestRetriesAvoidUnlistedMembers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 40).Draw(t, "n")
		s := spec(rapid.SampledFrom(Names()).Draw(t, "policy"), n)
		listed := map[*upstream.Live]bool{}
		for i := range s.Entries {
			e := &s.Entries[i]
			e.Unlisted = rapid.Bool().Draw(t, "unlisted")
			listed[e.Live] = !e.Unlisted
		}
		service := upstream.NewService("s")
		service.Swap(pool(s, second))
		a := ask(rapid.Uint64().Draw(t, "seed"))
		for range 20 {
			a.NTried, a.Hash = 0, a.Rand.Uint64()
			for try := range min(n, upstream.MaxTries) {
				left := 0
				for l, is := range listed {
					if is && !a.WasTried(l) {
						left++
					}
				}
				tried := a.NTried
				var ticket upstream.Ticket
				p, ok := service.Pick(a, &ticket)
				if !ok {
					t.Fatalf("try %d: no instance was picked", try)
				}
				m := &p.Members[ticket.Index()]
				if a.NTried != tried+1 || a.Tried[tried] != m.Live {
					t.Fatalf("try %d: %d instances count as tried", try, a.NTried)
				}
				if try > 0 && m.Unlisted && left > 0 {
					t.Fatalf("try %d went to an unlisted instance although %d listed ones were not tried", try, left)
				}
				ticket.Release()
			}
		}
	})
}

// Members on trial and ejected members together keep the cap, and never are all.
func TestTrialsKeepTheCapOfEjections(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "n")
		s := spec("adaptive", n)
		for _, e := range s.Entries {
			e.Live.Fails.Store(uint32(rapid.IntRange(0, 9).Draw(t, "fails")))
		}
		p := Next(pool(s, second), s, noFacts, 2*second, noJitter)
		held := 0
		for i := range p.Members {
			if m := &p.Members[i]; m.OnTrial || m.Out == upstream.Ejected {
				held++
			}
		}
		if held > DefaultEjection().Most(n) || held >= n {
			t.Fatalf("%d of %d held back", held, n)
		}
		service := upstream.NewService("s")
		service.Swap(p)
		var ticket upstream.Ticket
		if _, ok := service.Pick(ask(1), &ticket); !ok {
			t.Fatal("no instance was picked")
		}
		ticket.Release()
	})
}

func TestPanicUsesTheSickButNotTheDraining(t *testing.T) {
	s := spec("adaptive", 5)
	facts := func(l *upstream.Live) Fact {
		switch l.Instance {
		case "i0":
			return Fact{Draining: true}
		case "i1", "i2", "i3":
			return Fact{Probe: Failing}
		}
		return Fact{Probe: Passing}
	}
	p := Next(&upstream.Pool{}, s, facts, second, noJitter)
	if !p.Panic || len(p.Live) != 4 {
		t.Fatalf("panic %v, %d live, want true, 4", p.Panic, len(p.Live))
	}
}

func TestReportedUnhealthyYieldsToAPassingProbe(t *testing.T) {
	s := spec("adaptive", 3)
	for _, c := range []struct {
		probe Probe
		want  upstream.Reason
	}{{Unknown, upstream.Reported}, {Passing, upstream.In}, {Failing, upstream.Unhealthy}} {
		p := Next(&upstream.Pool{}, s, func(l *upstream.Live) Fact {
			return Fact{Probe: c.probe, Unhealthy: l.Instance == "i0"}
		}, second, noJitter)
		if p.Members[0].Out != c.want {
			t.Errorf("probe %d: got %s, want %s", c.probe, p.Members[0].Out, c.want)
		}
	}
}

func TestNextReusesTablesOfUnchangedPools(t *testing.T) {
	s := spec("maglev", 10)
	a := pool(s, second)
	b := Next(a, s, noFacts, 2*second, noJitter)
	if a.Policy != b.Policy {
		t.Fatal("the maglev table was built again for the same members")
	}
	s.Entries[0].Weight = 2
	if c := Next(b, s, noFacts, 3*second, noJitter); c.Policy == b.Policy {
		t.Fatal("a changed weight kept the old table")
	}
}

func TestChooseAllocatesNothing(t *testing.T) {
	for _, name := range Names() {
		s := spec(name, 20)
		service := upstream.NewService("s")
		service.Swap(pool(s, second))
		a := ask(1)
		if n := testing.AllocsPerRun(500, func() {
			var ticket upstream.Ticket
			a.NTried = 0
			service.Pick(a, &ticket)
			ticket.Observe(upstream.Success, a.Now+20e6)
			ticket.Release()
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, name := range Names() {
		for _, n := range []int{10, 100} {
			b.Run(fmt.Sprintf("%s/n=%d", name, n), func(b *testing.B) {
				s := spec(name, n)
				for i, e := range s.Entries {
					observe(e.Live, 10, time.Duration(10+i%7)*time.Millisecond, false, second)
				}
				service := upstream.NewService("s")
				service.Swap(pool(s, second))
				a := ask(1)
				for b.Loop() {
					var ticket upstream.Ticket
					a.NTried, a.Hash = 0, a.Hash+0x9E3779B97F4A7C15
					service.Pick(a, &ticket)
					ticket.Release()
				}
			})
		}
	}
}

func BenchmarkNext(b *testing.B) {
	for _, n := range []int{10, 100, 5000} {
		b.Run(fmt.Sprintf("adaptive/n=%d", n), func(b *testing.B) {
			s := spec("adaptive", n)
			for i, e := range s.Entries {
				observe(e.Live, 10, time.Duration(10+i%7)*time.Millisecond, false, second)
			}
			p := pool(s, second)
			for b.Loop() {
				p = Next(p, s, noFacts, second, noJitter)
			}
		})
	}
}
