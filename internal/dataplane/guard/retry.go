package guard

import "sync/atomic"

// Retry budget: at most RetryShare of the active requests may be retries; RetryMin retries are always allowed. Without
// a budget, retries multiply the load of a service that fails because of its load (Envoy's retry budget has the same
// two numbers).
const (
	RetryShare = .2
	RetryMin   = 3
)

// TakeRetry reserves one retry in the budget. active is the number of requests in flight, running the number of retries
// in flight. If it returns true, it has increased running, and the caller must decrease running when the retry ends.
func TakeRetry(active, running *atomic.Int64) bool {
	limit := RetryMin + int64(RetryShare*float64(active.Load()))
	if running.Add(1) > limit {
		running.Add(-1)
		return false
	}
	return true
}
