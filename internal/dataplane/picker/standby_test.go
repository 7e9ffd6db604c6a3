package picker

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// standing gives an instance of this index a fact.
func standing(s Spec, fact func(i int) Fact) Facts {
	return func(l *upstream.Live) Fact {
		return fact(slices.IndexFunc(s.Entries, func(e Entry) bool { return e.Live == l }))
	}
}

func failing(which ...int) func(i int) Fact {
	return func(i int) Fact {
		if slices.Contains(which, i) {
			return Fact{Probe: Failing}
		}
		return Fact{}
	}
}

func states(p *upstream.Pool) (out []string) {
	for i := range p.Members {
		out = append(out, p.Members[i].Out.String())
	}
	return out
}

func TestBackupsHelpWhenTheOthersDoNotSuffice(t *testing.T) {
	for _, tc := range []struct {
		threshold float64
		failing   []int // of 0 to 3; 4 and 5 are backups
		live      string
		panic     bool
	}{
		{.5, nil, "[0 1 2 3]", false},
		{.5, []int{0, 1}, "[2 3]", false},
		{.5, []int{0, 1, 2}, "[3 4 5]", false},
		{.5, []int{0, 1, 2, 4}, "[3 5]", false},
		{.5, []int{0, 1, 2, 4, 5}, "[0 1 2 3 4 5]", true},
		{.5, []int{0, 1, 2, 3}, "[4 5]", false},
		{0, []int{0, 1, 2}, "[3]", false},
		{0, []int{0, 1, 2, 3}, "[4 5]", false},
		{0, []int{0, 1, 2, 3, 4, 5}, "[]", false},
	} {
		s := spec("round_robin", 6)
		s.Panic, s.Entries[4].Backup, s.Entries[5].Backup = tc.threshold, true, true
		p := Next(&upstream.Pool{}, s, standing(s, failing(tc.failing...)), second, noJitter)
		if got := fmt.Sprint(p.Live); got != tc.live || p.Panic != tc.panic {
			t.Errorf("threshold %v, %v fail: live %s, panic %v, want %s, %v", tc.threshold, tc.failing, got, p.Panic, tc.live, tc.panic)
		}
		for i, m := range p.Members {
			idle := !slices.Contains(p.Live, int32(i))
			if m.Out == upstream.In && idle || m.Out == upstream.Backup && (!idle || i < 4) {
				t.Errorf("threshold %v, %v fail: states %v", tc.threshold, tc.failing, states(p))
			}
		}
	}
}

// zoned is a spec with members of this zone and of another one.
func zoned(here, there int, spillover float64) Spec {
	s := spec("round_robin", here+there)
	s.Spillover, s.Panic = spillover, 0
	for i := here; i < here+there; i++ {
		s.Entries[i].Distance = upstream.CrossZone
	}
	return s
}

// With all others drained, backups whose probes fail are better than none.
func TestFailingBackupsOfADrainedServiceArePicked(t *testing.T) {
	for threshold, want := range map[float64]string{.5: "[2 3] true", 0: "[] false"} {
		s := spec("round_robin", 4)
		s.Panic, s.Entries[2].Backup, s.Entries[3].Backup = threshold, true, true
		p := Next(&upstream.Pool{}, s, standing(s, func(i int) Fact { return Fact{Draining: i < 2, Probe: Failing} }), second, noJitter)
		if got := fmt.Sprint(p.Live, p.Panic); got != want {
			t.Errorf("threshold %v: live %s, want %s", threshold, got, want)
		}
	}
}

// Failed requests alone bring the backup in only if the share of ejected instances allows it.
func TestTheLargestShareOfEjectionsHoldsForBackups(t *testing.T) {
	for share, want := range map[float64]string{.3: "[1]", 1: "[2]"} {
		s := spec("round_robin", 3)
		s.Panic, s.Entries[2].Backup, s.Ejection = 0, true, DefaultEjection()
		s.Ejection.MaxShare = share
		s.Entries[0].Live.Fails.Store(7)
		s.Entries[1].Live.Fails.Store(6)
		p := Next(&upstream.Pool{}, s, standing(s, failing()), second, noJitter)
		if got := fmt.Sprint(p.Live); got != want {
			t.Errorf("share %v: live %s, want %s", share, got, want)
		}
	}
}

func TestRequestsStayInTheZoneWhileItSuffices(t *testing.T) {
	for _, tc := range []struct {
		spillover   float64
		failing     []int // of 0 to 3 here and 4 to 7 elsewhere
		local, away float64
	}{
		{.7, nil, 1, 0},
		{.7, []int{0}, 1, 0},
		{.7, []int{0, 1}, .5 / .7, 1 - .5/.7},
		{.7, []int{0, 1, 2, 7}, .25 / .7, 1 - .25/.7},
		{1, []int{0}, .75, .25},
		{.7, []int{0, 1, 2, 3}, 0, 1},
		{.7, []int{0, 1, 4, 5, 6, 7}, 1, 0},
		{0, nil, .5, .5},
	} {
		s := zoned(4, 4, tc.spillover)
		p := Next(&upstream.Pool{}, s, standing(s, failing(tc.failing...)), second, noJitter)
		weight := [2]float64{}
		for _, at := range p.Live {
			weight[at/4] += p.Members[at].Weight
		}
		if got := weight[0] / (weight[0] + weight[1]); math.Abs(got-tc.local) > 1e-9 {
			t.Errorf("spillover %v, %v fail: %.3f of the weight is here, want %.3f", tc.spillover, tc.failing, got, tc.local)
		}
		if tc.away == 0 {
			for i := 4; i < 8; i++ {
				if m := p.Members[i]; m.Out != upstream.OtherZone && m.Out != upstream.Unhealthy {
					t.Errorf("spillover %v, %v fail: states %v", tc.spillover, tc.failing, states(p))
				}
			}
		}
	}
}

// Zones of the own region take what the own zone cannot carry, other regions the rest.
func TestRequestsStayInTheRegionWhileItSuffices(t *testing.T) {
	for _, tc := range []struct {
		failing []int // of 0 and 1 here, 2 to 5 in other zones of the region, 6 and 7 in another region
		want    [3]float64
	}{
		{nil, [3]float64{1, 0, 0}},
		{[]int{0}, [3]float64{.625, .375, 0}},
		{[]int{0, 2, 3, 4}, [3]float64{.625, .3125, .0625}},
		{[]int{0, 1}, [3]float64{0, 1, 0}},
		{[]int{0, 1, 2, 3}, [3]float64{0, .625, .375}},
		{[]int{0, 1, 2, 3, 6, 7}, [3]float64{0, 1, 0}}, // there is nowhere else
		{[]int{1, 2, 3, 4, 5}, [3]float64{.625, 0, .375}},
		{[]int{0, 1, 2, 3, 4, 5}, [3]float64{0, 0, 1}},
	} {
		s := spec("round_robin", 8)
		s.Spillover, s.Panic = .8, 0
		for i := range s.Entries {
			s.Entries[i].Distance = []upstream.Distance{0, 0, 1, 1, 1, 1, 2, 2}[i]
		}
		p := Next(&upstream.Pool{}, s, standing(s, failing(tc.failing...)), second, noJitter)
		var got [3]float64
		sum := 0.0
		for _, at := range p.Live {
			got[s.Entries[at].Distance] += p.Members[at].Weight
			sum += p.Members[at].Weight
		}
		for d := range got {
			if math.Abs(got[d]/sum-tc.want[d]) > 1e-9 {
				t.Errorf("%v fail: distance %d gets %.4f, want %.4f", tc.failing, d, got[d]/sum, tc.want[d])
			}
			for _, at := range p.Reserve[d] {
				if s.Entries[at].Distance != upstream.Distance(d) || tc.want[d] > 0 {
					t.Errorf("%v fail: reserve %v", tc.failing, p.Reserve)
				}
			}
		}
	}
}

// The nearest members that stand by are tried before others.
func TestTheReserveIsTriedByDistance(t *testing.T) {
	s := spec("round_robin", 3)
	s.Spillover, s.Entries[1].Distance, s.Entries[2].Distance = .7, upstream.CrossRegion, upstream.CrossZone
	svc := upstream.NewService("s")
	svc.Swap(Next(&upstream.Pool{}, s, standing(s, failing()), second, noJitter))
	ask := &upstream.Ask{Rand: rand.NewPCG(1, 2), Now: second}
	var got []int
	for range s.Entries {
		var ticket upstream.Ticket
		if _, ok := svc.Pick(ask, &ticket); !ok {
			t.Fatal("no instance")
		}
		got = append(got, ticket.Index())
		ticket.Release()
	}
	if !slices.Equal(got, []int{0, 2, 1}) {
		t.Errorf("tried in the order %v", got)
	}
}

// Without levels, the cost of a request to another zone divides the share of an instance there, in each policy.
func TestACostMovesRequestsToNearInstances(t *testing.T) {
	for _, policy := range []string{"adaptive", "least_request", "round_robin", "random", "peak_ewma", "ring_hash", "maglev"} {
		s := spec(policy, 3)
		s.Spillover, s.Costs = 0, Costs{CrossZone: 2, CrossRegion: 4}
		s.Entries[1].Distance, s.Entries[2].Distance = upstream.CrossZone, upstream.CrossRegion
		svc := upstream.NewService("s")
		svc.Swap(Next(&upstream.Pool{}, s, standing(s, failing()), second, noJitter))
		ask := &upstream.Ask{Rand: rand.NewPCG(1, 2), Now: second}
		var got [3]float64
		const requests = 20000
		for i := range uint64(requests) {
			var ticket upstream.Ticket
			ask.NTried, ask.Hash = 0, upstream.Mix(i)
			if _, ok := svc.Pick(ask, &ticket); !ok {
				t.Fatal("no instance")
			}
			got[ticket.Index()] += 1. / requests
			ticket.Observe(upstream.Success, second)
			ticket.Release()
		}
		for i, want := range []float64{4. / 7, 2. / 7, 1. / 7} {
			if math.Abs(got[i]-want) > .04 {
				t.Errorf("%s: instance %d got %.3f of the requests, want %.3f", policy, i, got[i], want)
			}
		}
	}
}

// The policies keep the share of the zone, because it is a weight like others.
func TestTheShareOfAZoneHoldsInEachPolicy(t *testing.T) {
	for _, policy := range []string{"adaptive", "least_request", "round_robin", "random", "peak_ewma"} {
		s := zoned(4, 4, .7)
		s.Policy = policy
		svc := upstream.NewService("s")
		svc.Swap(Next(&upstream.Pool{}, s, standing(s, failing(0, 1)), second, noJitter))
		ask, here := &upstream.Ask{Rand: rand.NewPCG(1, 2), Now: second}, 0
		const requests = 20000
		for range requests {
			var ticket upstream.Ticket
			ask.NTried = 0
			p, ok := svc.Pick(ask, &ticket)
			if !ok {
				t.Fatal("no instance")
			}
			if ticket.Index() < 4 {
				here++
			}
			_ = p
			ticket.Observe(upstream.Success, second)
			ticket.Release()
		}
		if share := float64(here) / requests; math.Abs(share-.5/.7) > .03 {
			t.Errorf("%s: %.3f of the requests stay in the zone, want %.3f", policy, share, .5/.7)
		}
	}
}

// A request that was tried at each instance of its zone may go to another zone, and a session stays where it is.
func TestTheOtherZoneIsTheReserve(t *testing.T) {
	s := zoned(1, 2, .7)
	svc := upstream.NewService("s")
	p := Next(&upstream.Pool{}, s, standing(s, failing()), second, noJitter)
	svc.Swap(p)
	ask := &upstream.Ask{Rand: rand.NewPCG(1, 2), Now: second}
	var first, again upstream.Ticket
	if _, ok := svc.Pick(ask, &first); !ok || first.Index() != 0 {
		t.Fatalf("the first try went to %d", first.Index())
	}
	if _, ok := svc.Pick(ask, &again); !ok || again.Index() == 0 || ask.Trace.Reason != "other-zone" {
		t.Errorf("the second try went to %d: %s", again.Index(), ask.Trace.Reason)
	}
	var session upstream.Ticket
	ask.NTried = 0
	if _, ok := svc.PickLive(p.Members[2].Live, ask, &session); !ok || session.Index() != 2 {
		t.Error("a session in another zone lost its instance")
	}
	first.Release()
	again.Release()
	session.Release()
}

// A member that begins to take requests begins with slow start, and one that stands by keeps the time since when it does.
func TestStandingByHasABeginAndAnEnd(t *testing.T) {
	s := spec("round_robin", 3)
	s.SlowStart, s.Panic, s.Entries[2].Backup = 10*1e9, .5, true
	p := Next(&upstream.Pool{}, s, standing(s, failing()), second, noJitter)
	for i := int64(2); i < 5; i++ {
		p = Next(p, s, standing(s, failing()), i*second, noJitter)
	}
	if m := p.Members[2]; m.Out != upstream.Backup || m.Since != second {
		t.Fatalf("%v since %d", m.Out, m.Since)
	}
	p = Next(p, s, standing(s, failing(0, 1)), 5*second, noJitter)
	p = Next(p, s, standing(s, failing(0, 1)), 6*second, noJitter)
	if m := p.Members[2]; m.Out != upstream.In || m.Since != 5*second || math.Abs(m.SlowStart-.1) > 1e-9 {
		t.Errorf("the backup is %v since %d, slow start %v", m.Out, m.Since, m.SlowStart)
	}
	p = Next(p, s, standing(s, failing()), 9*second, noJitter)
	if m := p.Members[2]; m.Out != upstream.Backup || m.Since != 9*second {
		t.Errorf("the backup is %v since %d", m.Out, m.Since)
	}
}

// In every pool: what is live may be picked, only standing by keeps a healthy member out, and no healthy member is left out without a
// reason.
func TestStandbyInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 10).Draw(t, "members")
		s := spec(rapid.SampledFrom([]string{"adaptive", "round_robin", "ring_hash", "maglev", "least_request"}).Draw(t, "policy"), n)
		s.Panic, s.Spillover = rapid.Float64Range(0, 1).Draw(t, "panic"), rapid.Float64Range(0, 1).Draw(t, "spillover")
		for i := range s.Entries {
			s.Entries[i].Backup, s.Entries[i].Distance = rapid.Bool().Draw(t, "backup"), upstream.Distance(rapid.IntRange(0, 2).Draw(t, "distance"))
			s.Entries[i].Weight = rapid.Float64Range(.01, 1000).Draw(t, "weight")
		}
		p := &upstream.Pool{}
		for round := int64(1); round < 6; round++ {
			facts := make([]Fact, n)
			healthy := false
			for i := range facts {
				switch rapid.IntRange(0, 3).Draw(t, "fact") {
				case 0:
					facts[i].Probe = Failing
				case 1:
					facts[i].Draining = true
				default:
					healthy = true
				}
			}
			p = Next(p, s, standing(s, func(i int) Fact { return facts[i] }), round*second, noJitter)
			if healthy && len(p.Live) == 0 {
				t.Fatalf("no live member: %v", states(p))
			}
			for i, m := range p.Members {
				live, reserve := slices.Contains(p.Live, int32(i)), slices.Contains(slices.Concat(p.Reserve[:]...), int32(i))
				switch {
				case live && reserve, reserve && m.Out != upstream.OtherZone, live && m.Out != upstream.In && !p.Panic, m.Out == upstream.In && !live, live && facts[i].Draining:
					t.Fatalf("member %d is %v, live %v, reserve %v", i, m.Out, live, reserve)
				case !(m.Weight > 0) || math.IsInf(m.Weight, 0):
					t.Fatalf("member %d has the weight %v", i, m.Weight)
				}
			}
		}
	})
}
