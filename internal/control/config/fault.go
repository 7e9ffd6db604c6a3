package config

import (
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/action"
)

// Fault injects faults into requests for instances, to test how clients behave. No instance is charged for them.
type Fault struct {
	Delay *FaultDelay `yaml:"delay"` // requests that wait before they go on; default none
	Abort *FaultAbort `yaml:"abort"` // requests that get an error instead of the response of an instance, after the delay if they have one; default none
}

// FaultDelay delays requests.
type FaultDelay struct {
	Duration time.Duration `yaml:"duration"` // how long a request waits, 1ms to 5m. `timeout` of the route begins after it; required
	Share    float64       `yaml:"share"`    // part of the requests, above 0 to 1; required
}

// FaultAbort aborts requests.
type FaultAbort struct {
	Status int     `yaml:"status"` // status of the answer, 400 to 599; required
	Share  float64 `yaml:"share"`  // part of the requests, above 0 to 1. It is drawn independently of the delay; required
}

// maxDelay limits how long a request of a client takes a place in the proxy because of a fault.
const maxDelay = 5 * time.Minute

func (c *checker) fault(path string, f Fault) {
	if f.Delay == nil && f.Abort == nil {
		c.fail(path, "is empty: want delay or abort")
	}
	if d := f.Delay; d != nil {
		if d.Duration < time.Millisecond || d.Duration > maxDelay {
			c.fail(path+".delay.duration", "want 1ms to 5m, got %s", d.Duration)
		}
		c.share(path+".delay.share", d.Share)
	}
	if a := f.Abort; a != nil {
		if a.Status < 400 || a.Status > 599 {
			c.fail(path+".abort.status", "want 400 to 599, got %d", a.Status)
		}
		c.share(path+".abort.share", a.Share)
	}
}

func (c *checker) share(path string, share float64) {
	if !(share > 0 && share <= 1) { // also not a number
		c.fail(path, "want above 0 to 1, got %v", share)
	}
}

func compileFault(f *Fault) *action.Fault {
	if f == nil {
		return nil
	}
	out := &action.Fault{}
	if f.Delay != nil {
		out.Delay, out.DelayShare = f.Delay.Duration, f.Delay.Share
	}
	if f.Abort != nil {
		out.Status, out.AbortShare = f.Abort.Status, f.Abort.Share
	}
	return out
}
