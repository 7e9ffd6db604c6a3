package browse

import (
	"context"
	"time"
)

// freeTime is how long an expression may take for one record without a pause afterwards.
const freeTime = 5 * time.Millisecond

// pace waits as long as an expression took for a record, if that was at least freeTime. So an expensive expression uses
// at most half of a processor and leaves the rest to traffic.
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
