package ops

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// coordinatorPatience is how long a cluster gets to have a coordinator for a
// group: the topic where groups are kept is made when one is first asked for,
// and read again after its leader moved.
const coordinatorPatience = 5 * time.Second

// coordinated asks about groups, and asks again while what is wrong is that
// their coordinator is not there yet.
func coordinated(ctx context.Context, ask func() error) error {
	for began := time.Now(); ; pause(ctx, 100*time.Millisecond) {
		err := ask()
		if !coordinatorIsComing(err) || ctx.Err() != nil || time.Since(began) > coordinatorPatience {
			return err
		}
	}
}

func coordinatorIsComing(err error) bool {
	return errors.Is(err, kerr.CoordinatorNotAvailable) || errors.Is(err, kerr.CoordinatorLoadInProgress) || errors.Is(err, kerr.NotCoordinator)
}
