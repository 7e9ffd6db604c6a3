package app

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/discovery"
	"github.com/smartlb/smartlb/internal/event"
	loads "github.com/smartlb/smartlb/internal/telemetry/collector"
	"github.com/smartlb/smartlb/internal/telemetry/nodes"
)

// newCollector creates the collector of load reports, if the node has its role.
func (a *App) newCollector() (err error) {
	if !a.o.has(event.RoleCollector) {
		return nil
	}
	if a.fleet, err = loads.NewFleet(a.kafka, a.node, nodes.NewWatch(a.kafka), a.o.Log); err != nil {
		return err
	}
	if a.data == nil {
		a.members = a.newMembers()
	}
	var cluster loads.Cluster
	if access, err := discovery.NewKubernetesAccess(a.o.Document.Discovery.Kubernetes); err == nil { // otherwise there is none
		cluster = access
	}
	a.collector = loads.New(loads.Config{
		Node: a.node, Services: a.services, Nodes: a.fleet.Nodes, Cluster: cluster, Sender: a.producer, Wall: time.Now, Log: a.o.Log,
	})
	return nil
}

// services returns the services that the node serves, or, without the role proxy, those of the published configuration.
func (a *App) services() []config.Service {
	if a.data != nil {
		return a.data.keeper.Services()
	}
	return a.members.all()
}

func (a *App) startCollector(acts *actors) {
	var published func([]config.Service)
	if a.members != nil {
		published = a.members.set
		acts.start("discovery for load reports", a.members.run, nil)
	}
	acts.start("nodes with the role collector", func(ctx context.Context) error { return a.fleet.Run(ctx, published) }, nil)
	acts.start("collector", a.asOwner(a.collector.Run), nil)
}
