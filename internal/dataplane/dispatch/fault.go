package dispatch

import (
	"net/http"

	"github.com/smartlb/smartlb/internal/dataplane/action"
)

// inject draws the faults of a request. A delay is a Pause, after which Resume calls afterDelay. It ends with the client's
// timeout at the latest.
//
//go:noinline
func (d *Dispatcher) inject(x *Exchange, f *action.Fault, now int64) *Verdict {
	delay, status := f.Draw(x.rand.Uint64)
	x.fault = status
	if delay == 0 {
		return d.afterFaults(x, now)
	}
	if x.Timeout > 0 {
		delay = min(delay, x.Timeout)
	}
	x.delaying = true
	return x.then(Verdict{Action: Pause, Wait: delay})
}

// afterDelay continues after the delay of a fault.
func (d *Dispatcher) afterDelay(x *Exchange, now int64) *Verdict {
	x.delaying, x.delayed = false, now
	if x.Timeout > 0 && now-x.began >= int64(x.Timeout) && x.fault == 0 { // no time is left, and no instance is to blame
		x.fault = http.StatusGatewayTimeout
	}
	return d.afterFaults(x, now)
}

// afterFaults aborts the request, or lets it go on.
func (d *Dispatcher) afterFaults(x *Exchange, now int64) *Verdict {
	if x.fault == 0 {
		return d.enter(x, now)
	}
	x.service, x.pages, x.session = nil, nil, nil // it counts for the route only: the service has no part in it
	return d.answer(x, x.fault, CodeFault)
}
