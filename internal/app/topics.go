package app

import (
	"context"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/ops"
	"github.com/smartlb/smartlb/internal/topic"
)

// ensureTopics makes the catalog's topics exist, trying until they do.
func (a *App) ensureTopics(ctx context.Context) error {
	defer context.AfterFunc(ctx, a.admin.Close)() // who else asks through it has been stopped by then
	done, err := ops.EnsureTopics(ctx, a.admin, a.catalog)
	cause := kafka.Cause("")
	if err != nil {
		cause, _ = kafka.Explain(err, a.kafka)
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case cause == kafka.CauseDenied:
		// Somebody with more rights makes the topics; deployment/kafka/acls.yaml.
		a.o.Log.Info("topics are not looked after: no right to see or make all of them", "error", err)
		<-ctx.Done()
		return nil
	case err != nil:
		return err
	}
	close(a.topical)
	for _, m := range done.Missing {
		a.o.Log.Warn("support topic missing: its function is off", "topic", m.Topic, "reason", m.Reason)
	}
	for _, step := range done.Drift {
		a.o.Log.Warn("topic differs from the catalog", "step", step.String())
	}
	if len(done.Created) > 0 {
		a.o.Log.Info("topics created", "count", len(done.Created))
	}
	<-ctx.Done()
	return nil
}

// ensureOwnTopics does it for a process that is a broker and nothing else.
func (a *App) ensureOwnTopics(ctx context.Context) (err error) {
	file, err := newCatalog()
	if err != nil {
		return err
	}
	a.catalog = file.Catalog()
	cfg := kafka.Default()
	cfg.Brokers = []string{a.broker.Addr()}
	if a.admin, err = kafka.NewAdmin(cfg); err != nil {
		return err
	}
	defer a.admin.Close()
	return a.ensureTopics(ctx)
}

func newCatalog() (topic.File, error) { return topic.ParseFile(deployment.Topics) }
