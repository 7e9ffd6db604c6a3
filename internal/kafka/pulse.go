package kafka

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// How a Tail notices a broker that hangs: its connections stay open and nothing
// fails before a request times out, a quarter of a minute later.
const (
	pulseEvery  = 500 * time.Millisecond  // how often the silence is looked at
	pulseAsk    = 1500 * time.Millisecond // a reader that heard nothing for so long asks: an idle fetch is answered after fetchWait only
	pulseLimit  = 5 * time.Second         // silence after which the cluster counts as lost; a broker that answers within 3 s stays connected
	pulseExpire = brokerPatience          // of one question
)

// pulse remembers when a client last heard from any broker. It is a hook of the
// clients that it listens to.
type pulse struct {
	began time.Time
	heard atomic.Int64 // since began; the monotonic clock
}

var _ kgo.HookBrokerE2E = (*pulse)(nil)

func newPulse() *pulse { return &pulse{began: time.Now()} }

// OnBrokerE2E takes note of every answer.
func (p *pulse) OnBrokerE2E(_ kgo.BrokerMetadata, _ int16, e kgo.BrokerE2E) {
	if e.Err() == nil && e.BytesRead > 0 {
		p.beat()
	}
}

func (p *pulse) beat() { p.heard.Store(int64(time.Since(p.began))) }

// silence is the time since the last answer.
func (p *pulse) silence() time.Duration { return time.Since(p.began) - time.Duration(p.heard.Load()) }

// keep asks any broker for a sign of life while nothing else is heard, until
// ctx ends. One question is under way at a time.
func (p *pulse) keep(ctx context.Context, client *kgo.Client) {
	tick := time.NewTicker(pulseEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if p.silence() < pulseAsk {
			continue
		}
		ask, cancel := context.WithTimeout(ctx, pulseExpire)
		_ = client.Ping(ask) // an answer is heard by the hook; without one the silence goes on
		cancel()
	}
}
