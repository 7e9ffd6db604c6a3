package receiver

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/grouping"
	"github.com/smartlb/smartlb/internal/test/alertmanagertest"
)

// shape describes the names and types of a JSON value. Labels and annotations are only maps of texts.
func shape(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var out []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			inner := shape(v[k])
			if _, text := v[k].(map[string]any); text {
				inner = "texts"
			}
			out = append(out, k+": "+inner)
		}
		return "{" + strings.Join(out, ", ") + "}"
	case []any:
		return "[" + shape(v[0]) + "]"
	default:
		return fmt.Sprintf("%T", v)
	}
}

func TestARealAlertmanagerTakesAlerts(t *testing.T) {
	hooks := make(chan []byte, 1)
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case hooks <- body:
		default: // the first is enough
		}
	}))
	t.Cleanup(sink.Close)
	am := alertmanagertest.New(t, sink.URL)
	r, err := New(config.Receiver{Name: "am", Type: config.ReceiverAlertmanager, URL: am.URL, Timeout: time.Minute}, config.Alerting{ConsoleURL: testLinks.console, RunbookURL: testLinks.runbook})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	now := time.Now()
	var alerts []event.Alert
	for i := range 150 { // several requests
		a := alertOf(fmt.Sprint("i", i))
		a.FiredAt = now.Add(-time.Minute)
		a.Labels["odd.name-with \"quotes\""], a.Labels["empty"], a.Labels["__reserved"] = "line\nbreak", "", "x"
		alerts = append(alerts, a)
	}
	m := grouping.Message{Alerts: alerts, At: now}
	for range 2 { // sent again: the same alerts
		if err := r.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	active := am.Active()
	if len(active) != 150 {
		t.Fatalf("%d alerts are active", len(active))
	}
	i := slices.IndexFunc(active, func(a alertmanagertest.Alert) bool { return a.Labels["instance"] == "i7" })
	want := map[string]string{"alertname": "instance-down", "severity": "critical", "service": "shop", "instance": "i7", "odd_name_with__quotes_": "line\nbreak", "label_reserved": "x"}
	if diff := cmp.Diff(want, active[i].Labels); diff != "" {
		t.Error(diff)
	}
	if a := active[i]; a.Annotations["summary"] != "shop/i7 is down" || !a.EndsAt.After(now) || !strings.HasPrefix(a.GeneratorURL, testLinks.console) {
		t.Errorf("%+v", a)
	}

	var theirs, ours any
	if err := json.Unmarshal(<-hooks, &theirs); err != nil {
		t.Fatal(err)
	}
	raw, err := encode(hookOf(messageOf(alertOf("i1")), "ops", testLinks))
	if err == nil {
		err = json.Unmarshal(raw, &ours)
	}
	if diff := cmp.Diff(shape(theirs), shape(ours)); err != nil || diff != "" {
		t.Errorf("our webhook has another shape: %v\n%s", err, diff)
	}

	for i := range alerts {
		alerts[i] = ended(alerts[i], now)
	}
	if err := r.Send(t.Context(), grouping.Message{Alerts: alerts, At: now}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Minute); len(am.Active()) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d alerts are still active", len(am.Active()))
		}
	}
}
