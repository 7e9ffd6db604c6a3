package app

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
)

func TestMetricsTellWhatAServiceCarries(t *testing.T) {
	a := run(t, withoutKafka(t, event.RoleProxy))
	gathered := func() map[string]float64 {
		families, err := a.metrics().Gather()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{}
		for _, f := range families {
			if name, ok := strings.CutPrefix(f.GetName(), "smartlb_service_capacity_"); ok {
				out[name] = f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		return out
	}
	if got := gathered(); len(got) != 1 || got["confidence"] != 0 {
		t.Errorf("without facts: got %v, want nothing but no confidence", got)
	}
	a.data.keeper.ObserveScore(event.HealthScore{
		ServiceID: "user-service", InstanceID: "user-service-1", State: event.StatusHealthy, AsOf: time.Now(), Seq: 1,
		Estimate: event.CapacityEstimate{Load: event.Some(100), RPS: event.Some(500), Bound: "cpu", Confidence: "medium", Reason: "seen"},
	})
	want := map[string]float64{"requests_per_second": 500, "load_requests_per_second": 100, "headroom_requests_per_second": 300, "lower_bound": 0, "survivable_losses": 0, "recommended_instances": 1, "confidence": 2}
	got := gathered()
	for name, v := range want {
		if n, ok := got[name]; !ok || n != v {
			t.Errorf("%s: got %v %v, want %v", name, n, ok, v)
		}
	}
}

// A service in two zones and two regions, of which one carries the load alone.
func TestMetricsTellWhetherAServiceSurvivesALoss(t *testing.T) {
	o := withoutKafka(t, event.RoleProxy)
	_, text := instances(t, 2)
	for i, region := range []string{"eu", "us"} {
		id := fmt.Sprintf("{id: user-service-%d, ", i+1)
		text = bytes.Replace(text, []byte(id), fmt.Appendf(nil, "%stags: {zone: %s-1, region: %s}, ", id, region, region), 1)
	}
	traffic, err := config.ParseTraffic(text)
	if err != nil {
		t.Fatal(err)
	}
	o.Document.Traffic, o.Traffic = traffic, text
	a := run(t, o)
	for i, capacity := range []float64{500, 100} {
		a.data.keeper.ObserveScore(event.HealthScore{
			ServiceID: "user-service", InstanceID: fmt.Sprintf("user-service-%d", i+1), State: event.StatusHealthy, AsOf: time.Now(), Seq: 1,
			Estimate: event.CapacityEstimate{Load: event.Some(60), RPS: event.Some(capacity), Bound: "cpu", Confidence: "medium", Reason: "seen"},
		})
	}
	families, err := a.metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if kind, ok := strings.CutPrefix(f.GetName(), "smartlb_service_capacity_survives_"); ok {
			got[kind] = f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	if want := map[string]float64{"zone_loss": 0, "region_loss": 0}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
