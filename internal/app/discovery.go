package app

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/discovery"
	"github.com/smartlb/smartlb/internal/control/keeper"
	"github.com/smartlb/smartlb/internal/dataplane/trend"
	"github.com/smartlb/smartlb/internal/event"
)

// newDiscovery returns the manager of the sources of instances.
func (a *App) newDiscovery(d *dataPlane) *discovery.Manager {
	cfg := discovery.Config{
		Node: a.o.Document.Discovery, Now: time.Now, Standings: standings(d.keeper), Own: (&ownAddresses{a: a, now: time.Now}).has, Changed: a.instancesChanged, Log: a.o.Log,
	}
	if a.o.Kafka {
		a.registrations = discovery.NewRegistrations()
		cfg.Registrations = a.registrations
	}
	if a.o.DataDir != "" {
		cfg.Dir = filepath.Join(a.o.DataDir, "discovery")
	}
	return discovery.New(cfg)
}

// instancesChanged puts what discovery found in place, while requests run. It writes the audit records without the lock of
// placeInstances: they have the revision, and the control holds its own lock while it applies a configuration, which takes this
// one.
func (a *App) instancesChanged() {
	for _, r := range a.placeInstances() {
		if len(r.Changes) > 0 {
			a.logChanges(r)
			a.recordChanges(r)
		}
	}
}

// placeInstances returns what has changed.
func (a *App) placeInstances() []discovery.Result {
	d := a.data
	d.membership.Lock()
	defer d.membership.Unlock()
	results := d.discovery.Step()
	if len(results) == 0 {
		return nil
	}
	now := time.Now()
	for _, r := range results {
		d.dispatcher.Table().SetInstances(r.Service, config.IDs(r.Instances))
		d.keeper.SetInstances(r.Service, r.Instances)()
		for _, c := range r.Changes {
			d.trend.Changed(c.Service, c.Instance, standing(c, now))
		}
	}
	d.prober.Set(d.keeper.Targets())
	return results
}

// maxChangeLines limits the lines of the log about one service at one moment.
const maxChangeLines = 20

func (a *App) logChanges(r discovery.Result) {
	if len(r.Changes) > maxChangeLines {
		joins := 0
		for _, c := range r.Changes {
			if c.Joined {
				joins++
			}
		}
		a.o.Log.Info("many instances joined or left", "service", r.Service, "joined", joins, "left", len(r.Changes)-joins, "instances", len(r.Instances))
		return
	}
	for _, c := range r.Changes {
		a.o.Log.Info("instance "+joined(c), "service", c.Service, "instance", c.Instance, "address", c.Address, "source", c.Source)
	}
}

func joined(c discovery.Change) string {
	if c.Joined {
		return "joined"
	}
	return "left"
}

// standing returns a change for the history of its instance.
func standing(c discovery.Change, now time.Time) trend.Standing {
	s := trend.Standing{At: now, From: "absent", To: "in", Reason: "joined: listed by " + c.Source}
	if !c.Joined {
		s.From, s.To, s.Reason = "in", "absent", "left: no longer listed by "+c.Source
		if c.Source == "" {
			s.Reason = "left: sources replace the instances of the configuration"
		}
	}
	return s
}

// recordChanges writes one audit record about all changes of a service at this moment.
func (a *App) recordChanges(r discovery.Result) {
	if a.audit == nil {
		return
	}
	var parts []string
	for _, kind := range []bool{true, false} {
		bySource := map[string][]string{}
		var sources []string
		for _, c := range r.Changes {
			if c.Joined == kind {
				if bySource[c.Source] == nil {
					sources = append(sources, c.Source)
				}
				bySource[c.Source] = append(bySource[c.Source], c.Instance+" ("+c.Address+")")
			}
		}
		slices.Sort(sources)
		for _, s := range sources {
			parts = append(parts, fmt.Sprintf("%d %s from %s: %s", len(bySource[s]), joined(discovery.Change{Joined: kind}), cmp.Or(s, "the configuration"), few(bySource[s])))
		}
	}
	a.audit.Record(event.AuditLog{
		Actor: event.Actor{Type: "system", ID: a.node}, Action: "change.instances", Target: event.Target{Kind: "service", ID: r.Service},
		Reason: strings.Join(parts, "; "), ConfigRevision: a.control.Status().Revision,
	})
}

// few lists the first names.
func few(names []string) string {
	const most = 20
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// awaitDiscovery waits until the sources of instances have answered, so that the first requests find their instances. It does
// not wait longer than a source that hangs deserves.
func (a *App) awaitDiscovery(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstAnswers)
	defer cancel()
	tick := time.NewTicker(checkPace)
	defer tick.Stop()
	for !a.data.discovery.Ready() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	a.instancesChanged()
}

// firstAnswers is the longest wait of a starting node for its sources of instances.
const firstAnswers = 5 * time.Second

// ownAddresses says which addresses are listeners of this process: a request to them would come back.
type ownAddresses struct {
	a   *App
	now func() time.Time

	mu    sync.Mutex
	until time.Time
	local map[string]bool // addresses of this machine
}

// localFor is how long the addresses of this machine are used without a new look.
const localFor = 10 * time.Second

func (o *ownAddresses) has(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(o.a.Listening(), func(l string) bool {
		at, p, err := net.SplitHostPort(l)
		return err == nil && p == port && reaches(host, net.ParseIP(at), o.isLocal)
	})
}

// reaches reports whether a connection to a host reaches a socket of this machine that listens at an IP address.
func reaches(host string, at net.IP, isLocal func(net.IP) bool) bool {
	ip := net.ParseIP(host)
	if ip == nil && strings.EqualFold(host, "localhost") {
		ip = net.IPv4zero // any address of the loopback interface
	}
	switch {
	case ip == nil:
		return false
	case at.IsUnspecified():
		return ip.IsLoopback() || ip.IsUnspecified() || isLocal(ip)
	case ip.IsUnspecified(): // is a connection to the loopback interface
		return at.IsLoopback()
	}
	return ip.Equal(at)
}

func (o *ownAddresses) isLocal(ip net.IP) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := o.now(); o.local == nil || now.After(o.until) {
		o.local, o.until = map[string]bool{}, now.Add(localFor)
		all, _ := net.InterfaceAddrs() // without them, loopback still counts
		for _, n := range all {
			if n, ok := n.(*net.IPNet); ok {
				o.local[n.IP.String()] = true
			}
		}
	}
	return o.local[ip.String()]
}

// Listening returns the addresses of all listeners of this process: of the proxy, admin and console.
func (a *App) Listening() []string {
	out := a.ProxyAddrs()
	for _, w := range a.web {
		out = append(out, w.listener.Addr().String())
	}
	return out
}

// standings returns what a keeper knows about the work of the instances of services.
func standings(k *keeper.Keeper) func(service string) func(id string) discovery.Standing {
	return func(service string) func(id string) discovery.Standing {
		working, down := k.Standings(service)
		return func(id string) discovery.Standing {
			switch {
			case down[id]:
				return discovery.Down
			case working[id]:
				return discovery.Working
			}
			return discovery.Unproven
		}
	}
}
