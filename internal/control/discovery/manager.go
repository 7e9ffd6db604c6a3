package discovery

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/smartlb/smartlb/internal/control/config"
)

// Config of a Manager.
type Config struct {
	Node config.DiscoveryNode
	Dir  string           // of the last good answers; "": they are not kept
	Now  func() time.Time // wall clock
	// instances that registered themselves; nil: there is no Kafka, and services with discovery.kafka are refused
	Registrations *Registrations
	Standings     func(service string) func(id string) Standing // of the instances of a service
	Own           func(address string) bool                     // reports whether an address is a listener of this node
	Changed       func()                                        // called when Step may have something to do; never two calls at the same time
	Log           *slog.Logger
}

// Manager runs the sources of all services. Its methods are safe for concurrent use.
//
// Set and Step return instances. Their callers must put them in place in the order of the calls.
type Manager struct {
	cfg   Config
	store store
	wake  chan struct{}
	sets  chan struct{} // the sources may differ from those that run

	mu       sync.Mutex // protects the fields below
	services map[string]*entry
	static   map[string][]config.Instance // of all services, from the last Set
}

// entry is a service with sources.
type entry struct {
	membership
	cfg     config.Discovery
	sources []source
	bounds  Bounds
	begun   bool // its sources run
	stop    context.CancelFunc
	answers uint64 // good ones
	errors  uint64
	joins   uint64
	leaves  uint64
	pending []Change  // by a configuration: Step reports them
	dirty   bool      // Step has something to do
	unsaved bool      // an answer is not on the disk yet
	savedAt time.Time // of the last save
}

// Times of the manager.
const (
	stepPace = 100 * time.Millisecond // between two calls of Changed: answers that arrive together are applied together
	tick     = time.Second            // instances that are held may leave, and a source may become stale
	savePace = 5 * time.Second        // between two saves of a service
)

// New returns a manager without services.
func New(cfg Config) *Manager {
	return &Manager{
		cfg: cfg, store: store{dir: cfg.Dir, log: cfg.Log}, wake: make(chan struct{}, 1), sets: make(chan struct{}, 1),
		services: map[string]*entry{}, static: map[string][]config.Instance{},
	}
}

// Check returns an error if this node cannot run the sources of services. It changes nothing.
func (m *Manager) Check(services []config.Service) error {
	for _, s := range services {
		if s.Discovery == nil {
			continue
		}
		if _, _, err := newSources(s.ID, *s.Discovery, m.cfg); err != nil {
			return &Error{Service: s.ID, Err: err}
		}
	}
	return nil
}

// Error says that this node cannot run the sources of a service.
type Error struct {
	Service string
	Err     error
}

// Error returns the text.
func (e *Error) Error() string { return "service " + e.Service + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Set takes the services of a configuration that Check accepted. It returns them with the instances that are known now.
// Sources that are new begin with Run.
func (m *Manager) Set(services []config.Service) []config.Service {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.note(m.sets)
	out, next, static := slices.Clone(services), map[string]*entry{}, map[string][]config.Instance{}
	for i, s := range services {
		static[s.ID] = s.Instances
		if s.Discovery == nil {
			continue
		}
		e := m.services[s.ID]
		if e == nil || !reflect.DeepEqual(e.cfg, *s.Discovery) {
			e = m.renew(s, e)
		}
		e.static = s.Instances
		changes, _ := m.step(e)
		e.pending = append(e.pending, found(changes)...)
		e.dirty = len(e.pending) > 0
		next[s.ID], out[i].Instances = e, e.instances()
	}
	for id, e := range m.services {
		if next[id] != e && e.stop != nil {
			e.stop()
		}
		if next[id] == nil {
			m.store.forget(id)
		}
	}
	m.services, m.static = next, static
	return out
}

// found returns the changes of instances that a source found. Those of the document are in the history of the configuration.
func found(all []Change) (out []Change) {
	for _, c := range all {
		if c.Source != "" {
			out = append(out, c)
		}
	}
	return out
}

// renew returns the entry of a service whose discovery is new or changed. It keeps the members, and what is known from
// sources that stay.
func (m *Manager) renew(s config.Service, old *entry) *entry {
	d, now := *s.Discovery, m.cfg.Now()
	e := &entry{membership: membership{service: s.ID, maxLoss: d.MaxLoss, most: d.Most(), firstWait: d.StaleAfter}, cfg: d, bounds: Bounds{Most: d.MaxInstances, Allow: d.Allow, Own: m.cfg.Own}}
	names, sources, err := newSources(s.ID, d, m.cfg)
	if err != nil { // Check accepted it: a file has changed since
		m.cfg.Log.Error("the sources of a service cannot run", "service", s.ID, "error", err)
	}
	e.sources = sources
	before := map[string]listing{}
	if old != nil {
		e.members, e.losses, e.pending = old.members, old.losses, old.pending
		e.answers, e.errors, e.joins, e.leaves = old.answers, old.errors, old.joins, old.leaves
		for _, l := range old.listings {
			before[l.source] = *l
		}
	} else {
		for _, in := range m.static[s.ID] {
			e.members = append(e.members, member{Instance: in})
		}
	}
	kept, _ := m.store.load(s.ID)
	for _, name := range names {
		l := &listing{source: name, key: keyOf(d, name), since: now}
		if b, ok := before[name]; ok && b.key == l.key && Check(b.targets, e.bounds) == nil {
			*l = b
		} else if i := slices.IndexFunc(kept.Sources, func(a savedAnswer) bool { return a.Source == name && a.Key == l.key }); i >= 0 {
			if err := kept.Sources[i].restore(l, e.bounds, now); err != nil {
				m.cfg.Log.Warn("the last known instances of a source are not used", "service", s.ID, "source", name, "error", err)
			}
		}
		e.listings = append(e.listings, l)
	}
	if len(e.members) == 0 && old == nil {
		kept.restoreHeld(&e.membership, e.bounds, now)
	}
	return e
}

// Result is what Step found for one service.
type Result struct {
	Service   string
	Instances []config.Instance
	Changes   []Change // who joined and left
}

// Step applies the answers since the last call, as far as the bounds of each service permit, and returns the services whose
// instances differ.
func (m *Manager) Step() []Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Result
	for id, e := range m.services {
		if !e.dirty && e.held == 0 {
			continue
		}
		changes, changed := m.step(e)
		if changes = append(e.pending, changes...); changed || len(changes) > 0 {
			out = append(out, Result{Service: id, Instances: e.instances(), Changes: changes})
		}
		e.pending = nil
	}
	return out
}

func (m *Manager) step(e *entry) ([]Change, bool) {
	e.dirty = false
	standing := sync.OnceValue(func() func(id string) Standing { return m.cfg.Standings(e.service) })
	changes, changed := e.membership.step(m.cfg.Now(), func(id string) Standing { return standing()(id) })
	e.unsaved = e.unsaved || changed
	for _, c := range changes {
		if c.Joined {
			e.joins++
		} else {
			e.leaves++
		}
	}
	return changes, changed
}

// Run runs the sources until ctx ends. It returns when all of them have ended.
func (m *Manager) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	defer m.saveAll(true)
	pace := time.NewTimer(0)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.sets:
			m.begin(ctx, &running)
			continue
		case <-ticker.C:
			m.saveAll(false)
		case <-m.wake:
		}
		m.cfg.Changed()
		pace.Reset(stepPace)
		select {
		case <-ctx.Done():
			return nil
		case <-pace.C:
		}
	}
}

// begin starts the sources that do not run yet.
func (m *Manager) begin(ctx context.Context, running *sync.WaitGroup) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.services {
		if e.begun {
			continue
		}
		var own context.Context
		own, e.stop = context.WithCancel(ctx)
		e.begun = true
		for i, s := range e.sources {
			running.Go(func() {
				s.run(own, func(found []config.Instance, err error) { m.answered(e, e.listings[i], found, err) })
			})
		}
	}
}

// answered takes an answer of a source.
func (m *Manager) answered(e *entry, l *listing, found []config.Instance, err error) {
	if err == nil {
		err = Check(found, e.bounds)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.services[e.service] != e {
		return // the configuration has changed
	}
	before := l.err
	switch {
	case errors.Is(err, errUnchanged):
		if l.err == "" {
			l.at = m.cfg.Now()
		}
		return
	case err != nil:
		e.fail(l, short(err.Error()))
	case e.answer(l, found, m.cfg.Now()):
		e.dirty, e.unsaved = true, true
		m.note(m.wake)
	}
	if l.err != "" {
		e.errors++
	} else {
		e.answers++
	}
	switch {
	case l.err != "" && before != l.err:
		m.cfg.Log.Warn("a source of instances fails; its instances stay", "service", e.service, "source", l.source, "error", l.err, "instances", len(l.targets))
	case l.err == "" && before != "":
		m.cfg.Log.Info("a source of instances answers again", "service", e.service, "source", l.source, "instances", len(l.targets))
	}
}

// maxReason is the longest text of an error in bytes.
const maxReason = 300

// short returns the text of an error without control characters, which a server may have sent.
func short(s string) string {
	if len(s) > maxReason {
		s = s[:maxReason] + "..."
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
}

func (m *Manager) note(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// saveAll saves the answers that are not on the disk yet. Without now, a service that was saved a moment ago waits.
func (m *Manager) saveAll(now bool) {
	type file struct {
		service  string
		listings []listing
		held     []member
		losses   []time.Time
	}
	var files []file
	m.mu.Lock()
	for id, e := range m.services {
		if !e.unsaved || !now && m.cfg.Now().Sub(e.savedAt) < savePace {
			continue
		}
		e.unsaved, e.savedAt = false, m.cfg.Now()
		f := file{service: id, losses: slices.Clone(e.losses)}
		for _, in := range e.members {
			if in.held && in.Source != "" {
				f.held = append(f.held, in)
			}
		}
		for _, l := range e.listings {
			if !l.at.IsZero() {
				f.listings = append(f.listings, *l) // nobody changes the targets of an answer
			}
		}
		files = append(files, f)
	}
	m.mu.Unlock()
	for _, f := range files {
		if err := m.store.save(f.service, f.listings, f.held, f.losses); err != nil {
			m.cfg.Log.Warn("the instances of a service cannot be saved: a restart while its source is down begins without them", "service", f.service, "error", err)
		}
	}
}
