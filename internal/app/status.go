package app

import (
	"context"
	"fmt"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/nodes"
)

// publishStatus writes the node's status until ctx ends: regularly, and immediately after a change of the
// configuration.
func (a *App) publishStatus(ctx context.Context) error {
	ticker := time.NewTicker(nodes.StatusInterval)
	defer ticker.Stop()
	soon := time.NewTimer(300 * time.Millisecond) // first status; by then, listeners and configuration are known
	defer soon.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-soon.C:
		case <-ticker.C:
		case <-a.changed: // a revision was applied or refused: its author waits for the result
		}
		s := a.status()
		a.producer.Send(kafka.Record{Topic: event.TopicNodeStatus, Key: []byte(a.node), Value: s.AppendJSON(nil)})
	}
}

func (a *App) status() event.NodeStatus {
	s := event.NodeStatus{
		Timestamp: readable.Moment(time.Now()), Node: a.node, Roles: a.o.Roles, Version: a.o.Version, StartedAt: readable.Moment(a.started),
		AdminURL: a.url("admin"), ConsoleURL: a.url("console"), ConfigState: event.ConfigNone, Drops: a.drops(),
		RecreatedTopics: a.alerts.RecreatedTopics(), UnsignedTopics: a.alerts.UnsignedTopics(),
	}
	if a.control != nil {
		c := a.control.Status()
		s.ConfigState, s.Revision, s.RefusedRevision, s.Errors, s.Overrides, s.LostLog = c.State, c.Revision, c.RefusedRevision, c.Errors, c.Overrides, c.LostLog
	}
	if reason := a.refused.Load(); reason != nil {
		s.RefusedFile = *reason
	}
	if why := a.badUpgrade.Load(); why != nil {
		s.FailedUpgrade = *why
	}
	if a.notifier != nil {
		s.SendsAlerts, s.FailedReceivers = a.notifier.Status().Sender, a.notifier.Failing()
	}
	if a.data != nil {
		s.PanicServices, s.CrowdedServices = a.data.keeper.Panicking(), a.data.keeper.Crowds()
		s.StaleServices = a.data.discovery.Stale()
		s.Shortage = a.data.shortage.Current(a.now())
		s.Certificates = a.data.certs.problems(time.Now())
	}
	return s
}

// drops returns the number of losses by queue. It omits queues without losses.
func (a *App) drops() map[string]uint64 {
	out := map[string]uint64{}
	add := func(name string, n uint64) {
		if n > 0 {
			out[name] = n
		}
	}
	for _, p := range a.producers() {
		for topic, t := range p.Stats().Topics {
			for reason, n := range t.Dropped {
				add(fmt.Sprintf("kafka %s %s", topic, reason), n)
			}
		}
	}
	if a.producer != nil {
		add("audit queue full", a.audit.Dropped())
	}
	if a.notifier != nil {
		for _, r := range a.notifier.Status().Receivers {
			add("alerts for "+r.Name+" full", r.Dropped)
			add("alerts for "+r.Name+" missed", r.Missed)
		}
	}
	if a.data != nil {
		add("access log ring full", a.data.proxy.Stats().AccessLogDropped)
		if t := a.data.tracing; t != nil {
			s := t.Stats()
			add("spans", s.Dropped)
			add("spans undelivered", s.Undelivered)
		}
		if l := a.data.logs; l != nil {
			s := l.Stats()
			add("log records", s.Dropped)
			add("log records undelivered", s.Undelivered)
		}
		add("access-logs ring full", a.data.proxy.Stats().MessagesDropped)
		if r := a.data.reporter; r != nil {
			s := r.Stats()
			add("decision ring full", s.RingFull)
			add("decision rate cap", s.RateCapped)
			add("change queue full", s.ChangesLost)
		}
	}
	return out
}
