package admin

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/smartlb/smartlb/internal/base/backoff"
)

// coordinatorWait limits the wait for a group's coordinator. The cluster creates the topic of group offsets at the
// first request for a group, and a new leader reads it again.
const coordinatorWait = 5 * time.Second

// coordinated calls ask, and retries while the coordinator of the group is not available yet.
func coordinated(ctx context.Context, ask func() error) error {
	for began := time.Now(); ; backoff.Sleep(ctx, 100*time.Millisecond) {
		err := ask()
		if !coordinatorIsComing(err) || ctx.Err() != nil || time.Since(began) > coordinatorWait {
			return err
		}
	}
}

func coordinatorIsComing(err error) bool {
	return errors.Is(err, kerr.CoordinatorNotAvailable) || errors.Is(err, kerr.CoordinatorLoadInProgress) || errors.Is(err, kerr.NotCoordinator)
}
