package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/smartlb/smartlb/internal/control/access"
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
	cluster, _ := discovery.NewKubernetesAccess(a.o.Document.Discovery.Kubernetes) // each question reads it again, and says what is wrong
	a.collector = loads.New(loads.Config{
		Node: a.node, Services: a.services, Nodes: a.fleet.Nodes, Cluster: cluster, Sender: a.producer, Wall: time.Now, Log: a.o.Log,
	})
	a.collector.SetLogins(a.o.Document.Telemetry.ScrapeLogins, a.o.Document.Telemetry.StreamLogins)
	return nil
}

// newReceiver binds the listener for metrics by OTLP, if the node has the role collector and an address for it.
func (a *App) newReceiver() error {
	o := a.o.Document.Telemetry.OTLP
	if a.collector == nil || o.Address == "" {
		return nil
	}
	token, err := "", error(nil)
	if o.Token != "" {
		if token, err = o.Token.Resolve(os.Getenv, os.ReadFile); err != nil {
			return fmt.Errorf("telemetry.otlp.token: %w", err)
		}
	}
	gate, err := access.New(access.Config{Token: token})
	if err != nil {
		return fmt.Errorf("telemetry.otlp: %w", err)
	}
	var secure *tls.Config
	if o.TLS.Cert != "" {
		if secure, err = certificate(o.TLS.Cert, o.TLS.Key); err != nil {
			return fmt.Errorf("telemetry.otlp: %w", err)
		}
		secure.NextProtos = []string{"h2", "http/1.1"}
	}
	a.receiver = loads.NewReceiver(loads.ReceiverConfig{
		Services: a.services, Sender: a.producer, Gate: gate, Wall: time.Now, Log: a.o.Log,
	})
	var h http.Handler = a.receiver
	if gate.Open() { // a page in a browser does not know a token
		h = a.guard(h)
	}
	return a.serve("otlp", o.Address, h, gate, secure)
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
		acts.start("registrations", a.followRegistrations, nil)
	}
	acts.start("nodes with the role collector", func(ctx context.Context) error { return a.fleet.Run(ctx, published) }, nil)
	acts.start("collector", a.asOwner(a.collector.Run), nil)
}
