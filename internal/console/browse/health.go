package browse

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/stack/doctor"
)

// Health is a report of doctor with its time.
type Health struct {
	doctor.Report
	At     time.Time `json:"at"`
	TookMs float64   `json:"tookMs"`
}

// Maximum ages of a cached report: a report queries every service and every broker. Open pages accept healthAge. A
// click on the button accepts freshAge.
const (
	healthAge = 15 * time.Second
	freshAge  = 2 * time.Second
)

// Health returns a report with all checks of smartlb kafka doctor. With fresh, the report is at most freshAge old,
// otherwise at most healthAge.
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
