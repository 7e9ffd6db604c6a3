package trend

import "time"

// Limits of the events recorded per instance.
const (
	Probes    = 60 // latest results of its health check
	Standings = 20 // latest changes of its standing
)

// Probe is the result of one health check.
type Probe struct {
	At     time.Time
	Took   time.Duration
	OK     bool
	Event  bool // requested because a connection broke
	Status int
	Detail string // of a failed check: the answer, or why there was no answer
}

// Standing is one change of an instance's state: in, ejected, draining, ...
type Standing struct {
	At       time.Time
	From, To string
	Reason   string
	Until    time.Time // of an ejection
}

type events struct {
	probes    []Probe
	standings []Standing
}

// Probed records a result. It waits only for concurrent callers.
func (t *Trend) Probed(service, instance string, p Probe) {
	if p.OK {
		p.Detail = "" // a passing check would store the same text thousands of times
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.of(service, instance)
	e.probes = pushed(e.probes, p, Probes)
}

// Changed records a change of standing.
func (t *Trend) Changed(service, instance string, s Standing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.of(service, instance)
	e.standings = pushed(e.standings, s, Standings)
}

// Events returns the recorded events of an instance, oldest first.
func (t *Trend) Events(service, instance string) ([]Probe, []Standing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.happened[[2]string{service, instance}]
	if e == nil {
		return nil, nil
	}
	return append([]Probe(nil), e.probes...), append([]Standing(nil), e.standings...)
}

func (t *Trend) of(service, instance string) *events {
	key := [2]string{service, instance}
	e := t.happened[key]
	if e == nil {
		e = &events{}
		t.happened[key] = e
	}
	return e
}

// pushed appends v and removes the oldest element if the list is at its limit.
func pushed[T any](list []T, v T, limit int) []T {
	if len(list) < limit {
		return append(list, v)
	}
	copy(list, list[1:])
	list[limit-1] = v
	return list
}
