package guard

import "sync/atomic"

// Retry budget: tries beyond the first may be at most RetryShare of the active
// requests, and RetryMin are always allowed. Without a budget retries multiply
// the load of a service that is failing because of its load (Envoy's retry
// budget has the same two numbers).
const (
	RetryShare = .2
	RetryMin   = 3
)

// TakeRetry asks for one try beyond the first. active is the number of requests
// under way, running the number of such tries; on true, running was raised and
// the caller lowers it when the try ends.
func TakeRetry(active, running *atomic.Int64) bool {
	limit := RetryMin + int64(RetryShare*float64(active.Load()))
	if running.Add(1) > limit {
		running.Add(-1)
		return false
	}
	return true
}
