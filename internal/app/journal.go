package app

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/dataplane/picker"
	"github.com/smartlb/smartlb/internal/demo"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/audit"
	"github.com/smartlb/smartlb/internal/telemetry/journal"
	"github.com/smartlb/smartlb/internal/telemetry/nodes"
)

// journalConfig returns the settings for reading the records of nodes.
func (a *App) journalConfig() journal.Config {
	return journal.Config{Kafka: a.kafka, Mask: a.o.Document.Console.Masks(), Log: a.o.Log}
}

// journalSources sets the sources that read from Kafka; every process has them.
func (a *App) journalSources(s *api.Sources) {
	s.Decisions = func(ctx context.Context, n int, f journal.Filter) ([]api.Decision, error) {
		return a.decisions.Recent(ctx, n, f.Match)
	}
	s.FollowDecisions = func(limit int, f journal.Filter) api.Follower[api.Decision] {
		return a.decisions.Subscribe(limit, f.Match)
	}
	s.FindRequest = func(ctx context.Context, request string, span time.Duration, progress func(journal.Search)) (journal.Search, error) {
		return journal.Find(ctx, a.journalConfig(), request, span, progress)
	}
	s.Requests = func(ctx context.Context, n int, f journal.RequestFilter) ([]api.LoggedRequest, error) {
		return a.requests.Recent(ctx, n, f.Match)
	}
	s.FollowRequests = func(limit int, f journal.RequestFilter) api.Follower[api.LoggedRequest] {
		return a.requests.Subscribe(limit, f.Match)
	}
	s.Configuration = a.configLog.State
	s.Nodes = func(ctx context.Context) ([]event.NodeStatus, error) {
		nodes, err := nodes.Live(ctx, a.kafka, a.o.Log)
		if err != nil {
			err = problem.New(problem.Unavailable, err, "")
		}
		out := make([]event.NodeStatus, len(nodes))
		for i, n := range nodes {
			out[i] = n.NodeStatus
		}
		return out, err
	}
	s.Publish = func(ctx context.Context, c configlog.Change) (string, error) {
		c.Node = a.node
		return configlog.Publish(ctx, a.kafka, c, a.o.Log)
	}
	s.Alerts = a.listAlerts
	if a.analyzer != nil {
		s.Receivers, s.TestReceiver = a.alertReceivers, a.testReceiver
	}
	s.Silence = func(ctx context.Context, n event.Silence, actor, reason string) (string, error) {
		id, err := configlog.PublishSilence(ctx, a.kafka, n, actor, reason, a.o.Log)
		if err != nil {
			err = problem.New(problem.Unavailable, err, "")
		}
		return id, err
	}
	s.Records = func(ctx context.Context, n int, f journal.RecordFilter) ([]api.Record, error) {
		return a.records.Recent(ctx, n, f.Match)
	}
	s.VerifyAudit = func(ctx context.Context) (audit.Result, error) { return journal.Verify(ctx, a.journalConfig()) }
}

// demoState returns the state of this process's demo.
func (a *App) demoState(context.Context) (api.DemoState, error) {
	d := api.DemoState{Policies: picker.Names()}
	if a.o.Demo.Load != nil {
		d.Load = a.o.Demo.Load()
	}
	faults := a.o.Demo.Faults()
	for _, v := range a.data.keeper.Views() {
		s := api.DemoService{ID: v.ID, Policy: v.Policy, Instances: []api.DemoInstance{}}
		for _, in := range v.Instances {
			i := api.DemoInstance{ID: in.ID}
			if f, broken := faults[in.ID]; broken {
				i.Fault = &f
			}
			s.Instances = append(s.Instances, i)
		}
		d.Services = append(d.Services, s)
	}
	return d, nil
}

// setPolicy publishes the demo's configuration with another policy for one service.
func (a *App) setPolicy(ctx context.Context, service, policy, actor string) error {
	s, err := a.configLog.State(ctx)
	if err != nil {
		return err
	}
	document, err := demo.WithPolicy([]byte(s.Document), service, policy)
	if err != nil {
		return err
	}
	_, err = configlog.Publish(ctx, a.kafka, configlog.Change{
		Document: document, Base: s.Revision, Author: actor, Node: a.node, Comment: "demo: " + service + " uses the policy " + policy,
	}, a.o.Log)
	return err
}
