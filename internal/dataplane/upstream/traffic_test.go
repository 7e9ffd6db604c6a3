package upstream

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestTrafficCountsWhatEnded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		traffic := NewTraffic("r")
		var want Totals
		var durations uint64
		for range rapid.IntRange(0, 30).Draw(t, "requests") {
			e := Ending{
				Status: rapid.SampledFrom([]int{0, 101, 200, 304, 404, 499, 503, 999}).Draw(t, "status"), DurationNs: rapid.Int64Range(0, 1e12).Draw(t, "ns"),
				BytesIn: rapid.Int64Range(0, 9).Draw(t, "in"), BytesOut: rapid.Int64Range(0, 9).Draw(t, "out"),
				Failure: rapid.Uint8Range(0, 5).Draw(t, "failure"), Tunnel: rapid.Bool().Draw(t, "tunnel"),
			}
			traffic.Count(rapid.IntRange(0, 20).Draw(t, "shard"), e)
			class := e.Status / 100
			if class > 5 {
				class = 0
			}
			want.Requests[class]++
			want.BytesIn += uint64(e.BytesIn)
			want.BytesOut += uint64(e.BytesOut)
			for range rapid.IntRange(0, 3).Draw(t, "retries") {
				reason := rapid.Uint8Range(0, RetryKinds-1).Draw(t, "reason")
				traffic.Retried(reason)
				want.Retries[reason]++
			}
			if e.Failure != 0 {
				want.Failures[e.Failure]++
			}
			if !e.Tunnel {
				durations++
			}
		}
		if got := traffic.Load(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if d := traffic.Duration.Load(); d.Count() != durations {
			t.Errorf("%d durations, want %d", d.Count(), durations)
		}
	})
}

func TestCountAllocatesNothing(t *testing.T) {
	traffic := NewTraffic("r")
	if n := testing.AllocsPerRun(1000, func() {
		traffic.Count(3, Ending{Status: 200, DurationNs: 5e6, BytesIn: 1, BytesOut: 2, Failure: 2})
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestARouteThatReturnsCountsOn(t *testing.T) {
	s := NewService("s")
	s.Traffic("a").Count(0, Ending{Status: 200})
	s.ForgetRoutes(func(string) bool { return false })
	if n := s.Traffic("a").Load().Requests[2]; n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestFormerRoutesAreBounded(t *testing.T) {
	s := NewService("s")
	for revision := range 1000 {
		now := fmt.Sprint("r", revision)
		s.Traffic(now)
		s.Traffic("stays").Count(0, Ending{Status: 200})
		s.ForgetRoutes(func(route string) bool { return route == now || route == "stays" })
		if n := len(s.Traffics()); n > maxFormerRoutes+2 {
			t.Fatalf("%d routes are kept", n)
		}
	}
	if n := s.Traffic("stays").Load().Requests[2]; n != 1000 {
		t.Errorf("%d requests of the route that stays, want 1000", n)
	}
}

func BenchmarkCount(b *testing.B) {
	traffic := NewTraffic("r")
	ns := int64(5e6)
	for b.Loop() {
		traffic.Count(3, Ending{Status: 200, DurationNs: ns, BytesOut: 1000})
		ns = ns*5%1e9 + 1
	}
}
