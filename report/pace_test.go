package report

import (
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// seconds lets requests happen each second, half a second before the reporter looks.
func seconds(_ *Reporter, n int, each func(second int)) {
	for s := range n {
		each(s)
		time.Sleep(time.Second)
		synctest.Wait()
	}
}

func observe(r *Reporter, n, failed int) {
	for i := range n {
		r.Observe(20*time.Millisecond, i < failed)
	}
}

func TestSteadyLoadIsReportedLessAndLessOften(t *testing.T) {
	busy := func() float64 { return .4 }
	running(t, func(c *Config) { c.Utilization = busy }, func(r *Reporter, m *memory) {
		seconds(r, 150, func(s int) { observe(r, 95+s%10, 1) })
		got := m.reports()
		if n := len(got); n < 6 || n > 12 {
			t.Errorf("%d reports of 150 steady seconds, want about eight", n)
		}
		longest := time.Duration(0)
		for i := 1; i < len(got); i++ {
			gap := got[i].Time.Sub(got[i-1].Time)
			if before := max(longest, time.Second); gap > 2*before {
				t.Errorf("a pause of %v after one of %v: readers believe a report for three pauses", gap, before)
			}
			longest = max(longest, gap)
		}
		if longest != 30*time.Second {
			t.Errorf("the longest pause was %v, want 30 s", longest)
		}
	})
}

func TestChangesAreReportedWithinASecond(t *testing.T) {
	for name, change := range map[string]func(r *Reporter, busy *atomic.Value){
		"errors":       func(r *Reporter, _ *atomic.Value) { observe(r, 50, 25) },
		"more load":    func(r *Reporter, _ *atomic.Value) { observe(r, 200, 0) },
		"no load":      func(*Reporter, *atomic.Value) {},
		"busier":       func(r *Reporter, busy *atomic.Value) { observe(r, 50, 0); busy.Store(.9) },
		"not as busy":  func(r *Reporter, busy *atomic.Value) { observe(r, 50, 0); busy.Store(.1) },
		"not known":    func(r *Reporter, busy *atomic.Value) { observe(r, 50, 0); busy.Store(math.NaN()) },
		"all of these": func(r *Reporter, busy *atomic.Value) { observe(r, 500, 500); busy.Store(1.0) },
	} {
		var busy atomic.Value
		busy.Store(.4)
		running(t, func(c *Config) { c.Utilization = func() float64 { return busy.Load().(float64) } }, func(r *Reporter, m *memory) {
			for phase := range 20 {
				busy.Store(.4)
				seconds(r, 70+phase, func(int) { observe(r, 50, 0) })
				before := len(m.reports())
				seconds(r, 1, func(int) { change(r, &busy) })
				if len(m.reports()) == before {
					t.Errorf("%s: not reported %d s after the steady state began", name, 70+phase)
				}
			}
		})
	}
}

// Rates times the gaps between reports are the requests, whatever the pauses.
func TestPausesLoseNoRequest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		loads := rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 1, 5, 50}), 1, 100).Draw(rt, "requests a second")
		usage := rapid.Bool().Draw(rt, "knows its utilization")
		r, m := newReporter(t, func(c *Config) {
			if usage {
				c.Utilization = func() float64 { return .5 }
			}
		})
		last, now, total := &counts{at: time.Unix(1000, 0)}, time.Unix(1000, 0), 0
		for _, n := range append(loads, 1000, 0, 0) { // at the end a change, which is reported
			observe(r, n, 0)
			total += n
			now = now.Add(time.Second)
			r.report(last, now)
		}
		var requests float64
		got := m.reports()
		for i := 1; i < len(got); i++ {
			requests += got[i].RPS() * got[i].Time.Sub(got[i-1].Time).Seconds()
		}
		if math.Abs(requests-float64(total)) > 1e-6*float64(total) || got[0].Requests != 0 {
			rt.Fatalf("%v requests were reported of %d", requests, total)
		}
	})
}
