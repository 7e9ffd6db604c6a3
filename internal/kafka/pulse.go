package kafka

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Times by which a Tail notices a broker that hangs. The connections of such a broker stay open, and nothing fails
// before a request times out, 15 s later.
const (
	pulseEvery  = 500 * time.Millisecond  // interval of the check
	pulseAsk    = 1500 * time.Millisecond // a client without a response for this long sends a request: an idle fetch is answered only after fetchWait
	pulseLimit  = 5 * time.Second         // without a response for this long, the cluster counts as lost; a broker that answers within 3 s stays connected
	pulseExpire = brokerTimeout           // timeout of one request
)

// pulse remembers when a client last received a response from any broker. It is a hook of the clients that it observes.
type pulse struct {
	began time.Time
	heard atomic.Int64 // since began; monotonic clock
}

var _ kgo.HookBrokerE2E = (*pulse)(nil)

func newPulse() *pulse { return &pulse{began: time.Now()} }

// OnBrokerE2E records the time of every response.
func (p *pulse) OnBrokerE2E(_ kgo.BrokerMetadata, _ int16, e kgo.BrokerE2E) {
	if e.Err() == nil && e.BytesRead > 0 {
		p.beat()
	}
}

func (p *pulse) beat() { p.heard.Store(int64(time.Since(p.began))) }

// silence is the time since the last response.
func (p *pulse) silence() time.Duration { return time.Since(p.began) - time.Duration(p.heard.Load()) }

// keep sends a request to any broker whenever no other response arrives, until ctx ends. At most one request is in
// flight.
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
		_ = client.Ping(ask) // the hook records the response; without one, silence grows
		cancel()
	}
}
