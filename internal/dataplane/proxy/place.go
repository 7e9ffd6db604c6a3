package proxy

import "github.com/smartlb/smartlb/internal/dataplane/dispatch"

// awaitPlace waits until the request may go to an instance, until the verdict's deadline, or until the client leaves. It
// returns why the wait ended, None for a value of the waiter.
func (c *conn) awaitPlace(e *exchange, v *dispatch.Verdict) dispatch.Failure {
	c.watch.place.Store(v.Waiter)
	c.since.Store(c.now)
	c.watch.arm(v.Deadline, wakePlace)
	<-v.Waiter.C()
	cause := c.endWait()
	c.now = c.p.cfg.Now()
	if cause == 0 {
		return dispatch.None
	}
	return c.failure(e, nil, cause)
}
