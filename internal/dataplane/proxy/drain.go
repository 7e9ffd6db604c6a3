package proxy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// CutError says what Drain cut when its context ended.
type CutError struct {
	Requests  int            // in flight, including tunnels
	Tunnels   int            // of Requests
	Idle      int            // connections without a request
	ByService map[string]int // of Requests; "" counts requests that had no instance yet
	err       error
}

func (e *CutError) Error() string {
	return fmt.Sprintf("drain: %d requests cut (%s): %v", e.Requests, e.Services(), e.err)
}

func (e *CutError) Unwrap() error { return e.err }

// Services lists the number of cut requests per service: "carts 1, users 3".
func (e *CutError) Services() string {
	var out []string
	for _, s := range slices.Sorted(maps.Keys(e.ByService)) {
		name := s
		if name == "" {
			name = "no instance"
		}
		out = append(out, fmt.Sprintf("%s %d", name, e.ByService[s]))
	}
	return strings.Join(out, ", ")
}

// Drain stops accepting, ends idle client connections and lets requests finish; their replies carry Connection: close.
// It blocks until the last request has finished. If ctx ends first, Drain cuts the remaining connections and returns a
// *CutError. Run continues until its own context ends.
func (p *Proxy) Drain(ctx context.Context) error {
	p.draining.Store(true)
	p.closeListeners()
	p.acceptors.Wait() // a connection that was accepted before is among those that the loop counts
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for {
		n := 0
		p.conns.each(func(c *conn) { n++; c.drain() })
		if n == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return p.cut(ctx.Err())
		case <-tick.C:
		}
	}
}

// HandOver is Drain for a process whose listening sockets another process has too. No client can tell from outside that
// this process stops, so a client may be sending a request on a connection that is idle here. Such connections may make
// one more request, whose reply carries Connection: close, for at most idle. Then they end as in Drain. A connection of
// HTTP/2 is told at once to make further requests elsewhere, which loses none.
func (p *Proxy) HandOver(ctx context.Context, idle time.Duration) error {
	p.patient.Store(true)
	timer := time.AfterFunc(idle, func() { p.patient.Store(false) })
	defer timer.Stop()
	return p.Drain(ctx)
}

// cut ends every connection and counts the requests on them.
func (p *Proxy) cut(why error) error {
	e := &CutError{ByService: map[string]int{}, err: why}
	p.conns.eachExchange(func(c *conn) {
		if service, busy := c.busyWith(); busy {
			e.Requests++
			e.ByService[service]++
			if c.tunnelling.Load() {
				e.Tunnels++
			}
		} else if s := c.session.Load(); s == nil || s.streams.len() == 0 {
			e.Idle++
		}
	})
	p.conns.each(func(c *conn) { c.cutNow() }) // after the count: the end of a session ends its requests
	return e
}

const drainTick = 10 * time.Millisecond // how often Drain checks; a stop is not a hot path
