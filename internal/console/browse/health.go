package browse

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/stack/doctor"
)

// Health is what doctor found, and when.
type Health struct {
	doctor.Report
	At     time.Time `json:"at"`
	TookMs float64   `json:"tookMs"`
}

// Ages of a look that are answered: looking asks every service and every
// broker, so pages that are open do it seldom, and who presses a button waits
// for nothing that was just done.
const (
	healthAge = 15 * time.Second
	freshAge  = 2 * time.Second
)

// Health looks at everything that smartlb kafka doctor looks at; with fresh
// now, else as it was found by the last look.
func (b *Browser) Health(ctx context.Context, fresh bool) (Health, error) {
	age := healthAge
	if fresh {
		age = freshAge
	}
	return b.health.get(ctx, age, func(ctx context.Context) (Health, error) {
		began := time.Now()
		r := doctor.Examine(doctor.Gather(ctx, b.cfg.Question()))
		return Health{Report: r, At: readable.Moment(began), TookMs: millis(time.Since(began))}, nil
	})
}
