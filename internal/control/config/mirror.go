package config

import (
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Mirror sends copies of requests to another service, whose responses are not used.
type Mirror struct {
	Service string  `yaml:"service"` // id of the service that gets the copies; required
	Percent float64 `yaml:"percent"` // part of the requests that are copied, above 0 to 100; default 100
}

// maxMirrorTime limits a copy of a request, whose client does not wait for it.
const maxMirrorTime = 30 * time.Second

func (r *Route) fillMirror(path string, given func(string) bool) {
	if r.Mirror != nil {
		orDefault(&r.Mirror.Percent, 100, given(path+".mirror.percent"))
	}
}

func (c *checker) mirror(path string, r Route, services map[string]string) {
	if r.Mirror == nil {
		return
	}
	c.known(path+".service", r.Mirror.Service, services)
	if p := r.Mirror.Percent; !(p > 0 && p <= 100) { // also not a number
		c.fail(path+".percent", "want above 0 to 100, got %v", p)
	}
}

// compileMirror adds the destination of the copies to a route, whose counters stay from one table to the next.
func compileMirror(r Route, to *dispatch.Route, service *upstream.Service, of destination, counts, next map[string]*dispatch.MirrorCounts) {
	n := counts[r.Name]
	if n == nil {
		n = new(dispatch.MirrorCounts)
	}
	next[r.Name] = n
	timeout := maxMirrorTime
	if r.Timeout > 0 {
		timeout = min(timeout, r.Timeout)
	}
	to.Mirror = &dispatch.Mirror{
		Share: r.Mirror.Percent / 100, Counts: n,
		Route: &dispatch.Route{
			Name: r.Name, Split: []dispatch.Share{{Service: service, Weight: 1, Leg: of.leg, Budget: of.budget}}, Total: 1, Timeout: timeout, HashOn: to.HashOn,
		},
	}
}
