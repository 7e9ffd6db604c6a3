package app

import (
	"context"
	"sync"

	"github.com/smartlb/smartlb/internal/event"
)

// start starts the actors; they stop in the reverse order. It returns false if the broker did not start: all other
// actors wait for the broker.
func (a *App) start(ctx context.Context, acts *actors) bool {
	if a.broker != nil {
		acts.start("broker", a.broker.Run, nil)
		select {
		case <-a.broker.Ready():
		case <-ctx.Done():
			return false
		case err := <-acts.failed:
			acts.failed <- err
			return false
		}
	}
	if a.o.Kafka {
		a.startKafka(acts)
	} else if a.broker != nil {
		acts.start("topics", a.ensureOwnTopics, nil)
	}
	if a.data != nil {
		a.startDataPlane(acts)
	}
	acts.ofOwner(func() {
		acts.together(func() { a.startFollowers(acts) })
		for _, w := range a.web {
			acts.start(w.name, a.runWeb(w), nil)
		}
	})
	if a.data != nil {
		acts.start("proxy", a.runProxy, a.drain)
	}
	acts.ofOwner(func() { a.startSignals(acts) })
	a.record("start.node", event.Target{Kind: "node", ID: a.node}, nil)
	if a.o.Before != nil {
		acts.start("takeover", a.takeOver, nil)
		return true
	}
	a.warnUnused()
	a.once.Do(func() { close(a.ready) })
	return true
}

func (a *App) startSignals(acts *actors) {
	if a.o.Signals.C != nil || a.o.Signals.Watch != "" {
		acts.start("signals", a.asOwner(a.followSignals), nil)
	}
	if a.o.Upgrade.C != nil {
		acts.start("upgrade", a.asOwner(a.followUpgrades), nil)
	}
}

func (a *App) startKafka(acts *actors) {
	acts.onStop("kafka clients", func(context.Context) error {
		a.browseAdmin.Close()
		var closed sync.WaitGroup
		noProgress := noProgressTimeout
		if a.unreachable.Load() {
			noProgress = unreachableTimeout
		}
		for _, p := range a.producers() {
			closed.Go(func() {
				if err := closeProducer(p, noProgress); err != nil { // without Kafka, the last reports are lost and counted
					a.o.Log.Warn("kafka producer closed with records undelivered", "dropped", p.Stats().Dropped(), "error", err)
				}
			})
		}
		closed.Wait()
		return nil
	})
	acts.ofOwner(func() { acts.start("audit", a.asOwner(a.audit.Run), nil) })
}

// startFollowers starts the actors that only pages and pools need.
func (a *App) startFollowers(acts *actors) {
	if a.o.Kafka {
		a.followKafka(acts)
	}
	if a.analyzer != nil {
		acts.start("analyzer", a.asOwner(a.analyzer.Run), nil)
	}
	if a.collector != nil {
		a.startCollector(acts)
	}
	if a.notifier != nil {
		acts.start("alert receivers", a.asOwner(a.notifier.Run), nil)
	}
	if a.data != nil {
		a.feedDataPlane(acts)
	}
}

func (a *App) followKafka(acts *actors) {
	if len(a.o.Roles) > 1 || !a.o.has(event.RoleProxy) {
		acts.start("topics", a.asOwner(a.ensureTopics), nil)
	}
	if a.broker == nil {
		acts.start("kafka watch", a.asOwner(a.watchKafka), nil)
	}
	acts.start("node status", a.asOwner(a.publishStatus), nil)
	acts.start("alerts", func(ctx context.Context) error { return a.alerts.Follow(ctx, a.kafka, a.o.Log) }, nil)
	acts.start("decisions for pages", a.decisions.Run, nil)
	acts.start("requests for pages", a.requests.Run, nil)
	acts.start("audit records for pages", a.records.Run, nil)
	acts.start("configuration for pages", a.configLog.Run, nil)
	if a.o.has(event.RoleConsole) {
		acts.start("browser", a.asOwner(a.browse), nil)
	}
}
