package app

import (
	"context"
	"fmt"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
)

// How long the last records of a node may take: as long as the broker takes
// some of them, so that one that is slow gets all, and one that hangs or is
// away holds up nobody.
const (
	silence   = time.Second     // after which a broker that took nothing is given up
	lastWords = 5 * time.Second // for a broker that takes some
)

// closeProducer delivers what the producer holds, and closes it.
func closeProducer(p *kafka.Producer) error {
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	for before := p.Stats().Delivered(); ; {
		step, end := context.WithTimeout(ctx, silence)
		err := p.Flush(step)
		end()
		now := p.Stats().Delivered()
		if err == nil || ctx.Err() != nil {
			return p.Close(ctx)
		}
		if now == before {
			cancel()
			_ = p.Close(ctx)
			return fmt.Errorf("the broker accepted no records for %s", silence)
		}
		before = now
	}
}
