package demo

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// LoadStats counts the requests of a load by result.
type LoadStats struct {
	Sent, OK, Failed, Skipped uint64
}

// Load sends requests open loop: it sends each request on schedule, even if earlier requests have no response yet. So a
// slow service does not reduce the load.
type Load struct {
	target  string // http://host:port
	fleet   []Group
	scale   float64
	client  *http.Client
	slots   chan struct{}
	sent    atomic.Uint64
	ok      atomic.Uint64
	failed  atomic.Uint64
	skipped atomic.Uint64
}

// maxInFlight is the highest number of requests without a response.
const maxInFlight = 256

// NewLoad returns a load with the rates of the fleet, multiplied by scale.
func NewLoad(target string, fleet []Group, scale float64) *Load {
	return &Load{
		target: target, fleet: fleet, scale: scale, slots: make(chan struct{}, maxInFlight),
		client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second}},
	}
}

// Stats returns the counts so far.
func (l *Load) Stats() LoadStats {
	return LoadStats{Sent: l.sent.Load(), OK: l.ok.Load(), Failed: l.failed.Load(), Skipped: l.skipped.Load()}
}

// Run sends requests until ctx ends. It returns after the last response.
func (l *Load) Run(ctx context.Context) error {
	var group sync.WaitGroup
	for _, g := range l.fleet {
		group.Go(func() { l.stream(ctx, g) })
	}
	group.Wait()
	l.client.CloseIdleConnections()
	return nil
}

// stream sends the requests of one service with exponentially distributed gaps.
func (l *Load) stream(ctx context.Context, g Group) {
	var requests sync.WaitGroup
	defer requests.Wait()
	next := time.Now()
	for {
		next = next.Add(time.Duration(rand.ExpFloat64() / (g.Rate * l.scale) * float64(time.Second)))
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		select {
		case l.slots <- struct{}{}:
			requests.Go(func() {
				defer func() { <-l.slots }()
				l.one(ctx, fmt.Sprintf("%s%s/%d", l.target, g.Prefix, rand.IntN(1000)))
			})
		default:
			l.skipped.Add(1)
		}
	}
}

func (l *Load) one(ctx context.Context, url string) {
	l.sent.Add(1)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		l.failed.Add(1)
		return
	}
	resp, err := l.client.Do(req)
	if err != nil {
		l.failed.Add(1)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode >= 500 {
		l.failed.Add(1)
		return
	}
	l.ok.Add(1)
}
