package event

import "strings"

// Topic names, as in the catalog.
const (
	TopicServiceMetrics    = "service-metrics"
	TopicHealthStatus      = "health-status"
	TopicRoutingDecisions  = "routing-decisions"
	TopicConfigUpdates     = "config-updates"
	TopicAlerts            = "alerts"
	TopicAuditLogs         = "audit-logs"
	TopicMetricsAggregated = "metrics-aggregated"
	TopicHealthScores      = "health-scores"
	TopicRekey             = "smartlb-rekey"
	TopicNodeStatus        = "smartlb-node-status"
	TopicRateLimits        = "smartlb-rate-limits"
	TopicAccessLogs        = "access-logs"
	TopicServiceMetricsDLQ = "service-metrics.dlq"
	TopicHealthStatusDLQ   = "health-status.dlq"
)

// Record headers.
const (
	// HeaderReporter names the reporter: "proxy/<node>", or "collector/<kind>" for what smartlb read from the instance. If it
	// is absent, the reporter is the instance itself.
	HeaderReporter = "smartlb-reporter"
	// HeaderAddress is host:port of the instance that sends a service-metrics or health-status message, with which it
	// registers itself. The field address of the message does the same.
	HeaderAddress = "smartlb-address"
	// HeaderLatency holds a DDSketch of the latencies in milliseconds of the report's span. Its relative accuracy is
	// SketchAlpha. Its form is the binary encoding of DataDog/sketches-go with its index mapping.
	HeaderLatency = "smartlb-latency"
)

// SketchAlpha is the relative accuracy of every latency sketch. Sketches with different accuracy cannot be merged.
const SketchAlpha = 0.01

// ReporterProxy returns the reporter header of a proxy.
func ReporterProxy(node string) string { return "proxy/" + node }

// ReporterORCA is the reporter of load reports that proxies found in responses.
const ReporterORCA = collectors + "orca"

const collectors = "collector/"

// ReporterCollector returns the reporter header of what smartlb asked an instance for, by its form.
func ReporterCollector(kind string) string { return collectors + kind }

// FromInstance reports whether the numbers of a reporter are the instance's own.
func FromInstance(reporter string) bool {
	return reporter == ReporterSelf || strings.HasPrefix(reporter, collectors)
}

// ReporterSelf is the reporter of messages without a reporter header: the instance itself.
const ReporterSelf = ""

// InstanceAll stands for all instances of a service in metrics-aggregated. No instance may have this id.
const InstanceAll = "_all"
