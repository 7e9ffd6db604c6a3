package picker

import (
	"math"
	"slices"
	"sort"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Points on the ring for an instance of weight 1. With 640, shares of the weights 5:1:1 are within 3 points for all of 150
// sets of names; with 160, for 146 of them. A large pool has fewer points, because its ring would need megabytes.
const (
	ringPoints      = 640
	ringPointsLarge = 160
	largeRing       = 1000 // sum of the weights
)

// RingHash sends equal keys to the same instance. Each instance owns points on a ring of hashes, and a key goes to the
// next point (consistent hashing, Karger et al., STOC 1997). When one of n instances leaves, only its keys move.
type RingHash struct {
	points []point
	share  weightShares
}

type point struct {
	hash uint64
	at   int32
}

// NewRingHash builds the ring in O(points · log points).
func NewRingHash(p *upstream.Pool) *RingHash {
	r := &RingHash{share: weightSharesOf(p)}
	points, sum := ringPoints, 0.0
	for i := range p.Members { // of all: an ejection must not move other keys
		sum += p.Members[i].Weight
	}
	if sum > largeRing {
		points = ringPointsLarge
	}
	for _, at := range p.Live {
		m := &p.Members[at]
		seed := upstream.Hash([]byte(m.Instance))
		for i := range max(1, int(math.Round(float64(points)*m.Weight))) {
			r.points = append(r.points, point{upstream.Mix(seed + uint64(i)*0x9E3779B97F4A7C15), at})
		}
	}
	slices.SortFunc(r.points, func(a, b point) int {
		if a.hash < b.hash {
			return -1
		}
		return 1
	})
	return r
}

// WantsHash implements [upstream.Hasher].
func (*RingHash) WantsHash() {}

// Choose implements [upstream.Policy] in O(log points).
func (r *RingHash) Choose(pool *upstream.Pool, a *upstream.Ask) int {
	n := len(r.points)
	from := sort.Search(n, func(i int) bool { return r.points[i].hash >= a.Hash })
	first := int32(-1)
	for i := range n {
		at := r.points[(from+i)%n].at
		if a.WasTried(pool.Members[at].Live) {
			continue
		}
		if r.share.room(pool, a, at) {
			return hashed(pool, a, at)
		}
		if first < 0 {
			first = at
		}
	}
	return full(pool, a, first)
}

// MinBalanceFactor and MaxBalanceFactor bound the limit of the load with hashes, in percent.
const (
	MinBalanceFactor = 101
	MaxBalanceFactor = 1000
)

// weightShares are the weights of the members relative to the sum of those that may be picked.
type weightShares []float64

func weightSharesOf(p *upstream.Pool) weightShares {
	s, sum := make(weightShares, len(p.Members)), 0.0
	for _, at := range p.Live {
		sum += p.Members[at].Weight
	}
	for _, at := range p.Live {
		s[at] = p.Members[at].Weight / sum
	}
	return s
}

// room reports whether a member has room for one more request: it has fewer requests in flight than the pool's factor
// times its share of all (consistent hashing with bounded loads, Mirrokni et al., SODA 2018).
func (s weightShares) room(pool *upstream.Pool, a *upstream.Ask, at int32) bool {
	if pool.HashBalance == 0 {
		return true
	}
	limit := math.Ceil(pool.HashBalance * float64(a.Active) * s[at])
	return float64(pool.Members[at].InFlight.Load()) < max(1, limit)
}

// full takes the request to the first member in the order of the key although it has no room: no member has. It returns
// -1 if at is -1.
func full(pool *upstream.Pool, a *upstream.Ask, at int32) int {
	if at < 0 {
		return -1
	}
	return hashed(pool, a, at)
}

func hashed(pool *upstream.Pool, a *upstream.Ask, at int32) int {
	a.Trace.Reason = "hash"
	a.Trace.Add(upstream.Candidate{Index: at, InFlight: int32(pool.Members[at].InFlight.Load())})
	return int(at)
}

// maglevSize is the prime table size from the paper: about 1 % imbalance for up to 650 instances.
const maglevSize = 65537

// Maglev sends equal keys to the same instance with one table look-up. Instances take turns to fill the table, each
// along its own permutation (Eisenbud et al., Maglev, NSDI 2016, §3.4). It is more even than a ring, but moves slightly
// more keys when the set changes.
type Maglev struct {
	table []int32
	share weightShares
}

// NewMaglev fills the table in expected O(size · log size).
func NewMaglev(p *upstream.Pool) *Maglev {
	n := len(p.Live)
	table := make([]int32, maglevSize)
	for i := range table {
		table[i] = -1
	}
	type walk struct {
		at           int32
		offset, skip uint64
		step         uint64
		credit, gain float64
	}
	walks := make([]walk, n)
	heaviest := 0.0
	for i, at := range p.Live {
		m := &p.Members[at]
		h := upstream.Hash([]byte(m.Instance))
		walks[i] = walk{at: at, offset: h % maglevSize, skip: upstream.Mix(h)%(maglevSize-1) + 1, gain: m.Weight}
		heaviest = max(heaviest, m.Weight)
	}
	for filled := 0; filled < maglevSize; {
		for i := range walks {
			w := &walks[i]
			// A lighter instance skips turns in proportion to its weight.
			if w.credit += w.gain / heaviest; w.credit < 1 {
				continue
			}
			w.credit--
			for {
				slot := (w.offset + w.step*w.skip) % maglevSize
				w.step++
				if table[slot] < 0 {
					table[slot] = w.at
					filled++
					break
				}
			}
			if filled == maglevSize {
				break
			}
		}
	}
	return &Maglev{table: table, share: weightSharesOf(p)}
}

// WantsHash implements [upstream.Hasher].
func (*Maglev) WantsHash() {}

// Choose implements [upstream.Policy] in O(1). A retry, and a key of a member without room, looks up other keys.
func (m *Maglev) Choose(pool *upstream.Pool, a *upstream.Ask) int {
	h, first := a.Hash, int32(-1)
	next := func(at int32) bool {
		if a.WasTried(pool.Members[at].Live) {
			return false
		}
		if first < 0 {
			first = at
		}
		return m.share.room(pool, a, at)
	}
	for range 64 {
		if at := m.table[h%maglevSize]; next(at) {
			return hashed(pool, a, at)
		}
		h = upstream.Mix(h + 0x9E3779B97F4A7C15)
	}
	for _, at := range pool.Live {
		if next(at) {
			return hashed(pool, a, at)
		}
	}
	return full(pool, a, first)
}
