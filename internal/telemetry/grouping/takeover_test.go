package grouping

import (
	"slices"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
)

// takeOver returns the state that the next sender makes of the alerts so far and of what the sender before wrote.
func takeOver(m *Groups, second int, silences []configlog.Silence, alerts ...event.Alert) *Groups {
	mark := m.Mark(at(second))
	next := New(m.c)
	next.Silence(silences, at(second))
	slices.SortStableFunc(alerts, func(a, b event.Alert) int { return int(a.Seq) - int(b.Seq) })
	for _, a := range alerts {
		next.Recall(a, mark, at(second))
	}
	return next
}

func TestTheNextSenderRepeatsNothing(t *testing.T) {
	m := New(settings())
	m.Apply(alert("i1", 0, 0), at(0))
	same(t, run(m, 0, 3700, nil), "30: firing i1", "3630: firing i1")
	for range 3 {
		m = takeOver(m, 3700, nil, alert("i1", 0, 0), alert("old", 0, 0), alert("old", 0, 100))
	}
	got := run(m, 3700, 7300, nil)
	m.Apply(alert("i1", 0, 7300), at(7300))
	same(t, append(got, run(m, 7300, 8000, nil)...), "7230: firing i1", "7530: resolved i1")
}

func TestTheNextSenderSendsWhatWasNotDelivered(t *testing.T) {
	t.Run("not due yet", func(t *testing.T) {
		m := New(settings())
		m.Apply(alert("i1", 0, 0), at(0))
		run(m, 0, 60, nil)
		m.Apply(alert("i2", 61, 0), at(61))
		m = takeOver(m, 70, nil, alert("i1", 0, 0), alert("i2", 61, 0))
		same(t, run(m, 70, 1000, nil), "330: firing i1, firing i2")
	})
	t.Run("not delivered", func(t *testing.T) {
		m := New(settings())
		m.Apply(alert("i1", 0, 0), at(0))
		run(m, 0, 60, func(int) bool { return true })
		m = takeOver(m, 60, nil, alert("i1", 0, 0))
		m.Apply(alert("i1", 0, 60), at(60)) // the receiver may know it
		same(t, run(m, 60, 1000, nil), "90: resolved i1")
	})
	t.Run("the end not delivered", func(t *testing.T) {
		m := New(settings())
		m.Apply(alert("i1", 0, 0), at(0))
		run(m, 0, 60, nil)
		m.Apply(alert("i1", 0, 60), at(60))
		m = takeOver(m, 70, nil, alert("i1", 0, 0), alert("i1", 0, 60))
		same(t, run(m, 70, 1000, nil), "330: resolved i1")
	})
	t.Run("perhaps delivered with another alert", func(t *testing.T) {
		m := New(settings())
		m.Apply(alert("i1", 0, 0), at(0))
		m.Apply(alert("i2", 0, 0), at(0))
		m.Apply(alert("i1", 0, 10), at(10))
		m = takeOver(m, 20, nil, alert("i1", 0, 0), alert("i1", 0, 10), alert("i2", 0, 0))
		same(t, run(m, 20, 1000, nil), "30: firing i2, resolved i1")
	})
	t.Run("a receiver that is new", func(t *testing.T) {
		m := New(settings())
		for _, a := range []event.Alert{alert("i1", 0, 0), alert("i2", 0, 0), alert("i2", 0, 100)} {
			m.Recall(a, Mark{}, at(1000))
		}
		same(t, run(m, 1000, 2000, nil), "1000: firing i1")
	})
}

func TestTheNextSenderHonoursSilences(t *testing.T) {
	silences := []configlog.Silence{{Silence: event.Silence{ID: "s", RuleID: "instance-down", EndsAt: at(1000)}, Since: at(50)}}
	m := New(settings())
	m.Apply(alert("i1", 0, 0), at(0)) // known
	run(m, 0, 50, nil)
	m.Silence(silences, at(50))
	m.Apply(alert("i2", 60, 0), at(60))    // not known
	m.Apply(alert("i1", 0, 100), at(100))  // known, and it ends
	m.Apply(alert("i3", 60, 0), at(60))    // not known, and it ends
	m.Apply(alert("i3", 60, 200), at(200)) // ...
	m = takeOver(m, 300, silences, alert("i1", 0, 0), alert("i1", 0, 100), alert("i2", 60, 0), alert("i3", 60, 0), alert("i3", 60, 200))
	same(t, run(m, 300, 2000, nil), "1000: firing i2, resolved i1")
}

func TestPhaseKeepsTheRhythm(t *testing.T) {
	for _, row := range []struct{ now, want int }{{30, 30}, {31, 30}, {3629, 30}, {3630, 3630}, {9000, 7230}, {10, 10}} {
		if got := phase(at(30), time.Hour, at(row.now)); !got.Equal(at(row.want)) {
			t.Errorf("at %d: %s", row.now, got.Sub(begin))
		}
	}
}
