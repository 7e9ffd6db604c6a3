package picker

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// hold picks with one key after another, keeps every request in flight, and returns the requests of each instance.
func hold(s *upstream.Service, key func(i int) uint64, n int) map[string]int {
	got := map[string]int{}
	for i := range n {
		s.Active.Add(1)
		a, ticket := ask(uint64(i)), upstream.Ticket{}
		a.Hash = key(i)
		if _, ok := s.Pick(a, &ticket); ok {
			got[ticket.Live().Instance]++
		}
	}
	return got
}

// With a limit, no instance has more requests than its share times the factor, whatever the keys are, and every request
// finds an instance.
func TestBoundedLoadOfHashes(t *testing.T) {
	for _, policy := range []string{"ring_hash", "maglev"} {
		t.Run(policy, func(t *testing.T) {
			base := spec(policy, 6)
			weights := []float64{1, 1, 2, 2, 3, 3}
			for i := range base.Entries {
				base.Entries[i].Weight = weights[i]
			}
			built := pool(base, second) // building the table takes most of the time
			rapid.Check(t, func(t *rapid.T) {
				factor := rapid.IntRange(MinBalanceFactor, MaxBalanceFactor).Draw(t, "factor")
				keys := rapid.IntRange(1, 5).Draw(t, "keys")
				n := rapid.IntRange(1, 300).Draw(t, "requests")
				p := *built
				p.HashBalance = float64(factor) / 100
				for i := range p.Members {
					p.Members[i].InFlight.Store(0)
				}
				s := upstream.NewService("s")
				s.Swap(&p)
				got := hold(s, func(i int) uint64 { return upstream.Mix(uint64(i % keys)) }, n)
				sum := 0
				for i, e := range base.Entries {
					requests := got[e.Live.Instance]
					sum += requests
					if limit := max(1, math.Ceil(p.HashBalance*float64(n)*weights[i]/12)); float64(requests) > limit {
						t.Fatalf("%s has %d of %d requests, at most %v are allowed", e.Live.Instance, requests, n, limit)
					}
				}
				if sum != n {
					t.Fatalf("%d of %d requests found an instance", sum, n)
				}
			})
		})
	}
}

// Without load the limit moves no key: one request of a key at a time always goes to the same instance.
func TestTheLimitMovesNoKeyOfAnIdleService(t *testing.T) {
	for _, policy := range []string{"ring_hash", "maglev"} {
		free, bounded := spec(policy, 5), spec(policy, 5)
		bounded.Balance = MinBalanceFactor
		a, b := upstream.NewService("s"), upstream.NewService("s")
		a.Swap(pool(free, second))
		b.Swap(pool(bounded, second))
		for i := range 1000 {
			var chosen [2]string
			for k, s := range []*upstream.Service{a, b} {
				s.Active.Add(1)
				q, ticket := ask(1), upstream.Ticket{}
				q.Hash = upstream.Mix(uint64(i))
				if _, ok := s.Pick(q, &ticket); !ok {
					t.Fatal("nobody")
				}
				chosen[k] = ticket.Live().Instance
				ticket.Release()
				s.Active.Add(-1)
			}
			if chosen[0] != chosen[1] {
				t.Fatalf("%s: key %d goes to %s without and to %s with a limit", policy, i, chosen[0], chosen[1])
			}
		}
	}
}

// If every instance that is left has no room, the key's own order decides.
func TestARetryIsNotRefusedByTheLimit(t *testing.T) {
	for _, policy := range []string{"ring_hash", "maglev"} {
		s := spec(policy, 2)
		s.Balance = MinBalanceFactor
		p := pool(s, second)
		for i := range p.Members {
			p.Members[i].InFlight.Store(1000)
		}
		a := ask(1)
		a.Active, a.Hash = 1, 42
		first := p.Policy.Choose(p, a)
		a.Tried[0], a.NTried = p.Members[first].Live, 1
		if second := p.Policy.Choose(p, a); second < 0 || second == first {
			t.Errorf("%s: %s", policy, fmt.Sprint(first, second))
		}
		a.Tried[1], a.NTried = p.Members[1-first].Live, 2
		if third := p.Policy.Choose(p, a); third >= 0 {
			t.Errorf("%s: %d after all were tried", policy, third)
		}
	}
}
