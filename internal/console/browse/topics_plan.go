package browse

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/ops"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// planAge is how old a plan may be that marks topics: one is made every third
// step.
const planAge = 4 * Step

// samplePlan compares the cluster with the catalog.
func (b *Browser) samplePlan(ctx context.Context, _ time.Time) error {
	_, err := b.plan.get(ctx, 0, b.makePlan)
	return err
}

func (b *Browser) makePlan(ctx context.Context) (ops.Plan, error) {
	return ops.MakePlan(ctx, b.cfg.Admin, ops.PlanSpec{File: b.cfg.Catalog})
}

// Catalog is the catalog that the cluster is compared with.
func (b *Browser) Catalog() topic.Catalog { return b.cfg.Catalog.Catalog() }

// Plan compares the cluster with the catalog now.
func (b *Browser) Plan(ctx context.Context, reset bool) (ops.Plan, error) {
	if !reset {
		p, err := b.plan.get(ctx, time.Second, b.makePlan)
		return p, b.explained(err)
	}
	p, err := ops.MakePlan(ctx, b.cfg.Admin, ops.PlanSpec{File: b.cfg.Catalog, ResetUnmanaged: true})
	return p, b.explained(err)
}

// Apply makes the cluster like the catalog, or only some topics of it, as far
// as it is allowed. The error tells how many steps failed; the result has the
// steps in any case.
func (b *Browser) Apply(ctx context.Context, only []string, reset bool, allow []topic.Permission) (ops.Applied, error) {
	defer b.changed()
	a, err := ops.Apply(ctx, b.cfg.Admin, ops.PlanSpec{File: b.cfg.Catalog, Only: only, ResetUnmanaged: reset, Allow: allow})
	return a, b.explained(err)
}
