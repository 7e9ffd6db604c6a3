package picker

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

func TestLimitsOfAGate(t *testing.T) {
	for _, row := range []struct {
		l       Limits
		live    int
		running int
	}{
		{Limits{}, 3, 0},
		{Limits{Service: 10}, 3, 10},
		{Limits{PerInstance: 2}, 3, 6},
		{Limits{Service: 10, PerInstance: 2}, 3, 6},
		{Limits{Service: 5, PerInstance: 2}, 3, 5},
		{Limits{Service: 5, PerInstance: 2}, 0, 0},
	} {
		row.l.Queue = 7
		p := &upstream.Pool{Live: make([]int32, row.live)}
		if got, want := row.l.Gate(p), (guard.Limits{Running: row.running, Waiting: 7}); got != want {
			t.Errorf("%+v with %d: %+v", row.l, row.live, got)
		}
	}
}

// With every policy, as many requests find an instance as all instances may have, and none has more than its limit. Then
// one that ends makes room for one.
func TestEveryPolicyFillsAllInstancesToTheirLimit(t *testing.T) {
	for _, policy := range Names() {
		t.Run(policy, func(t *testing.T) {
			base := spec(policy, 7)
			for i := range base.Entries {
				base.Entries[i].Weight = float64(1 + i*i)
			}
			built := pool(base, second)
			rapid.Check(t, func(t *rapid.T) {
				limit := rapid.IntRange(1, 4).Draw(t, "limit")
				p := *built
				p.InstanceLimit = int64(limit)
				for i := range p.Members {
					p.Members[i].InFlight.Store(0)
				}
				s := upstream.NewService("s")
				s.Swap(&p)
				tickets := make([]upstream.Ticket, limit*len(p.Members)+1)
				a := ask(rapid.Uint64().Draw(t, "seed"))
				pick := func(ticket *upstream.Ticket) bool {
					a.NTried, a.Hash = 0, a.Rand.Uint64()
					_, ok := s.Pick(a, ticket)
					return ok
				}
				for i := range tickets {
					if ok := pick(&tickets[i]); ok != (i < len(tickets)-1) {
						t.Fatalf("request %d of %d: %v", i, len(tickets)-1, ok)
					}
					if a.NTried > 1 {
						t.Fatalf("%d instances count as tried", a.NTried)
					}
				}
				for _, m := range p.Members {
					if n := m.InFlight.Load(); n != int64(limit) {
						t.Fatalf("%s has %d requests, want %d", m.Instance, n, limit)
					}
				}
				ended := &tickets[rapid.IntRange(0, len(tickets)-2).Draw(t, "ended")]
				ended.Release()
				if at := ended.Live(); !pick(&tickets[len(tickets)-1]) || tickets[len(tickets)-1].Live() != at {
					t.Fatal("the free place was not found")
				}
			})
		})
	}
}
