package picker

import (
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Limits of the requests in flight of a service. The zero value has none.
type Limits struct {
	Service     int // requests in flight to all instances; 0: no limit
	PerInstance int // requests in flight to one instance; 0: no limit
	Queue       int // requests that wait
}

// Gate returns the limits for the gate of a service with this pool: as many requests as the service, and all instances that
// take requests together, may have. Without such an instance there is no limit, because nothing is worth waiting for: the
// requests get 503.
func (l Limits) Gate(p *upstream.Pool) guard.Limits {
	running := l.Service
	if all := l.PerInstance * len(p.Live); l.PerInstance > 0 && (running == 0 || all < running) {
		running = all
	}
	if len(p.Live) == 0 {
		running = 0
	}
	return guard.Limits{Running: running, Waiting: l.Queue}
}
