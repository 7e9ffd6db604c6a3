package quota

import (
	"errors"
	"sync"
)

// Errors of Take.
var (
	ErrFull  = errors.New("all are in use")              // used by all parties together
	ErrShare = errors.New("the party's share is in use") // other parties would still get a unit
)

// Quota counts units in use. It is safe for concurrent use.
type Quota struct {
	most, each int

	mu      sync.Mutex
	held    map[string]int // by party; no entry: none
	total   int
	refused Refused
}

// Refused counts refused units.
type Refused struct{ Full, Share uint64 }

// New returns a quota of at most most units in total and at most each units per party.
func New(most, each int) *Quota { return &Quota{most: most, each: each, held: map[string]int{}} }

// Take takes one unit for a party. The unit is in use until release is called; release may be called more than once.
// With shared, the party stands for many clients (a proxy, the nodes of a fleet), and only the total limits it. The
// error is ErrFull or ErrShare.
func (q *Quota) Take(party string, shared bool) (release func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.held[party]
	switch {
	case q.total >= q.most:
		q.refused.Full++
		return nil, ErrFull
	case !shared && (n >= q.each || q.most-q.total <= n):
		q.refused.Share++
		return nil, ErrShare
	}
	q.held[party]++
	q.total++
	return sync.OnceFunc(func() { q.give(party) }), nil
}

func (q *Quota) give(party string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total--
	if q.held[party]--; q.held[party] == 0 {
		delete(q.held, party)
	}
}

// Stats returns how many units are in use, and how many were refused so far.
func (q *Quota) Stats() (inUse int, refused Refused) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total, q.refused
}
