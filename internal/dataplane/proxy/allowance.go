package proxy

import "time"

// allowance is the time for which the proxy still waits for bytes of a request body. Each byte adds the time of a byte at
// the lowest rate, up to most, and each wait for the client takes its own time from it. A client that sends fast at first
// therefore cannot be slow for longer than most. The zero value has no limit.
type allowance struct {
	rate       int // bytes per second
	most, left time.Duration
}

// limit returns the shorter one of step and what is left.
func (a *allowance) limit(step time.Duration) time.Duration {
	if a.rate == 0 {
		return step
	}
	return min(step, max(a.left, 0))
}

// took notes that n bytes came after a wait in nanoseconds.
func (a *allowance) took(n int, wait int64) {
	if a.rate == 0 {
		return
	}
	a.left = min(a.left-time.Duration(wait)+time.Duration(n)*time.Second/time.Duration(a.rate), a.most)
}
