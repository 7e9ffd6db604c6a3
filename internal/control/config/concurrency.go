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
}

const (
	maxConcurrency      = 1_000_000
	maxQueue            = 100_000
	defaultQueue        = 1024
	defaultQueueTimeout = 5 * time.Second
)

func (n *Concurrency) fill(path string, given func(string) bool) {
	orDefault(&n.Queue, defaultQueue, given(path+".queue"))
	orDefault(&n.QueueTimeout, defaultQueueTimeout, given(path+".queueTimeout"))
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
	switch at := path + ".queueTimeout"; {
	case n.Queue == 0 && c.at[at] > 0:
		c.fail(at, "has no effect: queue is 0, so no request waits")
	case n.QueueTimeout < time.Millisecond || n.QueueTimeout > maxTimeout:
		c.fail(at, "want 1ms to %s, got %s", maxTimeout, n.QueueTimeout)
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

// services returns the ids of the services of a route.
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
