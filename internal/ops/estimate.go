package ops

import (
	"fmt"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/topic"
)

// Load is what an estimate is for.
type Load struct {
	Instances int
	Proxies   int     // that each send to all instances
	Requests  float64 // per instance and second
}

// Estimate is what a load writes and keeps.
type Estimate struct {
	Instances   int             `json:"instances"`
	Proxies     int             `json:"proxies"`
	Requests    float64         `json:"requestsPerInstance"` // per second
	Topics      []EstimateTopic `json:"topics"`
	PerDay      int64           `json:"bytesPerDay"`
	Kept        int64           `json:"bytesKept"` // once the retentions are full, without what is kept for ever
	Assumptions []string        `json:"assumptions"`
}

// EstimateTopic is one topic of an Estimate.
type EstimateTopic struct {
	Topic     string `json:"topic"`
	Records   int64  `json:"recordsPerDay"`
	PerDay    int64  `json:"bytesPerDay"`
	Retention string `json:"retention"`
	Kept      int64  `json:"bytesKept"`
}

// flow is how one topic is written.
type flow struct {
	topic  string
	rate   func(Load) float64 // records a second
	onDisk float64            // bytes of a record in the log, compressed, with its share of the batch
}

// flows are measured: `smartlb up --demo` (11 instances that report
// themselves, one proxy, about 150 requests/s in all, defaults) on 2026-11-23,
// 40 s of counts and the bytes of the log by topic. Larger fleets fill batches
// better and need fewer bytes a record.
func flows() []flow {
	per := func(rate float64) func(Load) float64 {
		return func(l Load) float64 { return rate * float64(l.Instances) }
	}
	return []flow{
		{topic.ServiceMetrics, func(l Load) float64 { return float64(l.Instances) * float64(1+l.Proxies) }, 247},
		{topic.HealthStatus, func(l Load) float64 { return 0.17 * float64(l.Instances) * float64(l.Proxies) }, 273},
		{topic.RoutingDecisions, func(l Load) float64 {
			return min(decisionSample*l.Requests*float64(l.Instances), decisionCap*float64(l.Proxies))
		}, 660},
		{topic.MetricsAggregated, per(1.06), 237},
		{topic.HealthScores, per(0.95), 133},
		{topic.NodeStatus, func(l Load) float64 { return 0.2 * float64(1+l.Proxies) }, 308},
	}
}

// What of a proxy's decisions is recorded by default: a share, and at most so
// many a second.
const (
	decisionSample = 0.01
	decisionCap    = 500
)

// EstimateLoad tells the bytes that a load writes into the topics of a catalog
// a day, and that they keep.
func EstimateLoad(cat topic.Catalog, l Load) Estimate {
	out := Estimate{Instances: l.Instances, Proxies: l.Proxies, Requests: l.Requests, Topics: []EstimateTopic{}}
	for _, f := range flows() {
		s, known := cat.Find(f.topic)
		if !known {
			continue
		}
		records := f.rate(l) * (24 * time.Hour).Seconds()
		t := EstimateTopic{Topic: f.topic, Records: int64(records), PerDay: int64(records * f.onDisk * float64(max(s.Replicas, 1)))}
		t.Retention = topic.Human("retention.ms", s.Configs["retention.ms"])
		if ms, err := strconv.ParseInt(s.Configs["retention.ms"], 10, 64); err == nil && ms >= 0 {
			t.Kept = int64(float64(t.PerDay) * float64(ms) / float64((24 * time.Hour).Milliseconds()))
		}
		out.Topics = append(out.Topics, t)
		out.PerDay += t.PerDay
		out.Kept += t.Kept
	}
	out.Assumptions = []string{
		"every instance reports itself once a second, and each proxy reports every instance once a second",
		fmt.Sprintf("%g %% of the requests are recorded as decisions, at most %d a second by each proxy, and no error or retry beyond them", 100*decisionSample, decisionCap),
		"sizes are those of small compressed batches (zstd), measured with 11 instances; large fleets need less",
		"one copy of every record, unless the catalog says replicas",
		"configuration, alerts and audit records are too few to count",
		"the embedded broker keeps at most 1 GiB in all, whatever the retentions say",
	}
	return out
}
