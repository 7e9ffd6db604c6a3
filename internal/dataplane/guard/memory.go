package guard

import "sync/atomic"

// Pressure says which requests the memory of this process still allows.
type Pressure uint32

// The pressures.
const (
	NoPressure Pressure = iota
	Tight               // requests of low priority are refused
	Exhausted           // all new requests and connections are refused
)

// The marks, in percent of the limit. A pressure ends memoryRelief below the mark at which it began, so that it does not
// change with every request. MemoryGoal is where the garbage collector should keep the memory, below both marks and their
// ends: memory above it is in use.
const (
	MemoryGoal   = 75
	tightAt      = 85
	exhaustedAt  = 95
	memoryRelief = 5
)

// next returns the pressure after p, with used of limit bytes in use.
func (p Pressure) next(used, limit uint64) Pressure {
	share := float64(used) / float64(limit)
	switch {
	case share >= exhaustedAt/100., p == Exhausted && share >= (exhaustedAt-memoryRelief)/100.:
		return Exhausted
	case share >= tightAt/100., p != NoPressure && share >= (tightAt-memoryRelief)/100.:
		return Tight
	}
	return NoPressure
}

// Memory compares the memory of this process with its limit. A nil *Memory has no limit. It is safe for concurrent use by
// many readers and one goroutine that calls Observe.
type Memory struct {
	limit    uint64
	used     atomic.Uint64
	pressure atomic.Uint32
	refused  [priorities]atomic.Uint64
}

// NewMemory returns the memory of a process that may use limit bytes, above 0.
func NewMemory(limit uint64) *Memory { return &Memory{limit: limit} }

// Observe takes the bytes in use, and returns the pressure before and now.
func (m *Memory) Observe(used uint64) (before, now Pressure) {
	before = Pressure(m.pressure.Load())
	now = before.next(used, m.limit)
	m.used.Store(used)
	m.pressure.Store(uint32(now))
	return before, now
}

// Pressure returns the pressure of the last Observe.
func (m *Memory) Pressure() Pressure {
	if m == nil {
		return NoPressure
	}
	return Pressure(m.pressure.Load())
}

// Refuses reports whether a new request of this priority is refused, and counts it if so.
func (m *Memory) Refuses(p Priority) bool {
	if at := m.Pressure(); at == NoPressure || at == Tight && p == Normal {
		return false
	}
	m.refused[p].Add(1)
	return true
}

// MemoryStats is what a Memory has seen.
type MemoryStats struct {
	Limit, Used uint64 // bytes
	Pressure    Pressure
	Normal, Low uint64 // refused requests of this priority
}

// Stats returns what m has seen, zeros for nil.
func (m *Memory) Stats() MemoryStats {
	if m == nil {
		return MemoryStats{}
	}
	return MemoryStats{Limit: m.limit, Used: m.used.Load(), Pressure: m.Pressure(), Normal: m.refused[Normal].Load(), Low: m.refused[Low].Load()}
}
