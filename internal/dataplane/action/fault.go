package action

import "time"

// Fault injects faults for tests of clients. A nil *Fault injects none. It is immutable.
type Fault struct {
	Delay      time.Duration // before the request goes on
	DelayShare float64       // of the requests that are delayed, 0 to 1
	Status     int           // of the answer to aborted requests
	AbortShare float64       // of the requests that are aborted, 0 to 1
}

// Draw returns what happens to a request: how long it waits, and with which status it is then aborted; 0: not at all. Both are
// drawn independently.
func (f *Fault) Draw(random func() uint64) (delay time.Duration, status int) {
	if f == nil {
		return 0, 0
	}
	if drawn(f.DelayShare, random) {
		delay = f.Delay
	}
	if drawn(f.AbortShare, random) {
		status = f.Status
	}
	return delay, status
}

// drawn reports true for a share of the calls: for none with 0, and for all with 1.
func drawn(share float64, random func() uint64) bool {
	return share > 0 && float64(random()>>11)/(1<<53) < share
}
