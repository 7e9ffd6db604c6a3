package analyzer

import (
	"context"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Inputs returns the topics that an analyzer shares with other members of its group. Their partition counts must be
// equal.
func Inputs() []string {
	return []string{event.TopicServiceMetrics, event.TopicHealthStatus, event.TopicRekey}
}

// awaitInputs waits for the input topics and returns them. If smartlb-rekey does not exist and no process creates it,
// the analyzer works without it: records in the wrong partition are then dropped and counted.
func (a *Analyzer) awaitInputs(ctx context.Context) []string {
	var since time.Time // when both core topics existed and the support topic did not
	for attempt := 0; ctx.Err() == nil; attempt++ {
		have := a.existing(ctx)
		core := slices.Contains(have, event.TopicServiceMetrics) && slices.Contains(have, event.TopicHealthStatus)
		switch {
		case len(have) == len(Inputs()):
			return have
		case !core:
			since = time.Time{}
		case since.IsZero():
			since = a.cfg.Now()
		case a.cfg.Now().Sub(since) > rekeyWait:
			a.log.Warn("analyzer does without a topic", "topic", event.TopicRekey)
			a.disable([]string{"records keyed by other producers are ignored: topic " + event.TopicRekey + " does not exist"})
			return have
		}
		a.cfg.Kafka.Retry.Wait(ctx, min(attempt, 4))
	}
	return nil
}

// awaitRekey ends a membership without smartlb-rekey when the topic appears.
func (a *Analyzer) awaitRekey(ctx context.Context, leave context.CancelFunc) {
	tick := time.NewTicker(2 * rekeyWait)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if len(a.existing(ctx)) == len(Inputs()) {
			leave()
			return
		}
	}
}

// existing returns the input topics that exist, none if no broker answers.
func (a *Analyzer) existing(ctx context.Context) []string {
	admin, err := kafka.NewAdminWithin(ctx, a.cfg.Kafka)
	if err != nil {
		return nil
	}
	defer admin.Close()
	cluster, err := admin.Describe(ctx, Inputs()...)
	if err != nil {
		return nil
	}
	var out []string
	for _, name := range Inputs() {
		if _, ok := cluster.Topics[name]; ok {
			out = append(out, name)
		}
	}
	return out
}

func (a *Analyzer) disable(what []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.snapshot.Disabled = what
}
