package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
)

// Concurrency limits the requests in flight from one node to a service. Requests above a limit wait in a queue.
type Concurrency struct {
	Limit        int           `yaml:"limit"`        // requests in flight to the service, 0 to 1000000. 0: no limit; default 0
	PerInstance  int           `yaml:"perInstance"`  // requests in flight to one instance, 0 to 1000000. 0: no limit; default 0
	Queue        int           `yaml:"queue"`        // requests that wait for their turn, 0 to 100000. Others get 503 at once; default 1024
	QueueTimeout time.Duration `yaml:"queueTimeout"` // longest wait, 1ms to 720h. Then the client gets 503; default 5s
	Adaptive     *Adaptive     `yaml:"adaptive"`     // lowers the limit while the latency of the service rises with its load. `{}` switches it on with its defaults; default off
}

// Adaptive finds the limit of requests in flight to a service. The configured limits are the highest one.
type Adaptive struct {
	Min       int     `yaml:"min"`       // lowest limit, 1 to 1000000; default 3
	Tolerance float64 `yaml:"tolerance"` // how many times the latency without overload is still accepted, 1.1 to 10; default 1.5
}

const (
	maxConcurrency      = 1_000_000
	maxQueue            = 100_000
	defaultQueue        = 1024
	defaultQueueTimeout = 5 * time.Second

	defaultAdaptiveMin = 3   // as Envoy's min_concurrency
	defaultTolerance   = 1.5 // as Netflix's rttTolerance
	minTolerance       = 1.1
	maxTolerance       = 10
)

func (n *Concurrency) fill(path string, given func(string) bool) {
	orDefault(&n.Queue, defaultQueue, given(path+".queue"))
	orDefault(&n.QueueTimeout, defaultQueueTimeout, given(path+".queueTimeout"))
	if a := n.Adaptive; a != nil {
		orDefault(&a.Min, defaultAdaptiveMin, given(path+".adaptive.min"))
		orDefault(&a.Tolerance, defaultTolerance, given(path+".adaptive.tolerance"))
	}
}

func (c *checker) concurrency(path string, n *Concurrency) {
	if n == nil {
		return
	}
	for key, v := range map[string]int{"limit": n.Limit, "perInstance": n.PerInstance} {
		if v < 0 || v > maxConcurrency {
			c.fail(path+"."+key, "want 0 to %d, got %d", maxConcurrency, v)
		}
	}
	if n.Limit == 0 && n.PerInstance == 0 {
		c.fail(path, "has no effect: want limit or perInstance")
	}
	if n.Queue < 0 || n.Queue > maxQueue {
		c.fail(path+".queue", "want 0 to %d, got %d", maxQueue, n.Queue)
	}
	c.adaptive(path+".adaptive", *n)
	switch at := path + ".queueTimeout"; {
	case n.Queue == 0 && c.at[at] > 0:
		c.fail(at, "has no effect: queue is 0, so no request waits")
	case n.QueueTimeout < time.Millisecond || n.QueueTimeout > maxTimeout:
		c.fail(at, "want 1ms to %s, got %s", maxTimeout, n.QueueTimeout)
	}
}

// adaptive checks the search for a limit.
func (c *checker) adaptive(path string, n Concurrency) {
	a := n.Adaptive
	if a == nil {
		return
	}
	switch at := path + ".min"; {
	case a.Min < 1 || a.Min > maxConcurrency:
		c.fail(at, "want 1 to %d, got %d", maxConcurrency, a.Min)
	case n.Limit > 0 && a.Min >= n.Limit:
		c.fail(at, "%d leaves nothing to adapt: want less than limit, which is %d", a.Min, n.Limit)
	}
	if !(a.Tolerance >= minTolerance && a.Tolerance <= maxTolerance) {
		c.fail(path+".tolerance", "want %g to %d, got %g", minTolerance, maxTolerance, a.Tolerance)
	}
}

// priority checks the priority of a route.
func (c *checker) priority(path string, r Route) {
	p, err := priority(r.Priority)
	switch at := path + ".priority"; {
	case err != nil:
		c.fail(at, "%v", err)
	case p.Header != "" && !tokenPattern.MatchString(p.Header):
		c.fail(at, "%.200q: the name of a header has no such character", p.Header)
	}
}

// services returns the ids of the services of a route, without the one that gets copies.
func (r Route) services() (ids []string) {
	if r.Service != "" {
		ids = append(ids, r.Service)
	}
	for _, s := range r.Split {
		ids = append(ids, s.Service)
	}
	return ids
}

// priority converts the priority of a route.
func priority(s string) (dispatch.Priority, error) {
	switch s {
	case "", "normal":
		return dispatch.Priority{}, nil
	case "low":
		return dispatch.Priority{Low: true}, nil
	}
	if name, ok := strings.CutPrefix(s, "header:"); ok && name != "" {
		return dispatch.Priority{Header: name}, nil
	}
	return dispatch.Priority{}, fmt.Errorf("unknown priority %.200q, want normal, low or header:NAME", s)
}
