package keeper

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/probe"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
)

func found(ids ...string) (out []config.Instance) {
	for _, id := range ids {
		out = append(out, config.Instance{ID: id, Address: "10.0.0.1:" + id[1:], Weight: 1, Source: "file f"})
	}
	return out
}

// pool returns the members of service s in their order.
func (w *world) members() []upstream.Member { return w.Service("s").Pool().Members }

func TestInstancesOfASourceJoinAndLeaveAlone(t *testing.T) {
	w := newWorld()
	w.Apply([]config.Service{{ID: "s", Policy: "round_robin", SlowStart: 10 * time.Second, Instances: found("i1", "i2", "i3")}, {ID: "other", Policy: "round_robin", Instances: found("i1")}})()
	before, other := w.members(), w.Service("other").Pool()
	w.wait(time.Second)
	w.SetInstances("s", found("i2", "i3", "i4"))()
	after := w.members()
	if len(after) != 3 || after[0].Live != before[1].Live || after[1].Live != before[2].Live {
		t.Fatalf("instances that stay begin anew: %v", after)
	}
	if m := after[2]; m.Instance != "i4" || m.SlowStart >= 1 {
		t.Errorf("the new instance has no slow start: %v %v", m.Instance, m.SlowStart)
	}
	if !before[0].Live.Retired() || before[1].Live.Retired() {
		t.Error("retired: want the instance that left, and no other")
	}
	if p := w.Service("other").Pool(); p.Members[0].Live != other.Members[0].Live {
		t.Error("another service changed")
	}
	w.SetInstances("nothing", found("i1"))()
	if len(w.Views()) != 2 {
		t.Error("a service that is not configured appeared")
	}
}

func TestAnInstanceWhoseEndIsAnnouncedDrains(t *testing.T) {
	w := newWorld()
	all := found("i1", "i2")
	w.Apply([]config.Service{{ID: "s", Policy: "round_robin", Instances: all}})()
	all[0].Draining = true
	w.SetInstances("s", all)()
	if got := w.state("s", "i1"); got != "draining" {
		t.Errorf("it is %s", got)
	}
	v := w.Views()[0]
	lines, _ := Explain(v, "i1", w.cfg.Wall())
	if got := fmt.Sprint(lines); v.Instances[0].Source != "file f" || !strings.Contains(got, "because of its source, file f, which announced its end") || !strings.Contains(got, "when the source lists it as ready") {
		t.Errorf("explained as %s", got)
	}
	all[0].Draining = false
	w.SetInstances("s", all)()
	if got := w.state("s", "i1"); got != "in" {
		t.Errorf("it is %s after its source lists it as ready again", got)
	}
}

// An id that leaves and returns is another instance: facts about the earlier one do not count for it, although they arrive
// later.
func TestASuccessorGetsNoFactsOfItsPredecessor(t *testing.T) {
	w := newWorld()
	w.Apply([]config.Service{{ID: "s", Policy: "round_robin", Instances: found("i1", "i2", "i3")}})()
	early := w.cfg.Wall()
	facts := func(at time.Time, seq uint64) {
		w.ObserveScore(event.HealthScore{ServiceID: "s", InstanceID: "i1", AsOf: at, Seq: seq, Score: .1, Utilization: event.Some(.99)})
		w.ObserveStatus(event.HealthStatus{Timestamp: at, ServiceID: "s", InstanceID: "i1", Status: event.StatusUnhealthy}, "someone", true)
		w.Rebuild()
	}
	has := func() (score bool, reports int) {
		i := w.Views()[0].Instances[0]
		return i.Score != nil, len(i.Reports)
	}
	facts(early, 1)
	if score, reports := has(); !score || reports != 1 {
		t.Fatalf("before: score %v, %d reports", score, reports)
	}
	w.wait(time.Second)
	w.SetInstances("s", found("i2", "i3"))()
	w.wait(time.Second)
	w.SetInstances("s", found("i1", "i2", "i3"))()
	facts(early.Add(time.Millisecond), 2)
	if score, reports := has(); score || reports != 0 {
		t.Errorf("the successor has facts of its predecessor: score %v, %d reports", score, reports)
	}
	w.wait(time.Second)
	facts(w.cfg.Wall(), 3)
	if score, reports := has(); !score || reports != 1 {
		t.Errorf("facts about the successor do not count: score %v, %d reports", score, reports)
	}
}

// The same id at the same address is another instance, if its source says so.
func TestAnotherIncarnationGetsNoFactsOfItsPredecessor(t *testing.T) {
	w := newWorld()
	of := func(incarnation string) []config.Instance {
		all := found("i1", "i2")
		all[0].Incarnation = incarnation
		return all
	}
	w.Apply([]config.Service{{ID: "s", Policy: "round_robin", Instances: of("")}})()
	first := w.members()[0].Live
	w.wait(time.Second)
	w.SetInstances("s", of("one"))()
	w.SetInstances("s", of(""))()
	w.SetInstances("s", of("one"))()
	if got := w.members()[0].Live; got != first {
		t.Fatal("an instance begins anew, although its source did not say that it is another one")
	}
	w.ObserveScore(event.HealthScore{ServiceID: "s", InstanceID: "i1", AsOf: w.cfg.Wall(), Seq: 1, Score: .1})
	w.wait(time.Second)
	w.SetInstances("s", of("two"))()
	w.Rebuild()
	if got := w.members()[0].Live; got == first || !first.Retired() || w.Views()[0].Instances[0].Score != nil {
		t.Error("another incarnation has what is known of its predecessor")
	}
}

func TestStandingsComeFromChecksEjectionsAndRequests(t *testing.T) {
	w := newWorld()
	check := &config.HealthCheck{Type: "tcp", Interval: time.Second, Timeout: time.Second}
	w.Apply([]config.Service{{ID: "s", Policy: "round_robin", HealthCheck: check, Ejection: config.Ejection{ConsecutiveFailures: 5, MaxShare: .5, Time: time.Minute, Growth: 2, MaxTime: time.Minute}, Instances: found("i1", "i2", "i3", "i4")}})()
	w.ObserveProbe(probe.Result{Target: target(w, "i1"), At: w.cfg.Wall(), Changed: true})
	live := w.members()[1].Live
	live.Fails.Store(9)
	w.wait(100 * time.Millisecond)
	w.ObserveProbe(probe.Result{Target: target(w, "i3"), At: w.cfg.Wall(), OK: true, Up: true, Changed: true})
	working, down := w.Standings("s")
	if down["i3"] || down["i4"] || !down["i1"] || !down["i2"] {
		t.Errorf("down are %v; states %s %s", down, w.state("s", "i1"), w.state("s", "i2"))
	}
	if !working["i3"] || working["i1"] || working["i4"] {
		t.Errorf("working are %v", working)
	}
	w.members()[3].Live.Successes.Add(1)
	if working, _ = w.Standings("s"); !working["i4"] {
		t.Error("an instance that answered a request does not work")
	}
	if working, down = w.Standings("nothing"); len(working)+len(down) != 0 {
		t.Errorf("of no service: %v %v", working, down)
	}
}

// The only instance of a service that leaves and returns is another instance too.
func TestASuccessorInAnEmptyServiceGetsNoFactsOfItsPredecessor(t *testing.T) {
	w := newWorld()
	w.Apply([]config.Service{{ID: "s", Policy: "round_robin", Instances: found("i1")}})()
	early := w.cfg.Wall()
	w.wait(time.Second)
	w.SetInstances("s", nil)()
	w.wait(time.Second)
	w.SetInstances("s", found("i1"))()
	w.ObserveScore(event.HealthScore{ServiceID: "s", InstanceID: "i1", AsOf: early, Seq: 1, Score: .1})
	w.ObserveStatus(event.HealthStatus{Timestamp: early, ServiceID: "s", InstanceID: "i1", Status: event.StatusDraining}, "someone", true)
	w.Rebuild()
	if i := w.Views()[0].Instances[0]; i.Score != nil || len(i.Reports) != 0 {
		t.Errorf("the successor has facts of its predecessor: score %v, reports %v", i.Score, i.Reports)
	}
}
