package app

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/smartlb/smartlb/internal/dataplane/guard"
)

const memoryTick = 100 * time.Millisecond // how often the memory is read, in less than a microsecond

// newMemory returns the memory of this process, nil if its limit is unknown. A setting of 0 means the limit of the
// container or, without one, the memory of the machine.
func newMemory(setting int) *guard.Memory {
	if setting > 0 {
		return guard.NewMemory(uint64(setting))
	}
	limit := uint64(math.MaxUint64)
	for _, ask := range []func() (uint64, error){memlimit.FromCgroup, memlimit.FromSystem} {
		if n, err := ask(); err == nil && n > 0 {
			limit = min(limit, n)
		}
	}
	if limit == math.MaxUint64 {
		return nil
	}
	return guard.NewMemory(limit)
}

// watchMemory reads the memory of this process until ctx ends, and lets the garbage collector keep it below
// [guard.MemoryGoal], unless the environment variable GOMEMLIMIT has set another goal.
func (a *App) watchMemory(ctx context.Context) error {
	m := a.data.memory
	if m == nil {
		<-ctx.Done()
		return nil
	}
	limit := m.Stats().Limit
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(int64(min(limit, math.MaxInt64) / 100 * guard.MemoryGoal))
		defer debug.SetMemoryLimit(math.MaxInt64)
	}
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	tick := time.NewTicker(memoryTick)
	defer tick.Stop()
	for {
		metrics.Read(samples)
		a.noteMemory(m.Observe(samples[0].Value.Uint64() - samples[1].Value.Uint64()))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// noteMemory logs changes of the pressure, and keeps the shortage of this node current.
func (a *App) noteMemory(before, now guard.Pressure) {
	if now != guard.NoPressure {
		a.data.shortage.Note("memory", a.now())
	}
	if before == now {
		return
	}
	s := a.data.memory.Stats()
	at := []any{"used_bytes", s.Used, "limit_bytes", s.Limit}
	switch now {
	case guard.Tight:
		a.o.Log.Error("little memory is left: requests of low priority are refused", at...)
	case guard.Exhausted:
		a.o.Log.Error("the memory is exhausted: new requests and connections are refused", at...)
	default:
		a.o.Log.Info("enough memory again", at...)
	}
}

// memory sends the series of the memory limit.
func (s series) memory(m guard.MemoryStats) {
	if m.Limit == 0 {
		return
	}
	s.put(familyMemoryLimit, float64(m.Limit))
	s.put(familyMemoryUsed, float64(m.Used))
	s.count(familyMemoryRefused, m.Normal, "normal")
	s.count(familyMemoryRefused, m.Low, "low")
}
