package guard

import "sync/atomic"

// Budget limits the retries of a service that are in flight: Min retries, and Share of the active requests. Without a
// budget, retries multiply the load of a service that fails because of its load.
type Budget struct {
	Share float64 // 0..1
	Min   int     // retries that are always allowed
}

// DefaultBudget is the budget of a service that sets none. Envoy's retry budget has the same two numbers.
var DefaultBudget = Budget{Share: .2, Min: 3}

// Take reserves one retry. active is the number of requests in flight, running the number of retries in flight. If it
// returns true, it has increased running, and the caller must decrease running when the retry ends.
func (b Budget) Take(active, running *atomic.Int64) bool {
	limit := int64(b.Min) + int64(b.Share*float64(active.Load()))
	if running.Add(1) > limit {
		running.Add(-1)
		return false
	}
	return true
}
