package browse

import (
	"context"
	"time"
)

// freeTime is how long an expression may take for a record without a pause.
const freeTime = 5 * time.Millisecond

// pace waits for as long as an expression took for a record, where that was
// long: expensive ones get half a processor, and leave the rest to traffic.
func pace(ctx context.Context, took time.Duration) {
	if took < freeTime {
		return
	}
	timer := time.NewTimer(took)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
