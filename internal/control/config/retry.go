package config

import (
	"slices"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/guard"
)

// Retry says when a request is sent again to another instance.
type Retry struct {
	Attempts int `yaml:"attempts"` // retries after the first try, 0 to 3; default 2
	// reasons for a retry: `connect-failure`, `reset` (closed before a response), `timeout` (needs `perTryTimeout`), a status
	// from 400 to 599, `5xx` for all from 500 to 599, or a status of gRPC such as `UNAVAILABLE`, if the response has no
	// message. A request that an instance may have received is repeated only for GET, HEAD, OPTIONS, PUT, DELETE and TRACE,
	// and for calls of gRPC with a listed status; default connect-failure, reset
	On            []string      `yaml:"on"`
	PerTryTimeout time.Duration `yaml:"perTryTimeout"` // longest wait for the response head of each try, at least 1ms; default none
	Backoff       Backoff       `yaml:"backoff"`       // wait before each retry; default none
	// longest Retry-After that is honoured, if `on` has the status, 0s to 5m. After a 503, the instance gets no further
	// requests for that time, at most this long, within `services[].ejection.maxShare`. After a 429, the retry waits for that
	// time. A 429 that asks for more is not retried. 0s: Retry-After has no effect; default 10s
	MaxRetryAfter time.Duration `yaml:"maxRetryAfter"`
}

// Backoff is the wait before each retry.
type Backoff struct {
	Base time.Duration `yaml:"base"` // wait before the first retry, 1ms to 10s. Before each further retry it doubles. The actual wait is a random part of it, at least half; required
	Max  time.Duration `yaml:"max"`  // longest wait, from `base` to 10s; default 10 times `base`, at most 10s
}

// RetryBudget limits the retries that are in flight.
type RetryBudget struct {
	Share float64 `yaml:"share"` // share of the requests in flight of the service, 0 to 1; default 0.2
	Min   int     `yaml:"min"`   // retries that are allowed in addition to `share`, 0 to 10000; default 3
}

// DefaultRetry is the policy of a route without `retry`. It never repeats a request that an instance may have started,
// unless the method allows it.
func DefaultRetry() Retry {
	return Retry{Attempts: 2, On: []string{"connect-failure", "reset"}, MaxRetryAfter: 10 * time.Second}
}

// maxBackoff is the longest wait of a back-off, because a waiting request holds a place in the retry budget.
const maxBackoff = 10 * time.Second

func (r *Retry) fill(path string, given func(string) bool) {
	standard := DefaultRetry()
	orDefault(&r.Attempts, standard.Attempts, given(path+".attempts"))
	orDefault(&r.MaxRetryAfter, standard.MaxRetryAfter, given(path+".maxRetryAfter"))
	if !given(path + ".on") {
		r.On = standard.On
	}
	if r.Backoff.Base > 0 {
		orDefault(&r.Backoff.Max, min(10*r.Backoff.Base, maxBackoff), given(path+".backoff.max"))
	}
}

func (b *RetryBudget) fill(path string, given func(string) bool) {
	orDefault(&b.Share, guard.DefaultBudget.Share, given(path+".share"))
	orDefault(&b.Min, guard.DefaultBudget.Min, given(path+".min"))
}

// retryStatus returns the statuses that a word in `on` stands for.
func retryStatus(on string) (low, high int, ok bool) {
	if on == "5xx" {
		return 500, 599, true
	}
	s, err := strconv.Atoi(on)
	return s, s, err == nil
}

func (c *checker) retry(path string, r Retry) {
	if r.Attempts < 0 || r.Attempts > 3 {
		c.fail(path+".attempts", "want 0 to 3, got %d", r.Attempts)
	}
	if r.PerTryTimeout > 0 && r.PerTryTimeout < minRouteTimeout {
		c.fail(path+".perTryTimeout", "want at least %s, got %s", minRouteTimeout, r.PerTryTimeout)
	}
	for i, on := range r.On {
		switch on {
		case "connect-failure", "reset", "timeout":
			continue
		}
		if low, high, ok := retryStatus(on); ok && low >= 400 && high <= 599 || slices.Index(grpcStatuses, on) > 0 {
			continue
		}
		c.fail(path+".on["+strconv.Itoa(i)+"]", "%.50q: want connect-failure, reset, timeout, 5xx, a status from 400 to 599, or a status of gRPC such as UNAVAILABLE", on)
	}
	if slices.Contains(r.On, "timeout") && r.PerTryTimeout == 0 {
		c.fail(path+".perTryTimeout", "missing: retry on timeout wants it")
	}
	c.backoff(path+".backoff", r.Backoff)
	c.maxRetryAfter(path+".maxRetryAfter", r)
}

func (c *checker) backoff(path string, b Backoff) {
	if _, given := c.at[path]; !given && b == (Backoff{}) {
		return
	}
	switch {
	case b.Base == 0 && c.at[path+".base"] == 0:
		c.fail(path+".base", "missing: want 1ms to %s", maxBackoff)
	case b.Base < time.Millisecond || b.Base > maxBackoff:
		c.fail(path+".base", "want 1ms to %s, got %s", maxBackoff, b.Base)
	case b.Max < b.Base || b.Max > maxBackoff:
		c.fail(path+".max", "want %s (base) to %s, got %s", b.Base, maxBackoff, b.Max)
	}
}

func (c *checker) maxRetryAfter(path string, r Retry) {
	if t := r.MaxRetryAfter; t < 0 || t > 5*time.Minute {
		c.fail(path, "want 0s to 5m, got %s", t)
	}
	asks := slices.ContainsFunc(r.On, func(on string) bool { return on == "429" || on == "503" || on == "5xx" })
	if c.at[path] > 0 && !asks {
		c.useless(path, "has no effect: retry.on has neither 429 nor 503")
	}
}

func (c *checker) retryBudget(path string, b RetryBudget) {
	if !(b.Share >= 0 && b.Share <= 1) {
		c.fail(path+".share", "want 0 to 1, got %v", b.Share)
	}
	if b.Min < 0 || b.Min > 10_000 {
		c.fail(path+".min", "want 0 to 10000, got %d", b.Min)
	}
}

// grpcRetries refuses statuses of gRPC for a route without a service whose instances speak HTTP/2.
func (c *checker) grpcRetries(path string, r Route, services []Service) {
	if r.Retry == nil {
		return
	}
	for _, s := range services {
		used := s.ID == r.Service || slices.ContainsFunc(r.Split, func(part Split) bool { return part.Service == s.ID })
		if used && s.HTTP2() {
			return
		}
	}
	for i, on := range r.Retry.On {
		if slices.Index(grpcStatuses, on) > 0 {
			c.useless(path+".retry.on["+strconv.Itoa(i)+"]", "has no effect: no service of this route speaks HTTP/2, as gRPC does")
		}
	}
}
