package config

import (
	"fmt"
	"slices"
	"time"
)

// Hedge says when a request is sent to a second instance while the first one has not answered.
type Hedge struct {
	// wait for the response head of the first instance: `p95`, the time within which 95 % of the requests of the service get
	// it, or a duration from 1ms to 1m. Only GET, HEAD and OPTIONS without a body are hedged, within `services[].retryBudget`;
	// default p95
	After string `yaml:"after"`
}

const hedgeP95 = "p95"

// delay returns the wait, 0 for p95.
func (h Hedge) delay() (time.Duration, error) {
	if h.After == hedgeP95 {
		return 0, nil
	}
	d, err := time.ParseDuration(h.After)
	if err != nil || d < time.Millisecond || d > time.Minute {
		return 0, fmt.Errorf("%.50q: want p95, or a duration from 1ms to 1m", h.After)
	}
	return d, nil
}

func (c *checker) hedge(path string, h Hedge, r Route) {
	if _, err := h.delay(); err != nil {
		c.fail(path+".after", "%v", err)
	}
	if len(r.Methods) > 0 && !slices.ContainsFunc(r.Methods, func(m string) bool { return m == "GET" || m == "HEAD" || m == "OPTIONS" }) {
		c.useless(path, "has no effect: the route takes none of GET, HEAD and OPTIONS")
	}
}
