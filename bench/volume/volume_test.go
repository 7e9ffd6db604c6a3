package main

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// The estimate said 178 GiB where 93 were written. It is now compared with what
// a fleet of reporters, an analyzer and a broker put on the disk, on a clock that does not depend on the load of the machine.
func TestTheEstimateIsWhatIsMeasured(t *testing.T) {
	synctest.Test(t, compareWithEstimate)
}

func compareWithEstimate(t *testing.T) {
	load := topic.Load{Instances: 100, Proxies: 1, Requests: 50}
	got, err := measure(t.Context(), t.TempDir(), load, load.Instances, 50*time.Second, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := topic.Parse(deployment.Topics)
	if err != nil {
		t.Fatal(err)
	}
	const day = 86_400
	measured, estimated := 0.0, 0.0
	for _, e := range topic.EstimateLoad(catalog, load).Topics {
		if e.Topic == topic.NodeStatus {
			continue // there is no node
		}
		bytes, perSecond := got[e.Topic].bytes, float64(e.PerDay)/day
		if bytes <= 0 || math.Abs(perSecond/bytes-1) > .4 {
			t.Errorf("%s: %.0f B/s measured, %.0f estimated", e.Topic, bytes, perSecond)
		}
		measured, estimated = measured+bytes, estimated+perSecond
	}
	t.Logf("%.0f B/s measured, %.0f estimated", measured, estimated)
	if math.Abs(estimated/measured-1) > .2 {
		t.Errorf("%.0f B/s measured, %.0f estimated: more than 20 %% apart", measured, estimated)
	}
}
