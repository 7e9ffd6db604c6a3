package api_test

import (
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
)

func TestActiveAlertsAreSilenced(t *testing.T) {
	now := time.Now()
	active, over := event.Alert{RuleID: "r", Status: event.AlertPending}, event.Alert{RuleID: "r", Status: event.AlertResolved}
	silences := []configlog.Silence{{Silence: event.Silence{ID: "s", RuleID: "r", EndsAt: now.Add(time.Hour)}}}
	list := api.WithSilences([]event.Alert{active, over}, silences)
	if list[0].Silence == nil || list[1].Silence != nil {
		t.Errorf("an active alert is silenced, one that is over is not: %+v", list)
	}
}
