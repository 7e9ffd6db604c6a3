// Package trend records the last minutes of every instance, second by second, for display. It records rates, errors and
// latency quantiles, computed from the counters that requests write anyway, and the parts of the instance's cost. It
// also records events: probe results and changes of standing. One goroutine samples; readers get copies.
package trend

import (
	"context"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Seconds is the length of the history in a Summary. Kept is the number of seconds recorded per instance.
const (
	Seconds = 120
	Kept    = 180
)

// window is the number of seconds over which the current values are computed.
const window = 10

// Lives lists the configured instances and the current cost of a request to each.
type Lives interface {
	EachLive(f func(l *upstream.Live, tags map[string]string))
	EachCost(f func(m *upstream.Member, c upstream.Candidate))
}

// Point is one second of one instance.
type Point struct {
	Requests, Errors float32 // per second
}

// Summary is the last ten seconds of one instance.
type Summary struct {
	Rate, ErrorRate  float64   // requests per second; 0..1
	P50, P95, P99    float64   // ms, 0 unknown
	Requests, Errors []float32 // per second, oldest first, at most Seconds
}

// Trend takes samples and returns summaries. Its methods are safe for concurrent use.
type Trend struct {
	mu       sync.Mutex
	tick     uint64    // samples taken
	at       time.Time // time of the latest sample
	past     map[*upstream.Live]*past
	lives    map[[2]string]*upstream.Live // by service and instance
	happened map[[2]string]*events
}

type past struct {
	requests, errors uint64
	hist             [window + 1][upstream.HistBuckets]uint32 // ring of snapshots
	points           [Kept]Point
	parts            [Kept]parts
	n                int // samples taken
}

// New returns a trend without history.
func New() *Trend {
	return &Trend{past: map[*upstream.Live]*past{}, lives: map[[2]string]*upstream.Live{}, happened: map[[2]string]*events{}}
}

// Run takes a sample every second until ctx ends.
func (t *Trend) Run(ctx context.Context, lives Lives) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			t.Sample(lives)
		}
	}
}

// Sample records one second of every instance.
func (t *Trend) Sample(lives Lives) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tick++
	t.at = time.Now()
	present := make(map[*upstream.Live]bool, len(t.past))
	lives.EachLive(func(l *upstream.Live, _ map[string]string) {
		present[l] = true
		p := t.past[l]
		if p == nil {
			p = &past{}
			t.past[l] = p
			t.lives[[2]string{l.Service, l.Instance}] = l
		}
		p.sample(l)
	})
	lives.EachCost(func(m *upstream.Member, c upstream.Candidate) {
		if p := t.past[m.Live]; p != nil && p.n > 0 {
			p.parts[(p.n-1)%Kept] = partsOf(m, c)
		}
	})
	for l := range t.past {
		if !present[l] {
			t.forget(l)
		}
	}
	for key := range t.happened { // of an instance that left while a check was still running
		if t.lives[key] == nil {
			delete(t.happened, key)
		}
	}
}

// forget removes an instance that left or whose address changed.
func (t *Trend) forget(l *upstream.Live) {
	delete(t.past, l)
	key := [2]string{l.Service, l.Instance}
	if t.lives[key] == l {
		delete(t.lives, key)
		delete(t.happened, key)
	}
}

// Tick returns the number of sampled seconds. Two results with the same tick contain the same second.
func (t *Trend) Tick() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tick
}

func (p *past) sample(l *upstream.Live) {
	requests, errors := l.Requests.Load(), l.Errors.Load()
	p.points[p.n%Kept] = Point{float32(requests - p.requests), float32(errors - p.errors)}
	p.requests, p.errors = requests, errors
	p.n++
	p.parts[(p.n-1)%Kept] = parts{}
	h := &p.hist[p.n%(window+1)]
	for b := range l.Hist {
		h[b] = uint32(l.Hist[b].Load())
	}
}

// Of returns an instance's summary, false before its first second.
func (t *Trend) Of(l *upstream.Live) (Summary, bool) { return t.Last(l, Seconds) }

// Last is Of with at most the given number of seconds of history.
func (t *Trend) Last(l *upstream.Live, seconds int) (Summary, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.past[l]
	if p == nil || p.n == 0 {
		return Summary{}, false
	}
	have := min(p.n, Seconds, seconds)
	s := Summary{Requests: make([]float32, 0, have), Errors: make([]float32, 0, have)}
	for i := p.n - have; i < p.n; i++ {
		pt := p.points[i%Kept]
		s.Requests, s.Errors = append(s.Requests, pt.Requests), append(s.Errors, pt.Errors)
	}
	recent := min(p.n, window)
	var requests, errors float64
	for i := p.n - recent; i < p.n; i++ {
		requests += float64(p.points[i%Kept].Requests)
		errors += float64(p.points[i%Kept].Errors)
	}
	s.Rate = requests / float64(recent)
	if requests > 0 {
		s.ErrorRate = min(1, errors/requests)
	}
	now, then := &p.hist[p.n%(window+1)], &[upstream.HistBuckets]uint32{}
	if p.n > window {
		then = &p.hist[(p.n-window)%(window+1)]
	}
	s.P50, s.P95, s.P99 = quantile(now, then, .5), quantile(now, then, .95), quantile(now, then, .99)
	return s, true
}

// quantile returns the quantile q of the latencies counted between two snapshots, in milliseconds. It assumes that the
// latencies of a bucket are spread evenly between its bounds. The estimate therefore moves with the counts instead of
// from bound to bound. The error is at most the width of a bucket, 19 %, and at most 10 % if the bucket holds no other
// latencies.
func quantile(now, then *[upstream.HistBuckets]uint32, q float64) float64 {
	var total uint64
	for b := range now {
		total += uint64(now[b] - then[b])
	}
	if total == 0 {
		return 0
	}
	rank, seen := q*float64(total-1), 0.0
	for b := range now {
		n := float64(now[b] - then[b])
		if n > 0 && seen+n > rank {
			low, high := upstream.HistBounds(b)
			return (low + (high-low)*min(1, (rank-seen+.5)/n)) / 1e6
		}
		seen += n
	}
	return 0
}
