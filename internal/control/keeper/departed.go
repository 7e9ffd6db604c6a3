package keeper

import (
	"slices"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// departed counts the requests of instances that left a service, so that the service's count never decreases. The zero
// value is ready to use.
type departed struct {
	requests uint64           // of instances whose last request has ended
	ending   []*upstream.Live // instances that may still have requests in flight
}

func (d *departed) add(gone []*upstream.Live) { d.ending = append(d.ending, gone...) }

// total returns the requests of all instances that left.
func (d *departed) total() uint64 {
	d.ending = slices.DeleteFunc(d.ending, func(l *upstream.Live) bool {
		if l.InFlight.Load() > 0 {
			return false
		}
		d.requests += l.Requests.Load()
		return true
	})
	n := d.requests
	for _, l := range d.ending {
		n += l.Requests.Load()
	}
	return n
}
