package picker

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// answers is a heap of the requests under way, by when they are answered.
type answers []answer

type answer struct {
	at     int64
	ticket upstream.Ticket
}

func (h answers) Len() int           { return len(h) }
func (h answers) Less(i, j int) bool { return h[i].at < h[j].at }
func (h answers) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *answers) Push(x any)        { *h = append(*h, x.(answer)) }
func (h *answers) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// exponentialTime answers a request after an exponential time of 10 ms.
func exponentialTime(now int64, _ int, r *rand.Rand) int64 { return now + int64(r.ExpFloat64()*10e6) }

// withPauses answers a request after about 2 ms. In the first 10 ms of each 200 ms no instance answers, as if the machine
// that they share pauses.
func withPauses(now int64, _ int, r *rand.Rand) int64 {
	const every, pause = 200e6, 10e6
	at := now + int64((1.5+r.ExpFloat64()/2)*1e6)
	if in := at % every; in < pause {
		at += pause - in
	}
	return at
}

// withOutliers answers a request after 1 ms, and one of a thousand after 100 ms.
func withOutliers(now int64, _ int, r *rand.Rand) int64 {
	if r.IntN(1000) == 0 {
		return now + 100e6
	}
	return now + 1e6 + r.Int64N(1e5)
}

// closedLoop lets clients send request after request. Each is answered at the time that answered returns for the instance at
// the index. It gives the share of each instance.
func closedLoop(t *testing.T, policy string, weights []float64, clients, requests int, answered func(now int64, at int, r *rand.Rand) int64) []float64 {
	t.Helper()
	s := spec(policy, len(weights))
	for i, w := range weights {
		s.Entries[i].Weight = w
	}
	service := upstream.NewService("s")
	rnd, a := rand.New(rand.NewPCG(7, 9)), ask(11)
	share := make([]float64, len(weights))
	var under answers
	now, next := second, int64(0)
	pick := func() {
		var ticket upstream.Ticket
		a.Now, a.NTried = now, 0
		if _, ok := service.Pick(a, &ticket); !ok {
			t.Fatal("nobody was picked")
		}
		share[ticket.Index()] += 1 / float64(requests)
		heap.Push(&under, answer{answered(now, ticket.Index(), rnd), ticket})
	}
	for n := 0; n < requests; n++ {
		if now >= next { // as the keeper does
			service.Swap(Next(service.Pool(), s, noFacts, now, noJitter))
			next = now + int64(100*time.Millisecond)
		}
		if n >= clients {
			e := heap.Pop(&under).(answer)
			now = e.at
			e.ticket.Observe(upstream.Success, now)
			e.ticket.Release()
		}
		pick()
	}
	return share
}

// Weights 5:1:1 gave the light instances 0 to 2 % while few requests were in flight: the heavy one always had the lower
// cost. Equal instances get their shares within three points, and within half of their share.
func TestWeightsHoldAtEveryLoad(t *testing.T) {
	many := make([]float64, 20)
	for i := range many {
		many[i] = 1 + float64(i%2)*4
	}
	for _, policy := range []string{"adaptive", "least_request", "peak_ewma", "round_robin", "random"} {
		all := [][]float64{{5, 1, 1}, {1, 2.5, 1}, many}
		if policy == "round_robin" || policy == "random" {
			all = all[:1] // they do not look at requests in flight
		}
		for _, weights := range all {
			total := 0.0
			for _, w := range weights {
				total += w
			}
			for _, clients := range []int{1, 2, 4, 16, 64} {
				share := closedLoop(t, policy, weights, clients, 20_000, exponentialTime)
				if testing.Verbose() {
					t.Logf("%s %v, %d clients: %.3f", policy, weights[:min(3, len(weights))], clients, share[:min(3, len(weights))])
				}
				for i, w := range weights {
					if fair := w / total; math.Abs(share[i]-fair) > .03 || math.Abs(share[i]-fair) > fair/2 {
						t.Errorf("%s %v, %d clients: instance %d of weight %v got %.1f %%, fair are %.1f %%", policy, weights, clients, i, w, 100*share[i], 100*fair)
					}
				}
			}
		}
	}
}

// A pause of all instances cost the light ones up to two thirds of their requests: their average latencies fell with their own
// requests, of which they got fewer meanwhile. A single slow response cost an instance all requests of the next seconds in
// adaptive. In peak_ewma it cost the heavy instance, which has most of the slow responses, up to 17 points.
func TestWeightsHoldDespitePausesAndOutliers(t *testing.T) {
	for _, policy := range []string{"adaptive", "peak_ewma"} {
		for what, answered := range map[string]func(int64, int, *rand.Rand) int64{"pauses": withPauses, "outliers": withOutliers} {
			for _, clients := range []int{1, 2, 4, 16, 64} {
				share := closedLoop(t, policy, []float64{5, 1, 1}, clients, 20_000, answered)
				if testing.Verbose() {
					t.Logf("%s, %s, %d clients: %.3f", policy, what, clients, share)
				}
				for i, fair := range []float64{5. / 7, 1. / 7, 1. / 7} {
					if math.Abs(share[i]-fair) > .03 {
						t.Errorf("%s, %s, %d clients: instance %d got %.1f %%, fair are %.1f %%", policy, what, clients, i, 100*share[i], 100*fair)
					}
				}
			}
		}
	}
}

// peak_ewma ignores one slow response in a pool of unequal weights, but not an instance that stays slow.
func TestPeakEWMAWithWeightsAvoidsASlowInstance(t *testing.T) {
	for slow, limit := range []float64{.60, .04, .04} { // fair are .71, .14 and .14; both draws give the heavy instance in half of the cases
		for _, clients := range []int{1, 4, 16} {
			share := closedLoop(t, "peak_ewma", []float64{5, 1, 1}, clients, 20_000, func(now int64, at int, r *rand.Rand) int64 {
				took := 1e6 + r.Int64N(1e5)
				if at == slow {
					took *= 10
				}
				return now + took
			})
			t.Logf("instance %d slow, %d clients: %.3f", slow, clients, share)
			if share[slow] > limit {
				t.Errorf("instance %d is slow, %d clients: it got %.1f %%, want at most %.0f %%", slow, clients, 100*share[slow], 100*limit)
			}
		}
	}
}

// A fast instance gets more than the others of a nearly idle service, in the proportion of the latencies to the power
// 2·spread, and not all.
func TestSpreadAtLightLoad(t *testing.T) {
	latencies := []time.Duration{200, 250, 300, 400} // of the demo's user-service, ms
	for _, spread := range []float64{0, .5, DefaultSpread, 1} {
		s := spec("adaptive", len(latencies))
		s.Spread = spread
		want, total := make([]float64, len(latencies)), 0.0
		for i, l := range latencies {
			observe(s.Entries[i].Live, 30, l*time.Millisecond, false, second)
			factor := math.Pow(float64(l)/float64(latencies[0]), 2*spread)
			if factor > notComparable {
				continue
			}
			want[i] = 1 / factor
			total += want[i]
		}
		got := shares(pool(s, second), 40_000, nil)
		for i := range latencies {
			if share := float64(got[i]) / 40_000; math.Abs(share-want[i]/total) > .01 {
				t.Errorf("spread %v: the instance of %d ms got %.3f, want %.3f", spread, latencies[i], share, want[i]/total)
			}
		}
	}
}

// Chance must not send requests to an instance that is known to be bad.
func TestUnequalWeightsDoNotHelpASickInstance(t *testing.T) {
	for _, n := range []int{3, 12} {
		s := spec("adaptive", n)
		for i := range s.Entries {
			s.Entries[i].Weight = 1 + float64(i%3)
			observe(s.Entries[i].Live, 50, 10*time.Millisecond, i == 0, second)
		}
		p := pool(s, second)
		got := shares(p, 20_000, func(_ *upstream.Ask, _ int) {})
		if share := float64(got[0]) / 20_000; share > .002 {
			t.Errorf("%d instances: the failing one got %.2f %%", n, 100*share)
		}
	}
}

func TestTheRaceIsProportionalToTheFreePlaces(t *testing.T) {
	r := ask(3).Rand
	for name, tc := range map[string]struct {
		entrants []entrant
		want     []float64
	}{
		"idle":                     {[]entrant{{places: 1}, {places: 3}, {places: 6}}, []float64{.1, .3, .6}},
		"one request at the heavy": {[]entrant{{queue: .2, places: 5}, {places: 1}, {places: 1}}, []float64{4. / 6, 1. / 6, 1. / 6}},
		"one at each of two":       {[]entrant{{queue: .2, places: 5}, {queue: 1, places: 1}, {places: 1}}, []float64{4. / 5, 0, 1. / 5}},
		"all full":                 {[]entrant{{queue: 3, places: 5}, {queue: 3, places: 1}}, []float64{5. / 6, 1. / 6}},
		"twice as slow":            {[]entrant{{places: 1, f: 2}, {places: 1}}, []float64{1. / 3, 2. / 3}},
	} {
		wins := make([]float64, len(tc.entrants))
		for i := range tc.entrants {
			e := &tc.entrants[i]
			e.f = max(e.f, 1)
		}
		for range 50_000 {
			scores := make([]float64, len(tc.entrants))
			race(tc.entrants, scores, true, r)
			best := 0
			for i, s := range scores {
				if s < scores[best] {
					best = i
				}
			}
			wins[best] += 1. / 50_000
		}
		for i, want := range tc.want {
			if math.Abs(wins[i]-want) > .01 {
				t.Errorf("%s: entrant %d won %.3f of the races, want %.3f", name, i, wins[i], want)
			}
		}
	}
}

func BenchmarkPickUnequalWeights(b *testing.B) {
	for _, n := range []int{3, 12, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := spec("adaptive", n)
			for i := range s.Entries {
				s.Entries[i].Weight = 1 + float64(i%3)
			}
			p, a := pool(s, second), ask(1)
			b.ReportAllocs()
			for b.Loop() {
				a.NTried = 0
				p.Policy.Choose(p, a)
			}
		})
	}
}

// slowStart was accepted with every policy and had an effect in adaptive only.
func TestAnInstanceThatReturnsStartsSlowlyInEveryPolicyThatRamps(t *testing.T) {
	for _, name := range Names() {
		s := spec(name, 4)
		drained := true
		facts := func(l *upstream.Live) Fact { return Fact{Draining: drained && l == s.Entries[0].Live} }
		p := Next(&upstream.Pool{}, s, facts, second, noJitter)
		drained = false
		p = Next(p, s, facts, 2*second, noJitter)
		share := func() float64 {
			got := shares(p, 20_000, func(a *upstream.Ask, i int) { a.Hash, a.Seq = a.Rand.Uint64(), uint64(i) })
			return float64(got[0]) / 20_000
		}
		early := share()
		p = Next(p, s, facts, 2*second+int64(s.SlowStart), noJitter)
		late := share()
		if late < .18 || late > .32 {
			t.Errorf("%s: after slow start the share is %.3f, want .25", name, late)
		}
		if RampsUp(name) && early > .06 {
			t.Errorf("%s: at the start of slow start the share is %.3f, want about .03", name, early)
		}
		if !RampsUp(name) && (early < .18 || p.Members[0].SlowStart != 1) {
			t.Errorf("%s: has no slow start, but the share is %.3f", name, early)
		}
	}
}
