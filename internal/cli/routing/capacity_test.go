package routing

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/console/api"
)

func some[T any](v T) *T { return &v }

func TestCapacityShowsUnknownNumbersAsUnknown(t *testing.T) {
	known := api.Capacity{
		Service: "shop", Text: "carries at least 1,240 more requests/s", Target: .8, Confidence: "medium", Reason: "a: seen", Load: some(760.0), Capacity: some(2500.0), Headroom: some(1240.0),
		AtLeast: true, Serving: 4, Survives: some(1), Recommended: some(2), Zones: []api.ZoneLoss{{Zone: "eu-1a", Loss: api.Loss{Instances: 2, Rest: some(400.0), Survives: "no"}}}, Regions: []api.RegionLoss{{Region: "eu", Loss: api.Loss{Instances: 3, Survives: "unknown"}}},
		Instances: []api.InstanceCapacity{
			{ID: "a", Zone: "eu-1a", State: "in", Estimate: api.Estimate{Load: some(7.5), Rate: some(1000.0), Bound: "cpu", Confidence: "high", Reason: "seen"}},
			{ID: "b", State: "in", Estimate: api.Estimate{Rate: some(500.0), Bound: "seen", Confidence: "low", Reason: "no limit was seen"}},
			{ID: "c", State: "draining", Estimate: api.Estimate{Confidence: "none", Reason: "it has too few requests"}},
		},
	}
	over := api.Capacity{Service: "over", Confidence: "high", Load: some(100.0), Capacity: some(100.0), Headroom: some(-20.0), Serving: 1, Survives: some(0), Recommended: some(2)}
	bound := api.Capacity{Service: "bound", Confidence: "low", AtLeast: true, Serving: 3, Survives: some(0)}
	unknown := api.Capacity{Service: "new", Confidence: "none", Reason: "no instance has an estimate"}
	want := [][]string{
		{"shop", "760/s", ">= 2,500/s", ">= 1,240/s", ">= 1 of 4", "zone eu-1a: no, region eu: unknown", "2", "medium", "a: seen"},
		{"over", "100/s", "100/s", "-20/s", "0 of 1", "", "2", "high", ""},
		{"bound", "unknown", "unknown", "unknown", "unknown", "", "unknown", "low", ""},
		{"new", "unknown", "unknown", "unknown", "unknown", "", "unknown", "none", "no instance has an estimate"},
	}
	if d := cmp.Diff(want, capacityTable([]api.Capacity{known, over, bound, unknown}).Rows); d != "" {
		t.Error(d)
	}
	one := oneCapacity(known)
	if got, want := strings.Join(one.Above, "\n"), "shop: carries at least 1,240 more requests/s\nconfidence: medium (a: seen)\nsurvives the loss of zone eu-1a (2 of 4 instances): no, the others carry at least 400/s\nsurvives the loss of region eu (3 of 4 instances): unknown\nneeds 2 instances for the present load at 80 % use"; got != want {
		t.Errorf("got %s", got)
	}
	rows := [][]string{
		{"a", "eu-1a", "in", "7.5/s", "1,000/s", "cpu", "high", "seen"},
		{"b", "", "in", "unknown", ">= 500/s", "unknown", "low", "no limit was seen"},
		{"c", "", "draining", "unknown", "unknown", "", "none", "it has too few requests"},
	}
	if d := cmp.Diff(rows, one.Rows); d != "" {
		t.Error(d)
	}
}
