package kafka

import (
	"context"
	"time"
)

// pace lets d pass, or less when ctx ends. A reader of many small producers is
// woken by each of them otherwise; meanwhile the next fetch gathers what they
// send, so a batch later carries all of it.
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
