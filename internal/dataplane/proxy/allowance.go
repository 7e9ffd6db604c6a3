package proxy

import "time"

// allowance is the time for which the proxy still waits for a client that sends or takes a body. Each byte adds the time of a
// byte at the lowest rate, up to most, and each wait for the client takes its own time from it. A client that is fast at first
// therefore cannot be slow for longer than most. The zero value has no limit.
type allowance struct {
	rate       int // bytes per second
	most, left time.Duration
}

// limit returns the longest wait for n bytes, at most step. n is 0 if each byte ends the wait.
func (a *allowance) limit(step time.Duration, n int) time.Duration {
	if a.rate == 0 {
		return step
	}
	return min(step, max(a.left+a.of(n), 0))
}

// took notes that n bytes came, or were taken, after a wait in nanoseconds.
func (a *allowance) took(n int, wait int64) {
	if a.rate == 0 {
		return
	}
	a.left = min(a.left-time.Duration(wait)+a.of(n), a.most)
}

// of returns the time of n bytes at the lowest rate.
func (a *allowance) of(n int) time.Duration {
	return time.Duration(n) * time.Second / time.Duration(a.rate)
}

// startTaking begins to measure how fast the client takes the response.
func (c *conn) startTaking(e *exchange) {
	if rate := c.p.cfg.ResponseRate; rate > 0 {
		e.taking = allowance{rate: rate, most: c.settings().body, left: c.settings().body}
	}
}

// takeBy returns when the client must have taken the next n bytes of the response, deadline at the latest; 0: there is none.
func (c *conn) takeBy(e *exchange, n int, deadline int64) int64 {
	return c.until(e.taking.limit(c.settings().body, n), deadline)
}

// taken notes that the client took n bytes of the response since c.now.
func (c *conn) taken(e *exchange, n int) {
	if e.taking.rate > 0 {
		e.taking.took(n, c.p.cfg.Now()-c.now)
	}
}
