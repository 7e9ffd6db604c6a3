package topic_test

import (
	"testing"

	"github.com/smartlb/smartlb/internal/kafka/topic"
)

func TestAnEstimateGrowsWithTheLoadAndNamesItsAssumptions(t *testing.T) {
	small := topic.EstimateLoad(catalog(t), topic.Load{Instances: 10, Proxies: 1, Requests: 100})
	large := topic.EstimateLoad(catalog(t), topic.Load{Instances: 20, Proxies: 2, Requests: 100})
	if small.PerDay <= 0 || large.PerDay <= small.PerDay || small.Kept <= small.PerDay || len(small.Assumptions) == 0 {
		t.Errorf("%+v\n%+v", small, large)
	}
	// Ten instances that report each 30 s, and a proxy that reports each of them
	// once a second.
	if s := small.Topics[0]; s.Topic != topic.ServiceMetrics || s.Records != 10*86_400/30+10*86_400 || s.Retention != "7 d" {
		t.Errorf("service-metrics: %+v", s)
	}
}

// bench/volume compares the estimate with what is measured.
func TestTelemetryOfTwoHundredInstancesKeepsAtMostFiveGiB(t *testing.T) {
	e := topic.EstimateLoad(catalog(t), topic.Load{Instances: 200, Proxies: 1, Requests: 100})
	if e.Kept > 5<<30 || e.Kept < 3<<30 {
		t.Errorf("%.2f GiB", float64(e.Kept)/(1<<30))
	}
}

func TestEstimatesRiseWithEachPartOfTheLoad(t *testing.T) {
	kept := func(instances, proxies int, requests float64) int64 {
		return topic.EstimateLoad(catalog(t), topic.Load{Instances: instances, Proxies: proxies, Requests: requests}).Kept
	}
	for _, n := range []int{1, 5, 10, 19, 25, 40, 200, 1000, 5000, 1_000_000} {
		if one, two := kept(n, 1, 1), kept(n, 2, 1); n > 0 && two <= one || kept(n, 1, 100) < one {
			t.Errorf("%d instances: %d bytes with one proxy, %d with two", n, one, two)
		}
	}
	if a, b := kept(200, 1, 100), kept(5000, 1, 100); b < 10*a || b > 30*a {
		t.Errorf("200 instances keep %d bytes, 5000 keep %d", a, b)
	}
	if e := topic.EstimateLoad(catalog(t), topic.Load{Proxies: 1}); e.Kept < 0 {
		t.Errorf("no instances keep %d bytes", e.Kept)
	}
}
