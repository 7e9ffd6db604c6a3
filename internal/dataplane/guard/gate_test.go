package guard

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// model is what a gate should do, written with slices.
type model struct {
	l       Limits
	running []*Waiter
	queues  [priorities][]*Waiter
}

func (m *model) waiting() int { return len(m.queues[Normal]) + len(m.queues[Low]) }

func (m *model) state(w *Waiter) Admission {
	switch {
	case slices.Contains(m.running, w):
		return Inside
	case slices.Contains(m.queues[Normal], w), slices.Contains(m.queues[Low], w):
		return Queued
	}
	return Refused
}

func (m *model) admit() {
	for p := range m.queues {
		for len(m.queues[p]) > 0 && (m.l.Running == 0 || len(m.running) < m.l.Running) {
			m.running = append(m.running, m.queues[p][0])
			m.queues[p] = m.queues[p][1:]
		}
	}
}

func (m *model) enter(w *Waiter, p Priority) {
	switch {
	case m.l.Running == 0 || len(m.running) < m.l.Running && m.waiting() == 0:
		m.running = append(m.running, w)
	case m.waiting() < m.l.Waiting:
		m.queues[p] = append(m.queues[p], w)
	case p == Normal && len(m.queues[Low]) > 0:
		m.queues[Low] = m.queues[Low][:len(m.queues[Low])-1]
		m.queues[p] = append(m.queues[p], w)
	}
}

func without(list []*Waiter, w *Waiter) []*Waiter {
	return slices.DeleteFunc(slices.Clone(list), func(o *Waiter) bool { return o == w })
}

func TestAGateDoesWhatItsModelDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := func() Limits {
			return Limits{Running: rapid.IntRange(0, 4).Draw(t, "running"), Waiting: rapid.IntRange(0, 5).Draw(t, "waiting")}
		}
		g, m := &Gate{}, &model{l: limits()}
		g.Set(m.l)
		all := make([]*Waiter, 12)
		for i := range all {
			all[i] = NewWaiter()
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w := all[rapid.IntRange(0, len(all)-1).Draw(t, "waiter")]
			switch before := m.state(w); {
			case rapid.IntRange(0, 9).Draw(t, "change") == 0:
				m.l = limits()
				g.Set(m.l)
				m.admit()
			case before == Refused:
				p := Priority(rapid.IntRange(0, 1).Draw(t, "priority"))
				m.enter(w, p)
				if got := g.Enter(w, p); got != m.state(w) {
					t.Fatalf("entered: %v, want %v", got, m.state(w))
				}
			case before == Inside:
				g.Leave(w)
				m.running = without(m.running, w)
				m.admit()
			default:
				if got := g.Settle(w, true, QueueTimeout); got != Refused {
					t.Fatalf("gave up: %v", got)
				}
				for p := range m.queues {
					m.queues[p] = without(m.queues[p], w)
				}
			}
			for i, w := range all {
				want := m.state(w)
				if got := g.Settle(w, false, 0); got != want {
					t.Fatalf("request %d is %v, want %v", i, got, want)
				}
			}
			if c := g.Counts(); c.Running != len(m.running) || c.Waiting != m.waiting() {
				t.Fatalf("%+v, want %d and %d", c, len(m.running), m.waiting())
			}
			if g.Limited() != (m.l.Running > 0) {
				t.Fatalf("limited: %v with %+v", g.Limited(), m.l)
			}
		}
	})
}

// Requests of many goroutines never exceed the limit, and each of them is let in or refused.
func TestAGateHoldsItsLimitUnderLoad(t *testing.T) {
	const limit, requests = 3, 300
	g := &Gate{}
	g.Set(Limits{Running: limit, Waiting: 5})
	var running, most, served, refused atomic.Int64
	var wg sync.WaitGroup
	for k := range 16 {
		wg.Go(func() {
			w := NewWaiter()
			for i := range requests {
				a := g.Enter(w, Priority((k+i)%2))
				for a == Queued {
					if i%7 == 0 {
						w.Wake() // as the end of a client does
					}
					<-w.C()
					a = g.Settle(w, i%7 == 0, QueueLeft)
				}
				if a == Refused {
					refused.Add(1)
					continue
				}
				n := running.Add(1)
				for {
					if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
						break
					}
				}
				running.Add(-1)
				served.Add(1)
				g.Leave(w)
			}
		})
	}
	wg.Wait()
	c := g.Counts()
	if most.Load() > limit || served.Load()+refused.Load() != 16*requests || c.Running != 0 || c.Waiting != 0 {
		t.Errorf("at most %d at the same time, %d served, %d refused, then %+v", most.Load(), served.Load(), refused.Load(), c)
	}
	if c.Entered != uint64(served.Load()) || c.Refused[QueueFull]+c.Refused[QueueLeft] != uint64(refused.Load()) {
		t.Errorf("%+v, but %d were served and %d refused", c, served.Load(), refused.Load())
	}
}

func TestNormalRequestsDisplaceLowOnes(t *testing.T) {
	g := &Gate{}
	g.Set(Limits{Running: 1, Waiting: 2})
	w := make([]*Waiter, 6)
	for i := range w {
		w[i] = NewWaiter()
	}
	for i, step := range []struct {
		p    Priority
		want Admission
	}{{Low, Inside}, {Low, Queued}, {Low, Queued}, {Low, Refused}, {Normal, Queued}} {
		if got := g.Enter(w[i], step.p); got != step.want {
			t.Fatalf("request %d: %v, want %v", i, got, step.want)
		}
	}
	<-w[2].C()
	if g.Settle(w[2], false, 0) != Refused || g.Settle(w[1], false, 0) != Queued {
		t.Error("the request that came last was not displaced")
	}
	g.Leave(w[0])
	<-w[4].C()
	if g.Settle(w[4], false, 0) != Inside || g.Settle(w[1], false, 0) != Queued {
		t.Error("the normal request did not go first")
	}
	if c := g.Counts(); c.Refused[QueueFull] != 2 || c.Queued != 1 {
		t.Errorf("%+v", c)
	}
}
