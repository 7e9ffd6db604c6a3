//go:build !race

// These tests calculate much in one goroutine: the race detector would only make them slow.

package analysis

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/rule"
)

// report applies one report about an instance of a service.
func (b *bench) report(service, instance string) {
	v, err := event.ServiceMetrics{Timestamp: b.now, ServiceID: service, InstanceID: instance, Metrics: rps(10)}.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	b.task.Apply(b.input(event.TopicServiceMetrics, "", v, nil), &b.fx)
}

func named(names map[string]map[string]bool) Instances { return Instances{Names: names} }

// A service with sources has room for all instances that they may find, whatever others invent.
func TestFoundInstancesHaveRoom(t *testing.T) {
	b := newBench(t)
	b.task.SetConfigured(Instances{Found: map[string]int{"found": 3000}})
	for n := range 2 * maxUnconfigured {
		b.report(fmt.Sprint("service-", n), "i")
	}
	for n := range 4000 {
		b.report("found", fmt.Sprint("i", n))
	}
	if s := b.task.services["found"]; s == nil || len(s.instances) != 3000 || b.task.unconfigured != maxUnconfigured {
		t.Fatalf("%d instances that other services have, and of the service %+v", b.task.unconfigured, s)
	}
	b.task.SetConfigured(Instances{})
	if got, want := b.task.unconfigured, maxUnconfigured+3000; got != want {
		t.Errorf("without sources %d are counted, want %d", got, want)
	}
}

// 200,000 distinct instance ids blinded the analyzer for every instance that came after them.
func TestInventedInstancesDoNotTakeTheRoomOfConfiguredOnes(t *testing.T) {
	b := newBench(t)
	b.task.SetConfigured(named(map[string]map[string]bool{"s": {"known": true}, "late": {"i": true}}))
	for n := range 200_000 {
		b.report("s", fmt.Sprint("invented-", n))
		if n%10 == 0 {
			b.report(fmt.Sprint("service-", n), "i")
		}
	}
	b.report("s", "known")
	b.report("late", "i")
	s := b.task.services["s"]
	if s.instances["known"] == nil || b.task.services["late"] == nil {
		t.Fatal("a configured instance has no room")
	}
	if s.unconfigured > maxUnconfiguredService || b.task.unconfigured > maxUnconfigured || len(b.task.services) > maxUnconfigured+2 {
		t.Errorf("%d of a service, %d in all, %d services", s.unconfigured, b.task.unconfigured, len(b.task.services))
	}
	if b.task.Dropped()["too-many-instances"] < 150_000 {
		t.Errorf("dropped %v", b.task.Dropped())
	}
}

func TestRefusedReportsRaiseOneAlertAndItEnds(t *testing.T) {
	b := newBench(t)
	b.task.SetConfigured(named(map[string]map[string]bool{"s": {"known": true}}))
	for n := range maxUnconfiguredService + 10 {
		b.report("s", fmt.Sprint("invented-", n))
	}
	var fx Effects
	b.task.judgeQuota(b.now, &fx)
	b.task.judgeQuota(b.now.Add(5*time.Second), &fx)
	b.task.judgeQuota(b.now.Add(12*time.Second), &fx)
	b.task.judgeQuota(b.now.Add(50*time.Second), &fx)
	var got []string
	for _, r := range fx.Records {
		a, err := event.DecodeAlert(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, a.RuleID+" "+a.Status)
	}
	if s := strings.Join(got, ", "); s != "telemetry-quota firing, telemetry-quota resolved" {
		t.Errorf("%s", s)
	}
	next := New(Config{Partition: 1, Partitions: 4})
	a := event.Alert{Fingerprint: "f", AlertID: "f-1", RuleID: rule.TelemetryQuota.ID, Status: event.AlertFiring, Severity: "warning", Labels: map[string]string{"partition": "0"}}
	next.Restore(a)
	if len(next.Active()) != 0 {
		t.Error("restored in another partition, where it would never end")
	}
}

func TestConfiguringAnInstanceFreesItsPlace(t *testing.T) {
	b := newBench(t)
	b.report("s", "a")
	b.report("s", "b")
	b.task.SetConfigured(named(map[string]map[string]bool{"s": {"a": true}}))
	if b.task.unconfigured != 1 || b.task.services["s"].unconfigured != 1 {
		t.Errorf("%d unconfigured", b.task.unconfigured)
	}
	b.task.SetConfigured(Instances{})
	for range 182 {
		b.tick()
	}
	if b.task.unconfigured != 0 || len(b.task.services) != 0 {
		t.Errorf("%d unconfigured, %d services", b.task.unconfigured, len(b.task.services))
	}
}

// One status with 60,000 services in panic made 60,000 alerts.
func TestAlertsThatAnybodyCanCauseAreBounded(t *testing.T) {
	b := newBench(t)
	b.task.SetConfigured(named(map[string]map[string]bool{"user-service": {"known": true}}))
	var services []string
	for n := range 20_000 {
		services = append(services, fmt.Sprint("service-", n))
	}
	for node := range 50 {
		v, err := event.NodeStatus{Timestamp: b.now, Node: fmt.Sprint("n", node), Roles: []string{"proxy"}, PanicServices: services, RecreatedTopics: services, CrowdedServices: services}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b.task.Apply(b.input(event.TopicNodeStatus, "", v, nil), &b.fx)
	}
	for n := range 900 {
		b.health("proxy/n1", fmt.Sprint("invented-", n), event.StatusUnhealthy)
	}
	b.tick()
	if n := b.task.alerts.Len(); n > maxStrangerAlerts {
		t.Errorf("%d alerts", n)
	}
	for range 5 {
		b.health("proxy/n1", "known", event.StatusUnhealthy)
		b.tick()
	}
	if !b.task.alerts.Has(rule.Judgement{Rule: rule.InstanceDown, Labels: map[string]string{"service": "user-service", "instance": "known"}}) {
		t.Error("a configured instance is down, and there is no alert")
	}
}

func TestANodeStatusOf2099OutdatesNothing(t *testing.T) {
	b := newBench(t)
	say := func(at time.Time, panics ...string) {
		v, err := event.NodeStatus{Timestamp: at, Node: "n1", Roles: []string{"proxy"}, PanicServices: panics}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b.task.Apply(b.input(event.TopicNodeStatus, "", v, nil), &b.fx)
	}
	say(b.now.AddDate(73, 0, 0))
	say(b.now, "user-service")
	if n := b.task.nodes["n1"]; n == nil || len(n.PanicServices) != 1 {
		t.Errorf("%+v", n)
	}
}

// The time of a record in the log may be its writer's too.
func TestDatesOfTheLogMoveNoWindow(t *testing.T) {
	for name, appended := range map[string]time.Duration{"1999": -27 * 365 * 24 * time.Hour, "2099": 73 * 365 * 24 * time.Hour} {
		for _, dated := range []time.Duration{-27 * 365 * 24 * time.Hour, 0, 73 * 365 * 24 * time.Hour} {
			b := newBench(t)
			v, err := event.ServiceMetrics{Timestamp: b.now.Add(dated), ServiceID: "s", InstanceID: "i", Metrics: rps(10)}.Encode()
			if err != nil {
				t.Fatal(err)
			}
			in := b.input(event.TopicServiceMetrics, "x", v, nil)
			in.Appended = b.now.Add(appended)
			b.task.Apply(in, &b.fx)
			if at := b.task.services["s"].instances["i"].newest; at.After(b.now.Add(maxFuture)) {
				t.Errorf("appended in %s, dated %s: newest is %s", name, dated, at)
			}
			for range 3 {
				b.metrics("", "i", rps(10))
				b.tick()
			}
			if s := b.score("i"); s.Samples == 0 || s.AsOf.After(b.now.Add(maxFuture)) {
				t.Errorf("appended in %s, dated %s: %+v", name, dated, s)
			}
		}
	}
}

func TestAlertsThatNoAnalyzerWroteYetAreNotBelieved(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	good := event.Alert{UpdatedAt: now, StartsAt: now.Add(-time.Hour), Seq: uint64(now.UnixMilli())}
	ahead, started, far := good, good, good
	ahead.UpdatedAt, started.StartsAt, far.Seq = now.AddDate(73, 0, 0), now.AddDate(73, 0, 0), math.MaxUint64
	long, labelled := good, good
	long.Annotations.Description = strings.Repeat("B", 1<<20)
	labelled.Labels = map[string]string{"service": strings.Repeat("B", 1<<20)}
	for name, c := range map[string]struct {
		a    event.Alert
		want bool
	}{"now": {good, true}, "updated in 2099": {ahead, false}, "started in 2099": {started, false}, "number of years to come": {far, false}, "megabytes of text": {long, false}, "megabytes in a label": {labelled, false}} {
		if got := rule.Believable(c.a, now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, id := range []string{rule.InstanceDown.ID, rule.MassDrain.ID, rule.TelemetryQuota.ID, rule.NodeShortage.ID, rule.CertificateExpires.ID, rule.CertificateRefused.ID, rule.TopicRecreated.ID, rule.Unsigned.ID} {
		if !rule.Known(id) {
			t.Errorf("%s is no rule", id)
		}
	}
	if rule.Known("invented") {
		t.Error("an invented rule is known")
	}
}

// Ten thousand invented nodes may each send a status of a megabyte.
func TestTheTextsOfNodesAreBounded(t *testing.T) {
	b := newBench(t)
	long, certificates := make([]string, 3000), make([]event.Certificate, 110)
	for i := range certificates {
		certificates[i] = event.Certificate{Listener: "l", File: strconv.Itoa(i), Refused: strings.Repeat("r", 600)}
	}
	for i := range long {
		long[i] = strings.Repeat("s", 250) + strconv.Itoa(i)
	}
	for i := range 600 {
		v, err := event.NodeStatus{
			Timestamp: b.now, Node: "n" + strconv.Itoa(i), Roles: []string{"proxy"}, Errors: long, Shortage: long[0] + long[1],
			PanicServices: long[:100], CrowdedServices: long[:100], RecreatedTopics: long[:100], UnsignedTopics: long[:100],
			Certificates: certificates,
		}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b.task.Apply(b.input(event.TopicNodeStatus, "", v, nil), &b.fx)
	}
	kept := 0
	for _, n := range b.task.nodes {
		kept += n.size()
		if n.Errors != nil || len(n.Shortage) > 256 || len(n.Certificates) > 100 || len(n.Certificates[0].Refused) > 512 {
			t.Fatal("what no rule looks at is kept")
		}
	}
	if kept > maxNodeBytes || kept != b.task.nodeBytes || len(b.task.nodes) < 100 {
		t.Errorf("%d nodes with %d bytes of names, counted %d", len(b.task.nodes), kept, b.task.nodeBytes)
	}
}
