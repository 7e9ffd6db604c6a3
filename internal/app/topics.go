package app

import (
	"context"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// ensureTopics creates missing topics of the catalog. It retries until all exist.
func (a *App) ensureTopics(ctx context.Context) error { return a.ensure(ctx, a.kafka, a.catalog) }

func (a *App) ensure(ctx context.Context, cfg kafka.Config, catalog topic.Catalog) error {
	client, err := kafka.NewAdminWithin(ctx, cfg)
	if err != nil {
		return err
	}
	done, err := admin.EnsureTopics(ctx, client, catalog)
	client.Close()
	cause := kafka.Cause("")
	if err != nil {
		cause, _ = kafka.Explain(err, cfg)
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case cause == kafka.CauseDenied:
		// A user with more permissions creates the topics, see deployment/kafka/acls.yaml.
		a.o.Log.Info("topics not created or checked: no permission to describe or create all of them", "error", err)
		<-ctx.Done()
		return nil
	case err != nil:
		return err
	}
	close(a.topicsReady)
	for _, m := range done.Missing {
		a.o.Log.Warn("support topic missing, its function is disabled", "topic", m.Topic, "reason", m.Reason)
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

// ensureOwnTopics is ensureTopics for a process with the role broker only.
func (a *App) ensureOwnTopics(ctx context.Context) error {
	file, err := newCatalog()
	if err != nil {
		return err
	}
	cfg := kafka.Default()
	cfg.Brokers = []string{a.broker.Addr()}
	return a.ensure(ctx, cfg, file.Catalog())
}

func newCatalog() (topic.File, error) { return topic.ParseFile(deployment.Topics) }
