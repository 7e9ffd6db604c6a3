package app

import (
	"context"
	"fmt"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
)

// Timeouts for the last records of a node. The node continues while the broker accepts records: a slow broker gets all
// records, and a broker that hangs or is unavailable does not delay the stop.
const (
	noProgressTimeout  = time.Second            // give up if the broker accepted no record for this time
	unreachableTimeout = 100 * time.Millisecond // the same, if Kafka was unreachable before
	deliveryTimeout    = 5 * time.Second        // total, if the broker accepts records
)

// closeProducer delivers the records in the producer's buffer, then closes the producer. It gives up if the broker accepted
// no record for the time noProgress, and blocks for at most deliveryTimeout.
func closeProducer(p *kafka.Producer, noProgress time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), deliveryTimeout)
	defer cancel()
	for before := p.Stats().Delivered(); ; {
		step, end := context.WithTimeout(ctx, noProgress)
		err := p.Flush(step)
		end()
		now := p.Stats().Delivered()
		if err == nil || ctx.Err() != nil {
			return p.Close(ctx)
		}
		if now == before {
			cancel()
			_ = p.Close(ctx)
			return fmt.Errorf("the broker accepted no records for %s", noProgress)
		}
		before = now
	}
}
