package dispatch

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Mirror sends copies of requests to another service. Their responses are not used. What an instance does with a copy is
// charged to the instance as that of any request, but neither to the route nor to the client.
type Mirror struct {
	Route  *Route  // of the copies: one share, a timeout, no retries
	Share  float64 // of the requests, above 0 to 1
	Counts *MirrorCounts
}

// MirrorResult says what became of a copy.
type MirrorResult uint8

// The results.
const (
	MirrorAnswered   MirrorResult = iota // an instance answered
	MirrorFailed                         // no instance, no connection, no valid response in time
	MirrorBusy                           // not sent: too many copies were under way, the service had no room, or the memory was short
	MirrorTooLarge                       // not sent: the body was above the bound
	MirrorIncomplete                     // not sent: the body did not arrive completely
	NumMirrorResults = int(iota)
)

func (r MirrorResult) String() string {
	return [NumMirrorResults]string{"answered", "failed", "busy", "too-large", "incomplete"}[r]
}

// MirrorCounts counts copies by result.
type MirrorCounts [NumMirrorResults]atomic.Uint64

// Mirror returns where a copy of the request goes that is about to be sent for the first time, nil if there is none.
func (x *Exchange) Mirror() *Mirror {
	m := x.route.Mirror
	if m == nil || x.n != 1 || float64(x.rand.Uint64()>>11)/(1<<53) >= m.Share {
		return nil
	}
	return m
}

// Follow prepares x for the copy of the request of another exchange. BeginMirror follows.
func (x *Exchange) Follow(from *Exchange, m *Mirror) {
	x.reset(0)
	share := &m.Route.Split[0]
	x.table, x.route, x.traffic = from.table, m.Route, nil
	x.service, x.leg, x.budget, x.priority = share.Service, cmp.Or(share.Leg, &standardLeg), budgetOf(share), guard.Low
	x.Client, x.Timeout, x.Span, x.Shard = from.Client, from.Timeout, from.Span, from.Shard
	x.user, x.proven = from.user, slices.Clone(from.proven)
}

// BeginMirror picks the instance of a copy. It returns false if the copy is not sent; result says why. A copy does not wait
// for its turn at a service with a limit. End must follow in any case.
func (d *Dispatcher) BeginMirror(x *Exchange, h Head, now int64) (v Verdict, result MirrorResult, ok bool) {
	x.began = now
	if d.cfg.Memory.Pressure() != guard.NoPressure {
		return Verdict{}, MirrorBusy, false
	}
	if _, hashes := x.service.Pool().Policy.(upstream.Hasher); hashes {
		x.ask.Hash = hashKey(x.route.HashOn, x.Client, h)
	}
	v = *d.enter(x, now)
	if v.Action == Wait {
		if x.service.Gate.Settle(x.waiter, true, guard.QueueFull) != guard.Inside {
			return Verdict{}, MirrorBusy, false
		}
		x.inside = true
		v = *d.start(x, now)
	}
	switch {
	case v.Action == Forward:
		return v, 0, true
	case v.Code == CodeQueueFull, v.Code == CodeInstanceFull:
		return v, MirrorBusy, false
	}
	return v, MirrorFailed, false
}
