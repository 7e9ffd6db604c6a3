package keeper

import (
	"slices"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Counted is what was counted of an instance, or of several.
type Counted struct {
	Requests, Errors uint64
	Hist             [upstream.HistBuckets]uint64 // latencies, see upstream.HistBounds
	HistSum          uint64                       // ns
	LoadsTaken       uint64                       // load reports in responses that were read
	LoadsRefused     uint64                       // load reports in responses that were invalid
}

// add adds the counters of a live.
func (c *Counted) add(l *upstream.Live) {
	c.Requests += l.Requests.Load()
	c.Errors += l.Errors.Load()
	c.HistSum += l.HistSum.Load()
	c.LoadsTaken += l.Load.Taken.Load()
	c.LoadsRefused += l.Load.Refused.Load()
	for b := range l.Hist {
		c.Hist[b] += l.Hist[b].Load()
	}
}

func (c *Counted) sum(o Counted) {
	c.Requests += o.Requests
	c.Errors += o.Errors
	c.HistSum += o.HistSum
	c.LoadsTaken += o.LoadsTaken
	c.LoadsRefused += o.LoadsRefused
	for b := range o.Hist {
		c.Hist[b] += o.Hist[b]
	}
}

// departed counts the requests of instances that left a service, so that the service's counts never decrease, or those
// of an instance at its former addresses. The zero value is ready to use.
type departed struct {
	ended  Counted          // of instances whose last request has ended
	ending []*upstream.Live // instances that may still have requests in flight
}

func (d *departed) add(gone ...*upstream.Live) { d.ending = append(d.ending, gone...) }

// join takes over what another one counted.
func (d *departed) join(o departed) {
	d.ended.sum(o.ended)
	d.ending = append(d.ending, o.ending...)
}

// total returns what was counted of all instances that left.
func (d *departed) total() Counted {
	d.ending = slices.DeleteFunc(d.ending, func(l *upstream.Live) bool {
		if l.InFlight.Load() > 0 {
			return false
		}
		d.ended.add(l)
		return true
	})
	n := d.ended
	for _, l := range d.ending {
		n.add(l)
	}
	return n
}
