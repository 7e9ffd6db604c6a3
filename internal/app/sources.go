package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/control/keeper"
	"github.com/smartlb/smartlb/internal/dataplane/trend"
	"github.com/smartlb/smartlb/internal/event"
)

// sources returns the API's sources from the parts of this process. A console without the role proxy uses the admin API
// of a proxy, which it finds through smartlb-node-status.
func (a *App) sources() api.Sources {
	s := api.Sources{Node: a.nodeInfo, Limits: a.limits}
	if a.audit != nil {
		s.Audit, s.Unauthenticated = a.audit.Record, a.audit.Unauthenticated
	}
	if a.data != nil {
		s.Override = a.override
		s.Overview, s.Moment, s.Explain, s.Past, s.Capacity = a.overview, a.moment, a.explain, a.past, a.capacity
	} else if a.o.Kafka {
		a.proxies.Sources(&s)
	}
	if a.o.Kafka {
		a.journalSources(&s)
		s.Override, s.History = a.override, a.history
		s.Groups, s.Messages, s.Connect = a.browser, a.browser, a.browser
		s.Topics, s.TopicChanges, s.Cluster = a.browser, a.browser, a.browser
	}
	if a.o.Demo.Fault != nil {
		s.Fault = a.o.Demo.Fault
		s.Demo, s.SetLoad = a.demoState, a.o.Demo.SetLoad
		if a.o.Kafka {
			s.SetPolicy = a.setPolicy
		}
	}
	return s
}

func (a *App) nodeInfo() api.Node {
	n := api.Node{
		Node: a.node, Version: a.o.Version, Roles: a.o.Roles, StartedAt: readable.Moment(a.started), Demo: a.o.Demo.Fault != nil,
		Listeners: map[string]string{}, Drops: a.drops(), AdminURL: a.url("admin"), ConsoleURL: a.url("console"),
		Kafka:  api.KafkaState{Enabled: a.o.Kafka, Brokers: []string{}},
		Config: api.ConfigState{State: event.ConfigNone, Errors: []string{}, Overrides: []event.Override{}},
	}
	if a.o.Kafka {
		n.Kafka.Brokers = a.kafka.Brokers
		n.Kafka.Connected = a.alerts.Connected()
	}
	if a.data != nil {
		for _, l := range a.data.proxy.Listeners() {
			n.Listeners[l.Name] = l.Addr
		}
	}
	if a.control != nil {
		c := a.control.Status()
		n.Kafka.Connected = c.Connected
		n.Config = api.ConfigState{
			State: c.State, Revision: c.Revision, Current: c.Current, RefusedRevision: c.RefusedRevision,
			Errors: append([]string{}, c.Errors...), LostLog: c.LostLog, Overrides: append([]event.Override{}, c.Overrides...),
		}
	}
	return n
}

func (a *App) overview(ctx context.Context) (api.Overview, error) {
	return a.moment(ctx, trend.Seconds)
}

func (a *App) moment(_ context.Context, seconds int) (api.Overview, error) {
	o := api.Overview{At: readable.Moment(time.Now()), Tick: a.data.trend.Tick(), Node: a.nodeInfo(), Alerts: []api.Alert{}}
	o.Services = api.FromViewsOf(a.data.keeper.Views(), a.data.trend, seconds)
	api.FromDiscovery(o.Services, a.data.discovery.Views())
	api.FromCapacity(o.Services)
	o.Alerts = a.activeAlerts()
	o.Judge()
	if a.o.Demo.Faults != nil {
		faults := a.o.Demo.Faults()
		for i := range o.Services {
			for j := range o.Services[i].Instances {
				in := &o.Services[i].Instances[j]
				if f, broken := faults[in.ID]; broken {
					in.DemoFault = &f
				}
			}
		}
	}
	return o, nil
}

// activeAlerts returns the active alerts, each with the silence in effect.
func (a *App) activeAlerts() []api.Alert {
	if a.control == nil || a.alerts == nil {
		return []api.Alert{}
	}
	return api.WithSilences(a.alerts.Active(), a.control.Status().Silences)
}

func (a *App) explain(_ context.Context, service, instance string) (api.Explanation, error) {
	v, err := findInstance(a.data.keeper.Views(), service, instance)
	if err != nil {
		return api.Explanation{}, err
	}
	now := time.Now()
	lines, _ := keeper.Explain(v, instance, now)
	e := api.Explanation{Service: v.ID, Instance: instance, At: readable.Moment(now), Lines: lines}
	for _, s := range api.FromViews([]keeper.ServiceView{v}, a.data.trend) {
		for _, in := range s.Instances {
			if in.ID == instance {
				in.Judge(v.ID, api.AlertsOf(a.activeAlerts()))
				e.Detail = in
			}
		}
	}
	return e, nil
}

func (a *App) past(_ context.Context, service, instance string) (api.Past, error) {
	v, err := findInstance(a.data.keeper.Views(), service, instance)
	if err != nil {
		return api.Past{}, err
	}
	p := api.FromPast(a.data.trend, v.ID, instance)
	for _, in := range v.Instances {
		if in.ID != instance {
			continue
		}
		for _, r := range in.Reports {
			p.Reports = append(p.Reports, api.Reported{Sender: r.Sender, Status: r.Status, AgeMs: float64(r.Age) / 1e6, Holds: r.Holds})
		}
	}
	return p, nil
}

// findInstance returns the only service that has the instance.
func findInstance(views []keeper.ServiceView, service, instance string) (keeper.ServiceView, error) {
	var found []keeper.ServiceView
	var all []string
	for _, v := range views {
		for _, in := range v.Instances {
			all = append(all, in.ID)
			if in.ID == instance && (service == "" || service == v.ID) {
				found = append(found, v)
			}
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		slices.Sort(all)
		if len(all) > 20 {
			all = append(all[:20], "...")
		}
		return keeper.ServiceView{}, problem.Errorf(problem.NotFound, "there is no instance %q; instances: %s", instance, strings.Join(all, ", "))
	}
	var names []string
	for _, v := range found {
		names = append(names, v.ID+"/"+instance)
	}
	return keeper.ServiceView{}, problem.Errorf(problem.NotFound, "%q is ambiguous; use one of %s", instance, strings.Join(names, ", "))
}

// override drains an instance, undrains it or sets its weight. On this node it takes effect immediately.
func (a *App) override(ctx context.Context, o event.Override, actor, reason string) (configlog.Applied, error) {
	if a.data == nil {
		return a.proxies.Override(ctx, o, actor, reason)
	}
	if _, err := findInstance(a.data.keeper.Views(), o.ServiceID, o.InstanceID); err != nil {
		return configlog.Applied{}, err
	}
	return a.control.Override(ctx, o, actor, reason)
}

func (a *App) history(ctx context.Context) ([]configlog.Entry, error) {
	if a.control != nil {
		return a.control.History(), nil
	}
	s, err := a.configLog.State(ctx)
	return s.History, err
}
