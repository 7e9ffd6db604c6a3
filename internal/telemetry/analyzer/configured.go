package analyzer

import (
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/analysis"
)

// readConfiguration reads config-updates for the names of the configured instances, which no quota limits, and for the services with sources, whose quota is larger. Only the
// goroutine of its tail calls it.
func (a *Analyzer) readConfiguration(batch []kafka.Record) {
	changed := false
	for _, r := range batch {
		changed = a.state.Fold(configlog.Read(a.cfg.Kafka, r)) || changed
	}
	a.state.DropHistory()
	if !changed {
		return
	}
	t, err := config.ParseTraffic([]byte(a.state.Document))
	if err != nil {
		return // nodes refuse it too and keep the revision before, as the analyzer does
	}
	known := analysis.Instances{Names: map[string]map[string]bool{}, Found: map[string]int{}, Limits: map[string]int{}}
	for _, s := range t.Services {
		known.Names[s.ID] = map[string]bool{}
		for _, i := range s.Instances {
			known.Names[s.ID][i.ID] = true
		}
		if s.Discovery != nil {
			known.Found[s.ID] = s.Discovery.Most()
		}
		if s.Concurrency != nil && s.Concurrency.PerInstance > 0 {
			known.Limits[s.ID] = s.Concurrency.PerInstance
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.configured, a.revision = known, a.state.Revision
}

// configure passes the configured instances to a task, unless it has the current revision.
func (a *Analyzer) configure(o *owned) {
	a.mu.Lock()
	names, revision := a.configured, a.revision
	a.mu.Unlock()
	if o.revision != revision {
		o.revision = revision
		o.task.SetConfigured(names)
	}
}
