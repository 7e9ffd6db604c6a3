package keeper

import (
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// What one of the two does not say is no difference.
func TestTheDistanceOfInstances(t *testing.T) {
	for _, row := range []struct {
		zone, region string // of the node
		tags         map[string]string
		want         upstream.Distance
	}{
		{"a", "x", map[string]string{"zone": "a", "region": "x"}, upstream.Near},
		{"a", "x", map[string]string{"zone": "b", "region": "x"}, upstream.CrossZone},
		{"a", "x", map[string]string{"zone": "a", "region": "y"}, upstream.CrossRegion},
		{"a", "x", map[string]string{"zone": "b"}, upstream.CrossZone},
		{"a", "x", map[string]string{"region": "y"}, upstream.CrossRegion},
		{"a", "x", map[string]string{"region": "x"}, upstream.Near},
		{"a", "x", nil, upstream.Near},
		{"a", "", map[string]string{"zone": "b", "region": "y"}, upstream.CrossZone},
		{"", "x", map[string]string{"zone": "b", "region": "y"}, upstream.CrossRegion},
		{"", "", map[string]string{"zone": "b", "region": "y"}, upstream.Near},
	} {
		w := newWorld()
		w.cfg.Zone, w.cfg.Region = row.zone, row.region
		c := configured("s", 1)
		c.Instances[0].Tags = row.tags
		w.Apply([]config.Service{c})
		w.Rebuild()
		if got := w.Views()[0].Instances[0].Distance; got != row.want {
			t.Errorf("node %s in %s, tags %v: got %d, want %d", row.zone, row.region, row.tags, got, row.want)
		}
	}
}

func TestExplainSaysWhyAFarInstanceTakesRequests(t *testing.T) {
	for want, edit := range map[string]func(s *ServiceView){
		"It is in another zone than this node. Nearer instances do not suffice (zoneSpillover 0.7).": func(s *ServiceView) {
			s.Spillover, s.Instances[0].Distance = .7, upstream.CrossZone
		},
		"It is in another region than this node, so its weight is divided by 4 (crossRegionCost).": func(s *ServiceView) {
			s.Costs.CrossRegion, s.Instances[0].Distance = 4, upstream.CrossRegion
		},
		"": func(s *ServiceView) { s.Instances[0].Distance = upstream.CrossZone }, // zones do not matter
	} {
		s := ServiceView{ID: "s", Instances: []InstanceView{{ID: "i", State: "in", SlowStart: 1}}}
		edit(&s)
		lines, _ := Explain(s, "i", time.Now())
		text := strings.Join(lines, "\n")
		if !strings.Contains(text, want) || want == "" && strings.Contains(text, "another") {
			t.Errorf("got %s, want %s", text, want)
		}
	}
}
