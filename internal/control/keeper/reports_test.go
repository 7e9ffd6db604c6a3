package keeper

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/picker"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
)

func (w *world) signed(instance, status, reporter string) {
	w.ObserveStatus(event.HealthStatus{Timestamp: w.cfg.Wall(), ServiceID: "s", InstanceID: instance, Status: status, CheckType: "HTTP"}, reporter, true)
}

func (w *world) count(states ...string) (n int) {
	for _, v := range w.Views() {
		for _, i := range v.Instances {
			if slices.Contains(states, i.State) {
				n++
			}
		}
	}
	return n
}

// Three DRAINING records of any writer emptied a service, without an alert.
func TestReportsTakeOutNoMoreThanMayBeEjected(t *testing.T) {
	for _, status := range []string{event.StatusDraining, event.StatusUnhealthy} {
		for _, senders := range []int{1, 3, 100} {
			for n := 1; n <= 12; n++ {
				w := newWorld()
				w.Apply([]config.Service{configured("s", n)})
				for i := range n {
					for s := range senders {
						w.status(fmt.Sprintf("i%d", i+1), status, fmt.Sprint("sender-", s))
					}
				}
				w.wait(time.Millisecond)
				want := min(picker.DefaultEjection().Most(n), n-1)
				if got := w.count("draining", "reported-unhealthy"); got != want {
					t.Errorf("%s of %d instances by %d senders: %d are out, want %d", status, n, senders, got, want)
				}
				if got := w.Crowds(); !slices.Equal(got, []string{"s"}) {
					t.Errorf("%s of %d instances by %d senders: no alert, %v", status, n, senders, got)
				}
			}
		}
	}
}

func TestAFewReportsActAndAreNoCrowd(t *testing.T) {
	w := newWorld()
	w.Apply([]config.Service{configured("s", 10)})
	for i := range 3 {
		w.status(fmt.Sprintf("i%d", i+1), event.StatusDraining, "")
	}
	w.wait(time.Millisecond)
	if got := w.count("draining"); got != 3 || len(w.Crowds()) != 0 {
		t.Errorf("%d drain, %v", got, w.Crowds())
	}
	// The first that asked stay out while others ask in vain.
	for i := range 10 {
		w.status(fmt.Sprintf("i%d", 10-i), event.StatusDraining, "other")
		w.wait(time.Millisecond)
	}
	for _, id := range []string{"i1", "i2", "i3"} {
		if got := w.state("s", id); got != "draining" {
			t.Errorf("%s is %s", id, got)
		}
	}
	if got := w.count("draining"); got != 3 || len(w.Crowds()) != 1 {
		t.Errorf("%d drain, %v", got, w.Crowds())
	}
}

func TestOperatorsAndSignedSendersMayDrainAll(t *testing.T) {
	w := newWorld()
	w.Apply([]config.Service{configured("s", 4)})
	for i := range 4 {
		w.signed(fmt.Sprintf("i%d", i+1), event.StatusDraining, "deploy")
	}
	w.wait(time.Millisecond)
	if got := w.count("draining"); got != 4 || len(w.Crowds()) != 1 {
		t.Errorf("signed: %d drain, alert %v", got, w.Crowds())
	}
	w = newWorld()
	w.Apply([]config.Service{configured("s", 4)})
	var all []event.Override
	for i := range 3 {
		all = append(all, event.Override{ServiceID: "s", InstanceID: fmt.Sprintf("i%d", i+1), Action: event.ActionDrain})
	}
	w.SetOverrides(all)
	w.status("i4", event.StatusDraining, "")
	w.wait(time.Millisecond)
	if got := w.state("s", "i4"); got != "in" {
		t.Errorf("a report took the last instance that no operator drained: %s", got)
	}
	w.SetOverrides(append(all, event.Override{ServiceID: "s", InstanceID: "i4", Action: event.ActionDrain}))
	if got := w.count("draining"); got != 4 {
		t.Errorf("operators: %d drain", got)
	}
}

// 70 invented reporters erased another's report.
func TestInventedReportersEraseNoReport(t *testing.T) {
	w := newWorld()
	w.Apply([]config.Service{configured("s", 10)})
	w.status("i1", event.StatusDraining, "deploy")
	w.signed("i2", event.StatusDraining, "deploy")
	w.status("i3", event.StatusDraining, "")
	w.wait(time.Millisecond)
	for _, id := range []string{"i1", "i2", "i3"} {
		for i := range 300 {
			w.status(id, event.StatusHealthy, fmt.Sprint("invented-", i))
		}
		w.status(id, event.StatusHealthy, "proxy/n1") // the newest of a distinct sender has a place too
		if w.reports[member{"s", id}][sender{"proxy/n1", false}] == nil {
			t.Errorf("%s: the newest report has no place", id)
		}
		if n := len(w.reports[member{"s", id}]); n > maxSenders+1 {
			t.Errorf("%s: %d reports", id, n)
		}
	}
	w.status("i2", event.StatusHealthy, "deploy") // unsigned, in the name of a signed sender
	w.wait(time.Millisecond)
	for _, id := range []string{"i1", "i2", "i3"} {
		if got := w.state("s", id); got != "draining" {
			t.Errorf("%s is %s", id, got)
		}
	}
	w = newWorld()
	w.Apply([]config.Service{configured("s", 10)})
	for i := range 300 {
		w.status("i1", event.StatusHealthy, fmt.Sprint("invented-", i))
	}
	w.status("i1", event.StatusDraining, "") // the instance itself comes late
	w.signed("i2", event.StatusDraining, "deploy")
	w.wait(time.Millisecond)
	if w.state("s", "i1") != "draining" || w.state("s", "i2") != "draining" {
		t.Errorf("i1 is %s, i2 is %s", w.state("s", "i1"), w.state("s", "i2"))
	}
}

// Two records dated apart, one far ahead, made one drain hold for minutes.
func TestDatesOfRecordsProlongNothing(t *testing.T) {
	for name, dates := range map[string][]time.Duration{
		"one":                         {0},
		"past and far future":         {-time.Hour, 73 * 365 * 24 * time.Hour},
		"far future and past":         {73 * 365 * 24 * time.Hour, -time.Hour},
		"a minute apart":              {-time.Minute, 0},
		"two years ahead, both":       {2 * 365 * 24 * time.Hour, 3 * 365 * 24 * time.Hour},
		"many, each a minute further": {-5 * time.Minute, -4 * time.Minute, -3 * time.Minute, -2 * time.Minute, -time.Minute, 0},
	} {
		w := newWorld()
		w.Apply([]config.Service{configured("s", 3)})
		for _, d := range dates {
			w.ObserveStatus(event.HealthStatus{
				Timestamp: w.cfg.Wall().Add(d), ServiceID: "s", InstanceID: "i1", Status: event.StatusDraining, CheckType: "HTTP",
			}, "x", false)
		}
		w.wait(reportAlone + time.Second)
		if got := w.state("s", "i1"); got != "in" {
			t.Errorf("%s: 31 s later it is %s", name, got)
		}
	}
}

func TestWhateverIsReportedAnInstanceStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		n := rapid.IntRange(1, 12).Draw(t, "n")
		w.Apply([]config.Service{configured("s", n)})
		for range rapid.IntRange(0, 60).Draw(t, "reports") {
			w.status(fmt.Sprintf("i%d", rapid.IntRange(1, n).Draw(t, "instance")),
				rapid.SampledFrom([]string{event.StatusHealthy, event.StatusDegraded, event.StatusUnhealthy, event.StatusDraining}).Draw(t, "status"),
				rapid.SampledFrom([]string{"", "a", "b", "proxy/x"}).Draw(t, "sender"))
			w.wait(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond)
			p := w.Service("s").Pool()
			out := 0
			for _, m := range p.Members {
				if m.Out != upstream.In {
					out++
				}
			}
			if len(p.Live) == 0 || out > picker.DefaultEjection().Most(n) {
				t.Fatalf("%d of %d are out, %d live", out, n, len(p.Live))
			}
		}
	})
}

// The weight that an instance asks for multiplies the configured weight, within bounds, while the message holds.
func TestReportedWeightsAct(t *testing.T) {
	w := newWorld()
	s := configured("s", 2)
	s.Instances[0].Weight = 10
	w.Apply([]config.Service{s})
	say := func(reporter, status string, weight event.Optional, signed bool) {
		w.ObserveStatus(event.HealthStatus{Timestamp: w.cfg.Wall(), ServiceID: "s", InstanceID: "i1", Status: status, CheckType: "AGENT", Weight: weight}, reporter, signed)
		w.Rebuild()
	}
	weight := func() float64 { return math.Round(1000*w.Service("s").Pool().Members[0].Weight) / 1000 }
	for _, step := range []struct {
		reporter string
		weight   event.Optional
		signed   bool
		want     float64
	}{
		{"collector/agent-check", event.Some(.5), false, 5},
		{"collector/agent-check", event.Some(1.5), false, 15},
		{"collector/agent-check", event.Some(0), false, 10}, // the status says what to do
		{"collector/agent-check", event.Some(1e-9), false, 1},
		{"collector/agent-check", event.Some(1e9), false, 20},
		{"collector/agent-check", event.Optional{}, false, 10},
		{"other", event.Some(.7), false, 7},
		{"collector/agent-check", event.Some(.8), false, 7}, // the lowest of several
		{"signed", event.Some(.9), true, 9},
		{"collector/agent-check", event.Some(.2), false, 9},
	} {
		if say(step.reporter, event.StatusHealthy, step.weight, step.signed); weight() != step.want {
			t.Errorf("%+v: weight %v", step, weight())
		}
	}
	if other := w.Service("s").Pool().Members[1].Weight; other != 1 {
		t.Errorf("weight of the other instance: %v", other)
	}
	lines, _ := Explain(w.Views()[0], "i1", w.cfg.Wall())
	if !strings.Contains(strings.Join(lines, "\n"), "asks for 90 % of its configured weight") {
		t.Errorf("explanation: %v", lines)
	}
	if w.wait(2 * time.Minute); weight() != 10 {
		t.Errorf("after the messages: weight %v", weight())
	}
}
