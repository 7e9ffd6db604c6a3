package trend

import (
	"math"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// parts is the cost of one second in 18 bytes, because every second of thousands of instances is stored. Factors are
// stored as logarithms with an error of at most 0.3 %.
type parts struct {
	known                           bool
	out                             upstream.Reason
	inFlight                        uint16
	err                             uint16 // estimate, in 1/65535
	latency, penalty, silence       int16
	capacity, veto, slowing, weight int16
}

func partsOf(m *upstream.Member, c upstream.Candidate) parts {
	return parts{
		known: true, out: m.Out, inFlight: uint16(min(max(c.InFlight, 0), math.MaxUint16)), err: uint16(min(max(c.Err, 0), 1) * math.MaxUint16),
		latency: packed(float64(c.Latency)), penalty: packed(float64(c.Penalty)), silence: packed(float64(c.Silence)),
		capacity: packed(m.Capacity), veto: packed(m.Veto), slowing: packed(m.SlowStart), weight: packed(m.Weight),
	}
}

const steps = 256 // per doubling

func packed(v float64) int16 {
	if !(v > 0) {
		return math.MinInt16
	}
	return int16(min(max(math.Round(math.Log2(v)*steps), math.MinInt16+1), math.MaxInt16))
}

func unpacked(v int16) float64 {
	if v == math.MinInt16 {
		return 0
	}
	return math.Exp2(float64(v) / steps)
}

// Second is one second of one instance: its requests, its fair share by weight, and the cost of a request to it.
type Second struct {
	At               time.Time
	Out              upstream.Reason
	Requests, Errors float32
	Share, FairShare float64 // 0..1 of the service's requests; by weight
	InFlight         int
	Error            float64 // the estimate behind ErrorFactor
	LatencyFactor    float64
	ErrorFactor      float64
	Silence          float64
	Capacity         float64
	Veto             float64
	SlowStart        float64
	Weight           float64
}

// Seconds returns an instance's last seconds, oldest first, at most Kept. Shares are computed over ten seconds, because
// one second of a quiet service is not significant. It returns nil for an instance that is not configured.
func (t *Trend) Seconds(service, instance string) []Second {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.past[t.lives[[2]string{service, instance}]]
	if p == nil {
		return nil
	}
	var others []*past
	for l, o := range t.past {
		if l.Service == service {
			others = append(others, o)
		}
	}
	have := min(p.n, Kept)
	out := make([]Second, 0, have)
	for back := have - 1; back >= 0; back-- {
		i := p.n - 1 - back
		at, c := p.points[i%Kept], p.parts[i%Kept]
		s := Second{At: readable.Moment(t.at.Add(-time.Duration(back) * time.Second)), Requests: at.Requests, Errors: at.Errors}
		s.Share, s.FairShare = shares(p, others, back)
		if c.known {
			s.Out, s.InFlight, s.Error = c.out, int(c.inFlight), float64(c.err)/math.MaxUint16
			s.LatencyFactor, s.ErrorFactor, s.Silence = unpacked(c.latency), unpacked(c.penalty), unpacked(c.silence)
			s.Capacity, s.Veto, s.SlowStart, s.Weight = unpacked(c.capacity), unpacked(c.veto), unpacked(c.slowing), unpacked(c.weight)
		}
		out = append(out, s)
	}
	return out
}

// shares returns an instance's share of its service's requests in the ten seconds that ended back seconds ago. It also
// returns the instance's share of the weights at that time.
func shares(p *past, others []*past, back int) (share, fair float64) {
	var all, weights float64
	for _, o := range others {
		all += o.sum(back)
		weights += o.weight(back)
	}
	if all > 0 {
		share = p.sum(back) / all
	}
	if weights > 0 {
		fair = p.weight(back) / weights
	}
	return share, fair
}

func (p *past) sum(back int) (n float64) {
	for i := p.n - 1 - back; i >= max(0, p.n-Kept, p.n-back-window); i-- {
		n += float64(p.points[i%Kept].Requests)
	}
	return n
}

func (p *past) weight(back int) float64 {
	i := p.n - 1 - back
	if i < 0 || back >= Kept || !p.parts[i%Kept].known || p.parts[i%Kept].out.StandsBy() {
		return 0
	}
	return unpacked(p.parts[i%Kept].weight)
}
