package forwardauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// Settings of a Check.
type Settings struct {
	Route   string        // name of the route
	URL     string        // of the service
	Pass    []string      // names of request fields that the service gets, in addition to Authorization and Cookie
	Take    []string      // names of the fields of an answer whose values Answer.Values has
	Give    []string      // names of the fields of an answer that admits, for the response to the client
	Timeout time.Duration // from the question to the end of the answer
	Open    bool          // a request goes on if the service fails
	Client  *Client
	Counts  *Counts
}

// Check asks the service of one route. It is immutable.
type Check struct {
	Settings
	pass []passed
	give []string // Settings.Give in the spelling of http.Header, and Connection; nil: none
}

// passed is a field that the service gets: its name in lower case, and in the spelling of http.Header.
type passed struct{ lower, key string }

// New returns a check.
func New(s Settings) *Check {
	c := &Check{Settings: s}
	for _, name := range append([]string{"Authorization", "Cookie"}, s.Pass...) {
		c.pass = append(c.pass, passed{strings.ToLower(name), http.CanonicalHeaderKey(name)})
	}
	for _, name := range s.Give {
		c.give = append(c.give, http.CanonicalHeaderKey(name))
	}
	if c.give != nil {
		c.give = append(c.give, "Connection") // names fields that do not cross a proxy
	}
	return c
}

// Add adds a field of the request to the fields that the service gets, if it is one of those that it gets.
func (c *Check) Add(fields http.Header, name, value []byte) {
	for _, p := range c.pass {
		if !h1.EqualFold(name, p.lower) {
			continue
		}
		if had := fields[p.key]; p.key == "Cookie" && len(had) > 0 { // HTTP/2 may split it (RFC 9113 §8.2.3)
			had[0] += "; " + string(value)
		} else {
			fields[p.key] = append(had, string(value))
		}
		return
	}
}

// Result says how a question ended.
type Result uint8

// The results.
const (
	Admitted   Result = iota // the service answered with 2xx
	Refused                  // with 3xx or 4xx
	Failed                   // with 5xx, or not with a valid answer of the allowed size
	TimedOut                 // not in time
	Busy                     // not asked: too many requests of the route wait for the service
	Left                     // the client left, its own time ended, or the proxy stops
	NumResults = int(iota)
)

var resultWords = [NumResults]string{"admitted", "refused", "failed", "timeout", "busy", "left"}

func (r Result) String() string { return resultWords[r] }

// Counts is what the checks of a route count. The zero value is ready to use. It is safe for concurrent use.
type Counts struct {
	results [NumResults]atomic.Uint64
	waiting atomic.Int64
	logged  atomic.Int64 // Unix nanoseconds of the last line about a failure
}

// Results returns how many questions ended with r.
func (n *Counts) Results(r Result) uint64 { return n.results[r].Load() }

// Waiting returns how many requests wait for the service.
func (n *Counts) Waiting() int64 { return n.waiting.Load() }

const (
	maxWaiting = 1000     // requests of a route that wait for the service
	maxBody    = 64 << 10 // bytes of the body of an answer that the client gets
	maxDrained = 4 << 10  // bytes of the body of an answer that admits, read so that the connection can be used again
)

// Answer is what the service answered.
type Answer struct {
	Status int
	Values []string    // of Settings.Take, "" for missing fields; only if it admits the request
	Header http.Header // if it admits the request, only the fields of Settings.Give and Connection; nil if it has none of the former
	Body   []byte      // only if it does not
}

// Ask asks the service about a request with these fields. It blocks until the answer is there, for at most limit, or until ctx
// ends, which is Left. So is the end of a limit below Settings.Timeout. The answer is nil if there is none that a client could get.
func (c *Check) Ask(ctx context.Context, fields http.Header, limit time.Duration) (*Answer, Result) {
	n := c.Counts
	defer n.waiting.Add(-1)
	if n.waiting.Add(1) > maxWaiting {
		n.results[Busy].Add(1)
		return nil, Busy
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer, err := c.ask(within, fields)
	result := Admitted
	switch {
	case err == nil && answer.Status >= 300:
		result = Refused
	case err == nil:
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded) && limit < c.Timeout: // the service had less than its time
		result = Left
	case errors.Is(err, context.DeadlineExceeded):
		result = TimedOut
	default:
		result = Failed
	}
	n.results[result].Add(1)
	if result == Failed || result == TimedOut {
		c.warn(err)
	}
	return answer, result
}

// ask returns an error for each answer that neither admits nor refuses. An answer with 5xx is returned with its error.
func (c *Check) ask(ctx context.Context, fields http.Header) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return nil, err
	}
	req.Header = fields
	res, err := c.Client.transport.RoundTrip(req) // no redirects: the client follows them
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	a := &Answer{Status: res.StatusCode}
	switch {
	case a.Status < 200 || a.Status > 599:
		return nil, fmt.Errorf("answered with status %d", a.Status)
	case a.Status < 300:
		a.Values = make([]string, len(c.Take))
		for i, name := range c.Take {
			a.Values[i] = strings.Join(res.Header.Values(name), ",")
		}
		a.Header = c.given(res.Header)
		_, _ = io.CopyN(io.Discard, res.Body, maxDrained)
		return a, nil
	}
	a.Header = res.Header
	if a.Body, err = io.ReadAll(io.LimitReader(res.Body, maxBody+1)); err != nil {
		return nil, fmt.Errorf("read the body of the answer: %w", err)
	}
	if len(a.Body) > maxBody {
		return nil, fmt.Errorf("the body of the answer has more than %d KiB", maxBody>>10)
	}
	if a.Status >= 500 {
		return a, fmt.Errorf("answered with status %d", a.Status)
	}
	return a, nil
}

// given returns the fields of an answer that are for the client.
func (c *Check) given(all http.Header) http.Header {
	var out http.Header
	for _, name := range c.give {
		values := all[name]
		if len(values) == 0 || out == nil && name == "Connection" {
			continue
		}
		if out == nil {
			out = http.Header{}
		}
		out[name] = values
	}
	return out
}

// warn logs a failure, at most every 10 s for a route.
func (c *Check) warn(err error) {
	now, last := time.Now().UnixNano(), c.Counts.logged.Load()
	if now-last < int64(logPace) || !c.Counts.logged.CompareAndSwap(last, now) {
		return
	}
	c.Client.log.Warn("authentication service failed", "route", c.Route, "url", c.URL, "fail_open", c.Open, "error", err)
}
