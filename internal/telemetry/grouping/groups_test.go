package grouping

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
)

var begin = time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }

// alert returns the state of the alert of an instance; fired and ended are seconds, ended 0: it fires.
func alert(instance string, fired, ended int) event.Alert {
	a := event.Alert{
		Fingerprint: "fp-" + instance, AlertID: fmt.Sprintf("%s-%d", instance, fired), RuleID: "instance-down", Status: event.AlertFiring,
		Severity: event.SeverityCritical, Labels: map[string]string{"service": "shop", "instance": instance},
		StartsAt: at(fired), FiredAt: at(fired), UpdatedAt: at(fired), Seq: uint64(fired) + 1,
	}
	if ended > 0 {
		a.Status, a.EndsAt, a.UpdatedAt, a.Seq = event.AlertResolved, at(ended), at(ended), uint64(ended)+1
	}
	return a
}

func settings() Config {
	return Config{By: []string{LabelRule, "service"}, Wait: 30 * time.Second, Interval: 5 * time.Minute, Repeat: time.Hour, MinSeverity: event.SeverityInfo, Resolved: true}
}

// text writes a message as "status instance" words.
func text(m Message) string {
	var out []string
	for _, a := range m.Alerts {
		out = append(out, a.Status+" "+a.Labels["instance"])
	}
	return strings.Join(out, ", ")
}

// run lets each second from one to the other pass, and returns the messages as "second: text". fail says which messages
// are not delivered.
func run(m Machine, from, to int, fail func(second int) bool) (out []string) {
	for s := from; s <= to; s++ {
		for {
			msg, ok := m.Take(at(s))
			if !ok {
				break
			}
			word := ""
			failed := fail != nil && fail(s)
			if failed {
				word = " (failed)"
			}
			m.Settle(msg, at(s), !failed, at(s+10))
			out = append(out, fmt.Sprintf("%d: %s%s", s, text(msg), word))
		}
	}
	return out
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("messages\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestAlertsOfAGroupShareAMessage(t *testing.T) {
	m := New(settings())
	m.Apply(alert("i1", 0, 0), at(0))
	m.Apply(alert("i2", 20, 0), at(20))
	got := run(m, 20, 100, nil)
	m.Apply(alert("i3", 101, 0), at(101))
	m.Apply(alert("i1", 0, 110), at(110))
	got = append(got, run(m, 110, 500, nil)...)
	same(t, got, "30: firing i1, firing i2", "330: firing i2, firing i3, resolved i1")
}

func TestAMessageIsRepeatedWhileAlertsFire(t *testing.T) {
	m := New(settings())
	m.Apply(alert("i1", 0, 0), at(0))
	got := run(m, 0, 8000, nil)
	m.Apply(alert("i1", 0, 8001), at(8001))
	got = append(got, run(m, 8001, 20_000, nil)...)
	same(t, got, "30: firing i1", "3630: firing i1", "7230: firing i1", "8031: resolved i1")
	if n := len(m.groups); n != 0 {
		t.Errorf("%d groups are kept", n)
	}
}

func TestAnAlertThatEndsBeforeItsMessageIsNotReported(t *testing.T) {
	m := New(settings())
	m.Apply(alert("i1", 0, 0), at(0))
	m.Apply(alert("i1", 0, 29), at(29))
	same(t, run(m, 29, 10_000, nil))
	if m.Stats() != (Stats{}) {
		t.Errorf("%+v", m.Stats())
	}
}

// Otherwise people learn of an outage at night by no message at all.
func TestAnAlertThatEndsWhileTheReceiverIsDownIsReported(t *testing.T) {
	m := New(settings())
	down := func(s int) bool { return s < 600 }
	m.Apply(alert("i1", 0, 0), at(0))
	got := run(m, 0, 50, down)
	m.Apply(alert("i1", 0, 51), at(51))
	got = append(got, run(m, 590, 700, down)...)
	same(t, got, "30: firing i1 (failed)", "40: firing i1 (failed)", "50: firing i1 (failed)", "590: resolved i1 (failed)", "600: resolved i1")

	c := settings()
	c.Resolved = false
	m = New(c)
	m.Apply(alert("i1", 0, 0), at(0))
	run(m, 0, 50, down)
	m.Apply(alert("i1", 0, 51), at(51))
	same(t, run(m, 51, 1000, nil))
	if s := m.Stats(); s.Missed != 1 || s.Alerts != 0 {
		t.Errorf("%+v", s)
	}
}

// With sendResolved false, the second occurrence is a change, see alertmanager issue 1063.
func TestAnAlertThatFiresAgainIsReportedAgain(t *testing.T) {
	for _, resolved := range []bool{true, false} {
		c := settings()
		c.Resolved = resolved
		m := New(c)
		m.Apply(alert("i1", 0, 0), at(0))
		got := run(m, 0, 40, nil)
		m.Apply(alert("i1", 0, 50), at(50))
		m.Apply(alert("i1", 60, 0), at(60))
		got = append(got, run(m, 60, 400, nil)...)
		same(t, got, "30: firing i1", "330: firing i1")
	}
}

func TestChangesDuringAMessageAreNotLost(t *testing.T) {
	m := New(settings())
	m.Apply(alert("i1", 0, 0), at(0))
	msg, ok := m.Take(at(30))
	if _, twice := m.Take(at(31)); !ok || twice {
		t.Fatal("no message, or two at once")
	}
	m.Apply(alert("i1", 0, 31), at(31))
	m.Apply(alert("i2", 31, 0), at(31))
	m.Settle(msg, at(32), true, time.Time{})
	same(t, run(m, 32, 1000, nil), "332: firing i2, resolved i1")
}

func TestSilencedAlertsAreNotSent(t *testing.T) {
	silence := func(instance string, from, to int) configlog.Silence {
		return configlog.Silence{Silence: event.Silence{ID: instance, Labels: map[string]string{"instance": instance}, EndsAt: at(to)}, Since: at(from)}
	}
	m := New(settings())
	m.Silence([]configlog.Silence{silence("i1", 0, 1000)}, at(0))
	m.Apply(alert("i1", 0, 0), at(0)) // silenced when it fires, and longer
	m.Apply(alert("i2", 0, 0), at(0))
	m.Apply(alert("i3", 0, 0), at(0)) // silenced after its message, and it ends before the silence
	got := run(m, 0, 40, nil)
	m.Silence([]configlog.Silence{silence("i1", 0, 1000), silence("i3", 41, 2000)}, at(41))
	m.Apply(alert("i3", 0, 50), at(50))
	got = append(got, run(m, 50, 2500, nil)...)
	same(t, got, "30: firing i2, firing i3", "1000: firing i1, firing i2", "2000: firing i1, firing i2, resolved i3")

	m = New(settings())
	m.Silence([]configlog.Silence{silence("i1", 0, 1000)}, at(0))
	m.Apply(alert("i1", 0, 0), at(0))
	m.Apply(alert("i1", 0, 500), at(500))
	same(t, run(m, 0, 3000, nil))
	m.Apply(alert("i1", 3000, 0), at(3000))
	m.Silence([]configlog.Silence{silence("i1", 3000, 9000)}, at(3000))
	got = run(m, 3000, 3100, nil)
	m.Silence([]configlog.Silence{silence("i1", 3000, 3100)}, at(3100)) // smartlb alerts unsilence
	same(t, append(got, run(m, 3100, 3200, nil)...), "3100: firing i1")
}

func TestAlertsBelowTheSeverityAreIgnored(t *testing.T) {
	c := settings()
	c.MinSeverity = event.SeverityWarning
	m := New(c)
	for i, severity := range []string{event.SeverityInfo, event.SeverityWarning, event.SeverityCritical} {
		a := alert(fmt.Sprint("i", i), 0, 0)
		a.Severity = severity
		m.Apply(a, at(0))
	}
	same(t, run(m, 0, 100, nil), "30: firing i2, firing i1")
}

func TestOldStatesChangeNothing(t *testing.T) {
	m := New(settings())
	m.Apply(alert("i1", 100, 0), at(100))
	same(t, run(m, 100, 200, nil), "130: firing i1")
	m.Apply(alert("i1", 0, 90), at(201)) // of the occurrence before, by an analyzer that took over
	again := alert("i1", 100, 0)
	again.UpdatedAt, again.Seq = at(300), 301 // published again each day
	m.Apply(again, at(300))
	m.Apply(alert("i1", 100, 0), at(301))
	same(t, run(m, 300, 1000, nil))
	if got := m.entries["fp-i1"].alert.UpdatedAt; !got.Equal(at(300)) {
		t.Errorf("updated at %s", got)
	}
	same(t, run(m, 300+int(staleTime.Seconds()), 400+int(staleTime.Seconds()), nil)) // no analyzer repeats it any more
	if s := m.Stats(); s.Alerts != 0 {
		t.Errorf("%+v", s)
	}
}

// A client of Kafka can invent alerts, but not more groups and alerts than these.
func TestGroupsAndAlertsAreBounded(t *testing.T) {
	c := settings()
	c.By = []string{"instance"}
	m := New(c)
	for i := range maxAlerts + 5 {
		m.Apply(alert(fmt.Sprint("i", i), 0, 0), at(0))
	}
	messages, alerts := 0, 0
	for {
		msg, ok := m.Take(at(30))
		if !ok {
			break
		}
		m.Settle(msg, at(30), true, time.Time{})
		messages, alerts = messages+1, alerts+len(msg.Alerts)
	}
	if messages != maxGroups+1 || alerts != maxAlerts || m.Stats().Dropped != 5 {
		t.Errorf("%d messages about %d alerts, %+v", messages, alerts, m.Stats())
	}
}

func TestTheKeyOfAGroupIsThatOfAlertmanager(t *testing.T) {
	key, labels := keyOf(alert("i1", 0, 0), []string{"service", LabelRule, "node"})
	if want := `{}:{alertname="instance-down", service="shop"}`; key != want || len(labels) != 2 {
		t.Errorf("%s %v", key, labels)
	}
}
