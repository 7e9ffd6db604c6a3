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

// closedLoop lets clients send request after request, each answered after an
// exponential time of 10 ms, and gives the share of each instance.
func closedLoop(t *testing.T, policy string, weights []float64, clients, requests int) []float64 {
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
		heap.Push(&under, answer{now + int64(rnd.ExpFloat64()*10e6), ticket})
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

// Weights 5:1:1 gave the light instances 0 to 2 % while few requests were in
// flight: the heavy one always had the lower cost.
func TestWeightsHoldAtEveryLoad(t *testing.T) {
	many := make([]float64, 20)
	for i := range many {
		many[i] = 1 + float64(i%2)*4
	}
	for _, policy := range []string{"adaptive", "least_request", "peak_ewma"} {
		for _, weights := range [][]float64{{5, 1, 1}, {1, 2, 3, 4, 5, 6, 7, 8}, {1, 10}, many} {
			total := 0.0
			for _, w := range weights {
				total += w
			}
			for _, clients := range []int{1, 2, 4, 16, 64} {
				share := closedLoop(t, policy, weights, clients, 40_000)
				if testing.Verbose() {
					t.Logf("%s %v, %d clients: %.3f", policy, weights[:min(3, len(weights))], clients, share[:min(3, len(weights))])
				}
				for i, w := range weights {
					if fair := w / total; share[i] < .5*fair || share[i] > 2*fair {
						t.Errorf("%s %v, %d clients: instance %d of weight %v got %.1f %%, fair are %.1f %%", policy, weights, clients, i, w, 100*share[i], 100*fair)
					}
				}
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

func TestTheRaceIsProportionalToTheRates(t *testing.T) {
	r := ask(3).Rand
	entrants := []entrant{{rate: 1, f: 1}, {rate: 3, f: 1}, {rate: 6, f: 1}}
	wins := [3]float64{}
	for range 50_000 {
		var scores [3]float64
		race(entrants, scores[:], r)
		best := 0
		for i, s := range scores {
			if s < scores[best] {
				best = i
			}
		}
		wins[best] += 1. / 50_000
	}
	for i, want := range []float64{.1, .3, .6} {
		if math.Abs(wins[i]-want) > .01 {
			t.Errorf("entrant %d won %.3f of the races, want %.3f", i, wins[i], want)
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
		if name != "adaptive" && RampsUp(name) && early > .06 { // in adaptive it divides requests in flight, of which there are none here
			t.Errorf("%s: at the start of slow start the share is %.3f, want about .03", name, early)
		}
		if !RampsUp(name) && (early < .18 || p.Members[0].SlowStart != 1) {
			t.Errorf("%s: has no slow start, but the share is %.3f", name, early)
		}
	}
}
