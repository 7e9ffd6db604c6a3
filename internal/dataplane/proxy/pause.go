package proxy

import (
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
)

// pause waits before a retry. It returns why the wait ended early, None if it did not: the client may leave, and the proxy
// may stop.
func (c *conn) pause(v *dispatch.Verdict) dispatch.Failure {
	timer := time.NewTimer(v.Wait)
	defer timer.Stop()
	c.watch.up.Store(nil)
	c.watch.timer.Store(timer)
	c.since.Store(c.now)
	c.watch.arm(never, wakeUpstream)
	<-timer.C
	cause := c.endTimer()
	c.now = c.p.cfg.Now()
	return cause
}

// endTimer ends a wait that the sweeper can end through the timer of the watch. It returns why the sweeper ended it, None if
// it did not.
func (c *conn) endTimer() dispatch.Failure {
	cause := c.endWait()
	c.watch.timer.Store(nil)
	return c.leaving(cause)
}

// leaving returns the failure of a wait without an instance that the sweeper ended, None for cause 0.
func (c *conn) leaving(cause int64) dispatch.Failure {
	switch {
	case c.cut.Load(), cause == firedCut:
		return dispatch.Stopped
	case cause != 0:
		return c.gone()
	}
	return dispatch.None
}
