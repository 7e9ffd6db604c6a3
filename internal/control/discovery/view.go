package discovery

import (
	"slices"
	"strings"
	"time"
)

// View is the state of the sources of one service.
type View struct {
	Service string
	Sources []SourceView
	Members int // instances of the service
	Held    int // of those: no source lists them any more, and too many have left within a minute
	Hidden  int // targets that another source, or the document, has too

	Answers, Errors uint64 // of the sources
	Joins, Leaves   uint64
}

// SourceView is the state of one source.
type SourceView struct {
	Source    string    // its kind and where it is, such as "file payments.json"
	At        time.Time // of the last good answer; zero: none
	Age       time.Duration
	Instances int    // in the last good answer
	Saved     bool   // the last good answer is from the disk
	Error     string // why the latest attempt gave none; "": it did
	Stale     bool   // no good answer for longer than staleAfter
	Refused   uint64 // instances, each time that they tried to register themselves and were not permitted to
	Refusal   string // why the latest one was not
}

// Views returns the services with sources, sorted by id.
func (m *Manager) Views() []View {
	m.mu.Lock()
	defer m.mu.Unlock()
	out, now := make([]View, 0, len(m.services)), m.cfg.Now()
	for id, e := range m.services {
		v := View{Service: id, Members: len(e.members), Held: e.held, Hidden: e.hidden, Answers: e.answers, Errors: e.errors, Joins: e.joins, Leaves: e.leaves}
		for _, l := range e.listings {
			last := l.at
			if last.IsZero() {
				last = l.since
			}
			age := max(0, now.Sub(last))
			view := SourceView{Source: l.source, At: l.at, Age: age, Instances: len(l.targets), Saved: l.saved, Error: l.err, Stale: age > e.cfg.StaleAfter}
			if l.source == sourceKafka {
				view.Refused, view.Refusal = m.cfg.Registrations.refusals(id)
			}
			v.Sources = append(v.Sources, view)
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b View) int { return strings.Compare(a.Service, b.Service) })
	return out
}

// Stale returns the services with a source that has given no good answer for longer than staleAfter, sorted.
func (m *Manager) Stale() (out []string) {
	for _, v := range m.Views() {
		if slices.ContainsFunc(v.Sources, func(s SourceView) bool { return s.Stale }) {
			out = append(out, v.Service)
		}
	}
	return out
}

// Ready reports whether each source has answered, or its instances are known from before, or it has failed.
func (m *Manager) Ready() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.services {
		for _, l := range e.listings {
			if l.at.IsZero() && l.err == "" {
				return false
			}
		}
	}
	return true
}
