//go:build !race

package ratelimit

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
)

func TestTakeAllocatesNothing(t *testing.T) {
	r := Request{Head: fixed{}, Client: netip.MustParseAddr("10.0.0.1")}
	limits := []*Limit{New(spec("", nil), nil), New(spec("client", nil), nil), New(spec("header:X-Key", nil), nil), New(spec("cookie:sid", nil), nil)}
	at := now
	if n := testing.AllocsPerRun(1000, func() {
		at += 1e8
		Take(limits, r, at)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// fixed is a head that allocates nothing.
type fixed struct{ head }

var value = []byte("a key of thirty-two bytes, or so")

func (fixed) Header(string) ([]byte, bool) { return value, true }
func (fixed) Cookie(string) ([]byte, bool) { return value, true }

func BenchmarkTake(b *testing.B) {
	for _, by := range []string{"", "client", "header:X-Key"} {
		b.Run(fmt.Sprintf("by %q", by), func(b *testing.B) {
			limits := []*Limit{New(spec(by, func(s *Spec) { s.Keys = 1_000_000 }), nil)}
			at := now
			for b.Loop() {
				at += 1e6
				a := netip.AddrFrom4([4]byte{10, byte(at >> 28), byte(at >> 20), byte(at >> 12)})
				Take(limits, Request{Head: fixed{}, Client: a}, at)
			}
		})
	}
}

// Millions of keys cost the memory of the table, and nothing else. A key that is at its limit stays at its limit while a
// client tries millions of others.
func TestMillionsOfKeysStayWithinTheMemory(t *testing.T) {
	const keys, others = 1_000_000, 5_000_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	tb := newTable(keys)
	const busy, cost, depth = 7, 1000, 1_000_000
	now := int64(1_000_000_000)
	if ok := passed(tb, busy, now, cost, depth, 2000); ok != 1000 {
		t.Fatalf("%d requests of the busy key passed, want 1000", ok)
	}
	mixed := uint64(1)
	for range others {
		mixed = mixed*6364136223846793005 + 1442695040888963407
		tb.take(mixed, now, cost, depth)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 17*keys {
		t.Errorf("%d keys allocated %d bytes, want %d", others, used, 16*keys)
	}
	if tb.take(busy, now, cost, depth) == 0 {
		t.Error("the busy key was forgotten")
	}
	if live, evicted := tb.live(now), tb.evicted.Load(); live < keys*9/10 || live > keys || evicted < others-keys {
		t.Errorf("%d keys are live, %d were evicted", live, evicted)
	}
	if live := tb.live(now + depth); live != 0 {
		t.Errorf("%d keys are live after a pause", live)
	}
	runtime.KeepAlive(tb)
}
