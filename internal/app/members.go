package app

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/discovery"
)

// members are the services of the published configuration with their instances, on a node with the role collector and without
// the role proxy. It runs the sources of services whose load reports it collects. Its methods are safe for concurrent use.
type members struct {
	log     *slog.Logger
	manager *discovery.Manager

	mu       sync.Mutex
	services []config.Service // replaced, never changed
}

func (a *App) newMembers() *members {
	m, dir := &members{log: a.o.Log}, ""
	if a.o.DataDir != "" {
		dir = filepath.Join(a.o.DataDir, "discovery")
	}
	a.registrations = discovery.NewRegistrations()
	m.manager = discovery.New(discovery.Config{
		Node: a.o.Document.Discovery, Registrations: a.registrations, Dir: dir, Now: time.Now, Log: a.o.Log,
		Standings: func(string) func(string) discovery.Standing { // this node sends them no requests
			return func(string) discovery.Standing { return discovery.Working }
		},
		Own: (&ownAddresses{a: a, now: time.Now}).has, Changed: m.step,
	})
	return m
}

func (m *members) run(ctx context.Context) error { return m.manager.Run(ctx) }

// set takes the services of a revision. A source that cannot run on this node is logged, and the others run.
func (m *members) set(services []config.Service) {
	services = slices.Clone(services)
	for i := range services {
		s := &services[i]
		if s.Discovery == nil {
			continue
		}
		if s.LoadReports == nil {
			s.Discovery = nil
		} else if err := m.manager.Check(services[i : i+1]); err != nil {
			m.log.Error("load reports of instances that a source lists are not collected here", "error", err)
			s.Discovery = nil
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.services = m.manager.Set(services)
}

func (m *members) step() {
	m.mu.Lock()
	defer m.mu.Unlock()
	results := m.manager.Step()
	if len(results) == 0 {
		return
	}
	services := slices.Clone(m.services)
	for _, r := range results {
		if i := slices.IndexFunc(services, func(s config.Service) bool { return s.ID == r.Service }); i >= 0 {
			services[i].Instances = r.Instances
		}
	}
	m.services = services
}

// all returns the services. They must not be changed.
func (m *members) all() []config.Service {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.services
}
