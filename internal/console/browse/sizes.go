package browse

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/admin"
)

// sizesAge is the maximum age of cached sizes: they are measured every third step.
const sizesAge = 4 * Step

// sampleSizes measures the sizes of logs on disk and their growth.
func (b *Browser) sampleSizes(ctx context.Context, now time.Time) error {
	all, err := b.sizes.get(ctx, 0, func(ctx context.Context) (admin.Sizes, error) { return admin.LogSizes(ctx, b.cfg.Admin) })
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, past := range b.topics {
		if n, known := all.Topics[name]; known {
			past.sized(n, now)
		}
	}
	return nil
}

// sized stores a size. The growth since the previous size is spread over all steps between them. If the log has shrunk,
// the growth is unknown.
func (p *topicPast) sized(bytes int64, now time.Time) {
	last, at := p.bytes, p.sizedAt
	p.bytes, p.sizedAt = bytes, now
	if at.IsZero() || bytes < last {
		return
	}
	rate := float32(float64(bytes-last) / now.Sub(at).Seconds())
	for s := max(step(at)+1, step(now)-Points); s <= step(now); s++ {
		p.grown.put(s, rate)
	}
}
