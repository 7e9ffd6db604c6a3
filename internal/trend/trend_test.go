package trend

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/leaktest"
	"github.com/smartlb/smartlb/internal/upstream"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

type lives []*upstream.Live

func (l lives) EachLive(f func(*upstream.Live, map[string]string)) {
	for _, one := range l {
		f(one, nil)
	}
}

func (l lives) EachCost(func(*upstream.Member, upstream.Candidate)) {}

func add(l *upstream.Live, requests, errors int, latency time.Duration) {
	l.Requests.Add(uint64(requests))
	l.Errors.Add(uint64(errors))
	l.Hist[upstream.HistBucket(int64(latency))].Add(uint32(requests))
}

func TestHistoryIsWhatWasCountedSecondBySecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr, l := New(), upstream.NewLive("s", "i", "a:1", 1, 0)
		var want []float32
		for range rapid.IntRange(1, 2*Seconds).Draw(t, "seconds") {
			n := rapid.IntRange(0, 50).Draw(t, "requests")
			add(l, n, n/2, time.Millisecond)
			tr.Sample(lives{l})
			want = append(want, float32(n))
		}
		s, ok := tr.Of(l)
		want = want[max(0, len(want)-Seconds):]
		if !ok || len(s.Requests) != len(want) || len(s.Errors) != len(want) {
			t.Fatalf("%d seconds, want %d", len(s.Requests), len(want))
		}
		sum, n := float32(0), float32(0)
		for i := range want {
			if s.Requests[i] != want[i] {
				t.Fatalf("second %d: %v, want %v", i, s.Requests[i], want[i])
			}
			if i >= len(want)-window {
				sum, n = sum+want[i], n+1
			}
		}
		if got := float32(s.Rate); got < sum/n*.999 || got > sum/n*1.001 {
			t.Fatalf("rate %v, want %v", got, sum/n)
		}
	})
}

func TestQuantilesAreOfTheLastTenSeconds(t *testing.T) {
	tr, l := New(), upstream.NewLive("s", "i", "a:1", 1, 0)
	if _, ok := tr.Of(l); ok {
		t.Error("a summary before the first second")
	}
	for range 30 { // slow, long ago
		add(l, 100, 0, time.Second)
		tr.Sample(lives{l})
	}
	for range window {
		add(l, 94, 0, time.Millisecond)
		add(l, 4, 0, 20*time.Millisecond)
		add(l, 2, 2, 100*time.Millisecond)
		tr.Sample(lives{l})
	}
	s, _ := tr.Of(l)
	for _, q := range []struct {
		name      string
		got, want float64
	}{{"p50", s.P50, 1}, {"p95", s.P95, 20}, {"p99", s.P99, 100}} {
		if q.got < .87*q.want || q.got > 1.13*q.want {
			t.Errorf("%s is %.2f ms, want %.0f", q.name, q.got, q.want)
		}
	}
	if s.Rate != 100 || s.ErrorRate != .02 {
		t.Errorf("rate %v, errors %v", s.Rate, s.ErrorRate)
	}
}

func TestWhatLeftIsForgottenAndRunSamplesEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, l, gone := New(), upstream.NewLive("s", "i", "a:1", 1, 0), upstream.NewLive("s", "j", "a:2", 1, 0)
		tr.Sample(lives{l, gone})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- tr.Run(ctx, lives{l}) }()
		time.Sleep(5*time.Second + time.Millisecond)
		synctest.Wait()
		if s, ok := tr.Of(l); !ok || len(s.Requests) != 6 {
			t.Errorf("%d points after five seconds, want 6", len(s.Requests))
		}
		if _, ok := tr.Of(gone); ok {
			t.Error("an instance that left is remembered")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
