package topic

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/base/pace"
)

// Load is the input of an estimate.
type Load struct {
	Instances int
	Proxies   int     // each sends to all instances
	Requests  float64 // per instance and second
}

// Estimate holds the bytes that a load writes and keeps.
type Estimate struct {
	Instances   int             `json:"instances"`
	Proxies     int             `json:"proxies"`
	Requests    float64         `json:"requestsPerInstance"` // per second
	Topics      []EstimateTopic `json:"topics"`
	PerDay      int64           `json:"bytesPerDay"`
	Kept        int64           `json:"bytesKept"` // once the retentions are full, without topics that are kept forever
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

// flow is the write rate of one topic.
type flow struct {
	topic   string
	records float64 // per second
	bytes   float64 // per second, in the log: compressed, with batch headers
}

// batches is the number of batches into which records of one moment are divided.
type batches float64

// bytes returns the size of records that are written together. Compression and the batch header make the first record
// of a batch cost more. Beyond smallBatch records, compression improves further. The formula is fitted to 5,000
// instances, where a further record of each topic takes 0.68 to 0.76 of its size with 200 instances.
func (b batches) bytes(records, first, further float64) float64 {
	n := min(records, float64(b))
	if n > 0 {
		further *= math.Pow(max(records/n/smallBatch, 1), -.1)
	}
	return n*first + (records-n)*further
}

const smallBatch = 67 // records of 200 instances in one of three partitions

// flows returns the write rates of reporters and analyzer, by the rules of package pace. bench/volume measures the
// bytes of their records with the real code (bench/results/2026-11-28-volume.md); a test there compares both.
func flows(l Load) []flow {
	n, proxies := float64(l.Instances), float64(l.Proxies)
	round := pace.Rounds(l.Instances, time.Second).Seconds()
	large := round > 1
	sampled := min(decisionSample*l.Requests*n, decisionCap*proxies)
	services := math.Ceil(n / perService)
	together := batches(min(services, 3)) // partitions by service
	reports := flow{ServiceMetrics, n/selfPause + proxies*n/round, n/selfPause*selfBytes + proxies*together.bytes(n, 210, 70)/round}
	results := proxies * n / healthPause // sent singly; results within one linger share a batch
	company := 1 + n/healthPause*linger/max(float64(together), 1)
	health := flow{HealthStatus, results, results * (200 + (company-1)*30) / company}
	windows := flow{MetricsAggregated, (n + services) * (1./10 + 1./60), together.bytes(n+services, 260, 56)/10 + together.bytes(n+services, 300, 110)/60}
	if !large { // early revisions every 2 and 10 s
		windows = flow{MetricsAggregated, (n + services) * smallWindows, smallWindows * together.bytes(n+services, 280, 115)}
	}
	scores := flow{HealthScores, n / round, together.bytes(n, 220, 32) / round}
	status := .2 * (1 + proxies)
	return []flow{
		reports, health,
		{RoutingDecisions, sampled, sampled * 305},
		windows, scores,
		{NodeStatus, status, status * 308},
	}
}

const (
	selfPause   = 30  // seconds between two reports of an instance about its own state, see package report
	selfBytes   = 411 // each in a batch of its own
	healthPause = 30  // seconds between two equal results of a health check
	linger      = .1  // seconds that a proxy's record waits for more records
	perService  = 20  // instances per service; windows are also written per service

	smallWindows = .7 // windows per second of one instance in a small fleet
)

// Recorded decisions of a proxy by default: a share, and at most this many per second.
const (
	decisionSample = 0.01
	decisionCap    = 2
)

// EstimateLoad returns the bytes per day that a load writes into the topics of a catalog, and the bytes that the topics
// keep.
func EstimateLoad(cat Catalog, l Load) Estimate {
	out := Estimate{Instances: l.Instances, Proxies: l.Proxies, Requests: l.Requests, Topics: []EstimateTopic{}}
	for _, f := range flows(l) {
		s, known := cat.Find(f.topic)
		if !known {
			continue
		}
		day := (24 * time.Hour).Seconds()
		t := EstimateTopic{Topic: f.topic, Records: int64(f.records * day), PerDay: int64(f.bytes * day * float64(max(s.Replicas, 1)))}
		t.Retention = Human("retention.ms", s.Configs["retention.ms"])
		if ms, err := strconv.ParseInt(s.Configs["retention.ms"], 10, 64); err == nil && ms >= 0 {
			t.Kept = int64(float64(t.PerDay) * float64(ms) / float64((24 * time.Hour).Milliseconds()))
		}
		out.Topics = append(out.Topics, t)
		out.PerDay += t.PerDay
		out.Kept += t.Kept
	}
	out.Assumptions = []string{
		"every instance reports every 30 s and each change at once (package report); each proxy reports on every instance every second, in fleets of more than 20 instances up to every 10 s",
		fmt.Sprintf("%g %% of the requests are recorded as decisions, at most %d a second by each proxy, and no error or retry beyond them", 100*decisionSample, decisionCap),
		"the load is steady and few requests fail; services have 20 instances; reporters that are not of smartlb write what they write",
		"sizes are those of compressed batches (zstd), measured (bench/volume)",
		"one copy of every record, unless the catalog says replicas",
		"configuration, alerts and audit records are too few to count",
		"the embedded broker keeps at most 1 GiB in all, whatever the retentions say",
	}
	return out
}
