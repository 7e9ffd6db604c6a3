package ratelimit

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

const (
	ways       = 8       // buckets of a set
	maxLocks   = 128     // of a table
	sampleSets = 1 << 13 // sets that live looks at
)

// table holds the buckets of many keys in fixed memory: 16 bytes for each key. A key is a hash of 64 bits with a secret seed,
// so no client can choose values that meet in one set.
//
// A key belongs to one set of eight buckets. If the set has no place, the new key takes the place of the bucket that is full
// the earliest. A bucket that is full already is equal to a new one, so forgetting it changes nothing. Forgetting another one
// gives its key a full bucket too early; evicted counts that.
type table struct {
	sets    []set
	locks   []lock
	evicted atomic.Uint64
}

type set struct {
	key   [ways]uint64 // 0: no key
	state [ways]int64  // see advance
}

// lock guards the sets whose number has the same lowest bits.
type lock struct {
	sync.Mutex
	_ [56]byte
}

// newTable returns a table for at least that many keys.
func newTable(keys int) *table {
	sets := max((keys+ways-1)/ways, 1)
	locks := 1
	for locks < maxLocks && locks < sets {
		locks *= 2
	}
	return &table{sets: make([]set, sets), locks: make([]lock, locks)}
}

// find returns the set of a key and its lock.
func (t *table) find(key uint64) (*set, *lock) {
	i, _ := bits.Mul64(key, uint64(len(t.sets)))
	return &t.sets[i], &t.locks[i&uint64(len(t.locks)-1)]
}

// take takes a token from the bucket of a key, as advance does.
func (t *table) take(key uint64, now, cost, depth int64) (wait int64) {
	s, l := t.find(key)
	l.Lock()
	defer l.Unlock()
	at, known := s.place(key)
	state := s.state[at]
	if !known {
		if state > now {
			t.evicted.Add(1)
		}
		state = 0
	}
	s.key[at] = key
	s.state[at], wait = advance(state, now, cost, depth)
	return wait
}

// place returns the place of a key, or the one that a new key gets: that of the bucket that is full the earliest. A place
// without a key has the state 0.
func (s *set) place(key uint64) (at int, known bool) {
	for i, k := range s.key {
		if k == key {
			return i, true
		}
		if s.state[i] < s.state[at] {
			at = i
		}
	}
	return at, false
}

// giveBack returns a token that cost that much. A key that was forgotten in the meantime has a full bucket already.
func (t *table) giveBack(key uint64, cost int64) {
	s, l := t.find(key)
	l.Lock()
	defer l.Unlock()
	if at, known := s.place(key); known {
		s.state[at] -= cost
	}
}

// live returns how many keys have a bucket that is not full. In a table of more than 65,536 keys it is an estimate from every
// n-th set.
func (t *table) live(now int64) int {
	step := (len(t.sets) + sampleSets - 1) / sampleSets
	seen, live := 0, 0
	for i := 0; i < len(t.sets); i += step {
		seen++
		live += t.liveIn(i, now)
	}
	return live * len(t.sets) / seen
}

func (t *table) liveIn(i int, now int64) (n int) {
	l := &t.locks[i&(len(t.locks)-1)]
	l.Lock()
	defer l.Unlock()
	for _, state := range t.sets[i].state {
		if state > now {
			n++
		}
	}
	return n
}
