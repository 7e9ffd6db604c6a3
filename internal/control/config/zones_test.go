package config

import (
	"strings"
	"testing"
)

func TestCostsOfOtherZonesAreChecked(t *testing.T) {
	const start = "routes: [{name: r, service: s}]\nservices: [{id: s, instances: [{id: i, address: '10.0.0.1:80'}], "
	for text, want := range map[string]string{
		"zoneSpillover: 0, crossZoneCost: 1.5":                       "",
		"zoneSpillover: 0, crossZoneCost: 1.5, crossRegionCost: 1.5": "",
		"zoneSpillover: 0, crossRegionCost: 1000":                    "",
		"crossZoneCost: 1":                                       "",
		"zoneSpillover: 0, crossZoneCost: 0":                     "crossZoneCost: want 1 to 1000, got 0",
		"zoneSpillover: 0, crossZoneCost: .nan":                  "crossZoneCost: want a number",
		"zoneSpillover: 0, crossZoneCost: 1001":                  "crossZoneCost: want 1 to 1000, got 1001",
		"zoneSpillover: 0, crossZoneCost: 2, crossRegionCost: 1": "crossRegionCost: want at least crossZoneCost (2), and at most 1000, got 1",
		"zoneSpillover: 0, crossRegionCost: 0":                   "crossRegionCost: want at least crossZoneCost (1), and at most 1000, got 0",
		"zoneSpillover: 0, crossRegionCost: .inf":                "crossRegionCost: want a number",
		"crossZoneCost: 2":                                       "crossZoneCost: needs zoneSpillover: 0",
		"zoneSpillover: 0.5, crossRegionCost: 2":                 "crossRegionCost: needs zoneSpillover: 0",
	} {
		_, err := Check([]byte(start + text + "}]\n"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), "services[0]."+want)) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
