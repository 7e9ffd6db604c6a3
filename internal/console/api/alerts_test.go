package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
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

// All silences are listed, the one that ends last first.
func TestAllSilencesAreListed(t *testing.T) {
	now := time.Now()
	var st configlog.State
	for i := range 1000 {
		st.Silences = append(st.Silences, configlog.Silence{Silence: event.Silence{ID: fmt.Sprint(i), EndsAt: now.Add(time.Duration(i) * time.Second)}})
	}
	w := httptest.NewRecorder()
	api.Guard(api.New(api.Sources{Balancer: api.Balancer{Configuration: func(context.Context) (configlog.State, error) { return st, nil }}}, quiet)).ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1/api/v1/silences", nil))
	var got []configlog.Silence
	err := json.Unmarshal(w.Body.Bytes(), &got)
	if err != nil || len(got) != 1000 || got[0].ID != "999" {
		t.Errorf("%d silences, %v", len(got), err)
	}
}
