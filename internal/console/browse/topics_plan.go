package browse

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// planAge is the maximum age of a cached plan that marks topics: a plan is made every third step.
const planAge = 4 * Step

// samplePlan compares the cluster with the catalog.
func (b *Browser) samplePlan(ctx context.Context, _ time.Time) error {
	_, err := b.plan.get(ctx, 0, b.makePlan)
	return err
}

func (b *Browser) makePlan(ctx context.Context) (admin.Plan, error) {
	return admin.MakePlan(ctx, b.cfg.Admin, admin.PlanSpec{File: b.cfg.Catalog})
}

// Catalog returns the catalog that the cluster is compared with.
func (b *Browser) Catalog() topic.Catalog { return b.cfg.Catalog.Catalog() }

// Plan compares the cluster with the catalog now.
func (b *Browser) Plan(ctx context.Context, reset bool) (admin.Plan, error) {
	if !reset {
		p, err := b.plan.get(ctx, time.Second, b.makePlan)
		return p, b.explained(err)
	}
	p, err := admin.MakePlan(ctx, b.cfg.Admin, admin.PlanSpec{File: b.cfg.Catalog, ResetUnmanaged: true})
	return p, b.explained(err)
}

// Apply changes the cluster to match the catalog, or only some of its topics, as far as allow permits. The result holds
// all steps. The error tells how many steps failed.
func (b *Browser) Apply(ctx context.Context, only []string, reset bool, allow []topic.Permission) (admin.Applied, error) {
	defer b.changed()
	a, err := admin.Apply(ctx, b.cfg.Admin, admin.PlanSpec{File: b.cfg.Catalog, Only: only, ResetUnmanaged: reset, Allow: allow})
	return a, b.explained(err)
}
