package proxy

import (
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
)

// pause waits before a retry. It returns why the wait ended early, None if it did not: the client may leave, and the proxy
// may stop.
func (c *conn) pause(v dispatch.Verdict) dispatch.Failure {
	timer := time.NewTimer(v.Wait)
	defer timer.Stop()
	c.watch.up.Store(nil)
	c.watch.timer.Store(timer)
	c.since.Store(c.now)
	c.watch.arm(never, wakeUpstream)
	<-timer.C
	cause := c.endWait()
	c.watch.timer.Store(nil)
	c.now = c.p.cfg.Now()
	switch {
	case c.cut.Load(), cause == firedCut:
		return dispatch.Stopped
	case cause == firedGone:
		return c.gone()
	}
	return dispatch.None
}
