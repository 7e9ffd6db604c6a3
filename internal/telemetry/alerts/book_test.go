package alerts

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/rule"
)

func alertAt(id string, status string, seq uint64, at time.Time) event.Alert {
	labels := map[string]string{"id": id}
	return event.Alert{Fingerprint: rule.Fingerprint("r", labels), AlertID: id + "/1", RuleID: "r", Labels: labels, Status: status, Severity: event.SeverityWarning, StartsAt: at, UpdatedAt: at, Seq: seq}
}

func TestTheAlertBookKnowsWhatIsActiveAndWhatWas(t *testing.T) {
	b, now := New(), time.Now()
	b.Take(alertAt("a", event.AlertPending, 1, now.Add(-time.Minute)))
	b.Take(alertAt("b", event.AlertFiring, 1, now.Add(-time.Hour)))
	b.Take(alertAt("c", event.AlertFiring, 1, now.Add(-48*time.Hour))) // of an analyzer that is gone
	b.Take(alertAt("b", event.AlertPending, 0, now))                   // repeated by one that took over
	if got := b.Active(); len(got) != 2 || got[0].Labels["id"] != "b" || got[1].Labels["id"] != "a" {
		t.Errorf("active %+v", got)
	}
	b.Take(alertAt("b", event.AlertResolved, 2, now))
	b.Take(alertAt("b", event.AlertResolved, 3, now)) // said again
	if got := b.Past(); len(got) != 1 || got[0].Seq != 3 || len(b.Active()) != 1 {
		t.Errorf("past %+v", got)
	}
	for i := range maxResolved + 10 {
		b.Take(alertAt(fmt.Sprint(i), event.AlertResolved, 1, now.Add(time.Duration(i-maxResolved-10)*time.Millisecond)))
	}
	if got := b.Past(); len(got) != maxResolved || got[0].Labels["id"] != fmt.Sprint(maxResolved+9) {
		t.Errorf("%d are remembered, the newest %v", len(got), got[0].Labels)
	}
}

// 60,000 alerts of a stranger must neither be listed whole nor take the room of
// alerts about configured instances, and one of 2099 must not stay for ever.
func TestForeignAlertsAreBounded(t *testing.T) {
	b, now := New(), time.Now()
	b.Configured = func(service, instance string) bool { return service == "s" && instance == "i" }
	down := func(service, instance string, seq uint64, at time.Time) event.Alert {
		a := alertAt("", event.AlertFiring, seq, at)
		a.RuleID, a.Labels = rule.InstanceDown.ID, map[string]string{"service": service, "instance": instance}
		a.Fingerprint = rule.Fingerprint(a.RuleID, a.Labels)
		return a
	}
	for i := range 60_000 {
		b.Take(down("s", fmt.Sprint("invented-", i), 1, now))
	}
	b.Take(down("s", "i", 1, now))
	if n := len(b.Active()); n > maxListed || len(b.others) > maxOthers || len(b.alerts) != 1 {
		t.Errorf("%d listed, %d of others, %d of configured instances", n, len(b.others), len(b.alerts))
	}
	if _, ok := b.alerts[down("s", "i", 1, now).Fingerprint]; !ok {
		t.Error("the alert of a configured instance has no room")
	}
	b = New()
	of2099, far, stolen := down("s", "i", 5, now.AddDate(73, 0, 0)), down("s", "i", math.MaxUint64, now), down("s", "j", 9, now)
	stolen.Fingerprint = down("s", "i", 1, now).Fingerprint
	for _, a := range []event.Alert{of2099, far, stolen} {
		b.Take(a)
	}
	if got := b.Active(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	b.Take(down("s", "i", uint64(now.UnixMilli()), now))
	if got := b.Active(); len(got) != 1 || got[0].Labels["instance"] != "i" {
		t.Errorf("%+v", got)
	}
}
