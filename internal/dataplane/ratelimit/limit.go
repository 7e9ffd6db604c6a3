package ratelimit

import (
	"fmt"
	"sync/atomic"
	"time"
)

// ID names a limit in a configuration. Either Route or Service is set.
type ID struct{ Route, Service, Name string }

// String returns the id as one text. No part has a slash.
func (id ID) String() string {
	if id.Service != "" {
		return "service/" + id.Service + "/" + id.Name
	}
	return "route/" + id.Route + "/" + id.Name
}

// Spec is what a configuration says about a limit.
type Spec struct {
	ID     ID
	Count  int           // requests in Per, at least 1
	Per    time.Duration // 1s, 1m or 1h
	Burst  int           // tokens of a full bucket, at least 1
	By     By
	Keys   int  // buckets of a limit with keys; without keys it has one
	Fleet  bool // the nodes share the limit, see SetShare
	DryRun bool // requests are counted, none is refused
}

// Step returns the time in which a token comes back.
func (s Spec) Step() time.Duration { return max(s.Per/time.Duration(s.Count), 1) }

// Limit is a rate limit with its buckets. Create it with New.
type Limit struct {
	Spec
	Policy string // item of the field RateLimit-Policy
	Text   string // of the reply to a request that is refused

	depth  int64
	cost   atomic.Int64
	one    atomic.Int64 // the bucket of a limit without keys
	hasher hasher
	table  *table // nil: without keys
	counts *counts
	former uint64 // buckets that former tables evicted
}

// counts outlive a change of the settings.
type counts struct {
	refused [2]atomic.Uint64 // enforced, dry run
	offered atomic.Uint64    // of a limit of the fleet
}

// New returns a limit. If before has a limit with the same settings, New returns that one with its buckets. A limit whose
// settings changed starts with full buckets and goes on counting.
func New(s Spec, before map[ID]*Limit) *Limit {
	old := before[s.ID]
	if old != nil && old.Spec == s {
		return old
	}
	l := &Limit{Spec: s, depth: int64(s.Burst) * int64(s.Step()), hasher: newHasher(), counts: new(counts)}
	l.Policy = fmt.Sprintf(`"%s";q=%d;w=%d`, s.ID.Name, s.Count, s.Per/time.Second)
	l.Text = fmt.Sprintf("the rate limit %s allows %d requests per %s", s.ID.Name, s.Count, unit(s.Per))
	l.SetShare(1)
	if s.By.Kind != Whole {
		l.table = newTable(s.Keys)
	}
	if old != nil {
		l.counts = old.counts
		l.former = old.evicted()
		if s.Fleet && old.Fleet {
			l.SetShare(old.Share())
		}
	}
	return l
}

func unit(per time.Duration) string {
	switch per {
	case time.Minute:
		return "minute"
	case time.Hour:
		return "hour"
	}
	return "second"
}

// minShare bounds the time in which a token comes back.
const minShare = 1e-4

// SetShare sets the part of the limit that this node allows, above 0 and at most 1. It applies to rate and burst; a bucket
// holds at least one token.
func (l *Limit) SetShare(share float64) {
	share = min(max(share, minShare), 1)
	l.cost.Store(int64(float64(l.Step()) / share))
}

// Share returns the part of the limit that this node allows.
func (l *Limit) Share() float64 { return float64(l.Step()) / float64(l.cost.Load()) }

// take asks for a token. It returns how long to wait for one, 0 if it was taken, and what giveBack needs.
func (l *Limit) take(r Request, now int64) (wait int64, t token) {
	t = token{limit: l, cost: l.cost.Load()}
	if l.Fleet {
		l.counts.offered.Add(1)
	}
	if l.table != nil {
		t.key = l.hasher.key(l.By, r)
		return l.table.take(t.key, now, t.cost, l.depth), t
	}
	for {
		state := l.one.Load()
		next, wait := advance(state, now, t.cost, l.depth)
		if next == state || l.one.CompareAndSwap(state, next) {
			return wait, t
		}
	}
}

// token is a token that was taken.
type token struct {
	limit *Limit
	key   uint64
	cost  int64
}

func (t *token) giveBack() {
	if t.limit.table == nil {
		t.limit.one.Add(-t.cost)
		return
	}
	t.limit.table.giveBack(t.key, t.cost)
}

// MaxPerRequest is the number of limits that a request may have.
const MaxPerRequest = 16

// Take asks each limit for a token, in order. It returns the first limit that refuses the request, and how long to wait for a
// token of it; nil if none does. A request that is refused takes no token of any limit. A limit in dry run refuses none. At
// most MaxPerRequest limits count.
func Take(limits []*Limit, r Request, now int64) (refused *Limit, wait time.Duration) {
	var taken [MaxPerRequest]token
	n := 0
	for _, l := range limits[:min(len(limits), MaxPerRequest)] {
		wait, t := l.take(r, now)
		switch {
		case wait == 0:
			taken[n] = t
			n++
			continue
		case l.DryRun:
			l.counts.refused[1].Add(1)
			continue
		}
		l.counts.refused[0].Add(1)
		for i := range taken[:n] {
			taken[i].giveBack()
		}
		return l, time.Duration(wait)
	}
	return nil, 0
}

// Stats is a copy of the counters of a limit.
type Stats struct {
	Enforced, DryRun uint64 // requests that were refused, and that would have been
	Keys             int    // with a bucket that is not full
	Evicted          uint64 // buckets that were forgotten before they were full
	Share            float64
}

// Stats returns the counters, since the limit exists, and the state of the buckets.
func (l *Limit) Stats(now int64) Stats {
	c := l.counts
	out := Stats{Enforced: c.refused[0].Load(), DryRun: c.refused[1].Load(), Evicted: l.evicted(), Share: l.Share()}
	switch {
	case l.table != nil:
		out.Keys = l.table.live(now)
	case l.one.Load() > now:
		out.Keys = 1
	}
	return out
}

// evicted returns how many buckets were forgotten before they were full.
func (l *Limit) evicted() uint64 {
	if l.table == nil {
		return l.former
	}
	return l.former + l.table.evicted.Load()
}

// Offered returns how many requests asked a limit of the fleet for a token, also those that were refused.
func (l *Limit) Offered() uint64 { return l.counts.offered.Load() }
