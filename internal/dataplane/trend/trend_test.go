package trend

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/test/leaktest"
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
	l.Hist[upstream.HistBucket(int64(latency))].Add(uint64(requests))
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

// Quantiles were the middles of buckets: every latency between 168 and 201 ms
// was shown as 184 ms, and whatever an instance did, it was one of 96 numbers.
func TestQuantilesMoveWithinTheirBucket(t *testing.T) {
	none := [upstream.HistBuckets]uint32{}
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Float64Range(.1, 1000).Draw(t, "from ms")
		spread := rapid.Float64Range(1.2, 20).Draw(t, "times")
		const n = 2000
		var now [upstream.HistBuckets]uint32
		for i := range n { // evenly between base and base*spread
			now[upstream.HistBucket(int64(1e6*base*(1+(spread-1)*(float64(i)+.5)/n)))]++
		}
		last := 0.0
		for _, q := range []float64{0, .05, .5, .9, .95, .99, 1} {
			got, want := quantile(&now, &none, q), base*(1+(spread-1)*q)
			if got < last {
				t.Fatalf("p%v is %v, less than the one before", 100*q, got)
			}
			last = got
			if q >= .25 && q <= .75 && math.Abs(got/want-1) > .08 || math.Abs(got/want-1) > .25 {
				t.Fatalf("p%v is %v, want %v", 100*q, got, want)
			}
		}
	})
	seen := map[float64]bool{}
	for slow := range uint32(50) {
		var now [upstream.HistBuckets]uint32
		now[upstream.HistBucket(150e6)], now[upstream.HistBucket(190e6)] = 50, 50+slow
		seen[quantile(&now, &none, .5)] = true
	}
	if len(seen) < 40 {
		t.Errorf("fifty different loads have %d medians", len(seen))
	}
	var one [upstream.HistBuckets]uint32
	one[upstream.HistBucket(100e6)] = 1
	if got := quantile(&one, &none, .99); got < 85 || got > 115 {
		t.Errorf("the only latency, 100 ms, is shown as %v", got)
	}
}
