package kafka

import (
	"context"
	"time"
)

// pace waits for d, or less when ctx ends. Without it, each of many small producers wakes the reader. During the pause
// the next fetch collects their records, so one later batch carries all of them.
func pace(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
