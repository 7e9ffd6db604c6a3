package upstream

import (
	"testing"
	"time"
)

// A session ends when its instance leaves rotation, or a grace later.
func TestASessionEndsWithItsInstance(t *testing.T) {
	const left = 10 * second // when the instance left rotation
	failing := func(l *Live) {
		for range FailingAfter {
			l.observe(Failed, left, left, LatencyFloor)
		}
	}
	for _, row := range []struct {
		why          string
		edit         func(m *Member, p *Pool)
		drain, eject time.Duration
		at           int64
		want         bool
	}{
		{why: "in rotation", at: left, want: true},
		{why: "draining", edit: func(m *Member, _ *Pool) { m.Out = Draining }, at: left},
		{why: "draining, within its grace", edit: func(m *Member, _ *Pool) { m.Out = Draining }, drain: 5 * time.Second, at: left + 4*second, want: true},
		{why: "draining, after its grace", edit: func(m *Member, _ *Pool) { m.Out = Draining }, drain: 5 * time.Second, eject: time.Hour, at: left + 5*second},
		{why: "ejected", edit: func(m *Member, _ *Pool) { m.Out = Ejected }, drain: time.Hour, at: left},
		{why: "ejected, within its grace", edit: func(m *Member, _ *Pool) { m.Out = Ejected }, eject: 5 * time.Second, at: left + 4*second, want: true},
		{why: "ejected, after its grace", edit: func(m *Member, _ *Pool) { m.Out = Ejected }, drain: time.Hour, eject: 5 * time.Second, at: left + 5*second},
		{why: "unhealthy", edit: func(m *Member, _ *Pool) { m.Out = Unhealthy }, at: left},
		{why: "reported", edit: func(m *Member, _ *Pool) { m.Out = Reported }, at: left},
		{why: "unhealthy in panic", edit: func(m *Member, p *Pool) { m.Out, p.Panic = Unhealthy, true }, at: left, want: true},
		{why: "draining in panic", edit: func(m *Member, p *Pool) { m.Out, p.Panic = Draining, true }, at: left},
		{why: "on trial, right after a failure", edit: func(m *Member, _ *Pool) { m.OnTrial = true; failing(m.Live) }, at: left},
		{why: "on trial, later", edit: func(m *Member, _ *Pool) { m.OnTrial = true; failing(m.Live) }, at: left + 3*second, want: true},
		{why: "on trial, within the grace", edit: func(m *Member, _ *Pool) { m.OnTrial = true; failing(m.Live) }, eject: time.Second, at: left, want: true},
	} {
		s, p := NewService("s"), &Pool{}
		for _, id := range []string{"a", "b", "c"} {
			p.Members = append(p.Members, Member{Live: NewLive("s", id, "", 1, 0), Since: left})
		}
		m := &p.Members[1]
		if row.edit != nil {
			row.edit(m, p)
		}
		s.Swap(p)
		for _, at := range []int{1, 0, 99} { // the configuration of a session may be older than the pool
			var ticket Ticket
			_, ok := s.PickSession("b", at, row.drain, row.eject, &Ask{Now: row.at}, &ticket)
			if ok != row.want {
				t.Errorf("%s: picked %v", row.why, ok)
			}
			if ok != (ticket.Held() && ticket.Live() == m.Live && m.InFlight.Load() == 1) {
				t.Errorf("%s: ticket %+v, %d in flight", row.why, ticket, m.InFlight.Load())
			}
			if ok {
				ticket.Release()
			}
		}
		if _, ok := s.PickSession("d", 1, time.Hour, time.Hour, &Ask{Now: row.at}, &Ticket{}); ok {
			t.Error("an instance that is gone was picked")
		}
	}
}

// Requests of sessions to an instance on trial come one at a time, as all others.
func TestASessionDoesNotFloodAnInstanceOnTrial(t *testing.T) {
	l := NewLive("s", "a", "", 1, 0)
	for range FailingAfter {
		l.observe(Failed, second, second, LatencyFloor)
	}
	s := NewService("s")
	s.Swap(&Pool{Members: []Member{{Live: l, OnTrial: true}}})
	var first, second2 Ticket
	if _, ok := s.PickSession("a", 0, 0, 0, &Ask{Now: 9 * second}, &first); !ok {
		t.Fatal("no trial")
	}
	if _, ok := s.PickSession("a", 0, 0, 0, &Ask{Now: 9 * second}, &second2); ok {
		t.Error("two at a time")
	}
	first.Observe(Success, 10*second)
	first.Release()
	for range 2 {
		if _, ok := s.PickSession("a", 0, 0, 0, &Ask{Now: 10 * second}, &Ticket{}); !ok {
			t.Error("after a success")
		}
	}
}
