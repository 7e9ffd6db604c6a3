package api_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/smartlb/smartlb/internal/console/api"
)

// carrying is an instance in rotation with facts about its capacity.
func carrying(id, zone string, load, capacity float64) api.Instance {
	i := bare(id)
	i.Weight, i.Tags = 1, map[string]string{"zone": zone}
	i.Facts = &api.Facts{Reasons: []string{}, AgeMs: 1000, Estimate: &api.Estimate{Load: some(load), Rate: some(capacity), Bound: "cpu", Confidence: "high", Reason: "seen"}}
	return i
}

func TestCapacityOfServices(t *testing.T) {
	old := carrying("c", "a", 50, 200)
	old.Facts.AgeMs = 4 * 60_000
	before := carrying("d", "a", 50, 200)
	before.Facts.Estimate = nil // an analyzer of an earlier version
	draining := carrying("e", "b", 10, 200)
	draining.State = "draining"
	services := []api.Service{
		{ID: "good", Policy: "adaptive", Instances: []api.Instance{carrying("a", "a", 50, 200), carrying("b", "b", 50, 200)}},
		{ID: "old", Policy: "adaptive", Instances: []api.Instance{carrying("a", "a", 50, 200), old, before, draining}},
		{ID: "weights", Policy: "round_robin", Instances: []api.Instance{carrying("a", "a", 50, 100), carrying("b", "a", 50, 400)}},
		{ID: "nothing", Policy: "adaptive", Instances: []api.Instance{bare("a")}},
	}
	services[0].Instances[0].Tags["region"], services[0].Instances[1].Tags["region"] = "eu", "us"
	src := api.Sources{Capacity: func(_ context.Context, q api.CapacityQuery) ([]api.Capacity, error) {
		return api.CapacityOf(services, q)
	}}
	ask := func(query string) (int, []api.Capacity, []byte) {
		status, h, body := call(src, "GET", "/api/v1/capacity"+query, "")
		describe(t).answer("GET", "/api/v1/capacity", status, h.Get("Content-Type"), body)
		var all []api.Capacity
		if status == 200 {
			if err := json.Unmarshal(body, &all); err != nil {
				t.Fatal(err)
			}
		}
		return status, all, body
	}
	_, all, body := ask("")
	if len(all) != 4 {
		t.Fatalf("got %s", body)
	}
	for i, want := range []string{
		"carries 220 more requests/s; survives the loss of 1 of 2 instances at the present load; survives the loss of its largest zone (a); survives the loss of its largest region (eu)",
		"carries at least 100 more requests/s; unknown whether it survives the loss of an instance",
		"carries 60 more requests/s; does not survive the loss of an instance at the present load",
		"headroom unknown: no instance has an estimate (the analyzer has no report about it); no requests, or no reports about them",
	} {
		if all[i].Text != want {
			t.Errorf("%s: got %q, want %q", all[i].Service, all[i].Text, want)
		}
	}
	if c := all[0]; len(c.Zones) != 2 || c.Zones[0].Zone != "a" || c.Zones[0].Instances != 1 || *c.Zones[0].Rest != 160 || c.Zones[0].Survives != "yes" ||
		len(c.Regions) != 2 || c.Regions[1].Region != "us" || c.Regions[1].Instances != 1 || *c.Regions[1].Rest != 160 || c.Regions[1].Survives != "yes" || c.Instances[1].Region != "us" || *c.Recommended != 1 || *c.Headroom != 220 {
		t.Errorf("good: got %s", body)
	}
	if c := all[3]; c.Headroom != nil || c.Capacity != nil || c.Survives != nil || c.Recommended != nil || c.Confidence != "none" {
		t.Errorf("unknown numbers must be null: %+v", c)
	}
	if _, all, body = ask("?service=good&target=0.4"); len(all) != 1 || *all[0].Headroom != 60 {
		t.Errorf("at another target: %s", body)
	}
	if _, all, body = ask("?instances=false"); len(all) != 4 || len(all[0].Instances) != 0 || *all[0].Headroom != 220 {
		t.Errorf("without instances: %s", body)
	}
	for query, want := range map[string]int{"?instances=no": 400, "?target=2": 400, "?target=NaN": 400, "?target=x": 400, "?target=0": 400, "?service=none": 404} {
		if status, _, body := ask(query); status != want {
			t.Errorf("%s: got %d %s, want %d", query, status, body, want)
		}
	}
}
