package event

// Topic names as the catalog has them.
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
	TopicServiceMetricsDLQ = "service-metrics.dlq"
	TopicHealthStatusDLQ   = "health-status.dlq"
)

// Record headers.
const (
	// HeaderReporter says who measured: "proxy/<node>". Absent, it was the instance itself.
	HeaderReporter = "smartlb-reporter"
	// HeaderLatency holds a DDSketch (relative accuracy SketchAlpha) of the latencies in milliseconds of the
	// report's span, in the binary encoding of DataDog/sketches-go with its index mapping.
	HeaderLatency = "smartlb-latency"
)

// SketchAlpha is the relative accuracy of every latency sketch: sketches merge only when it is the same.
const SketchAlpha = 0.01

// ReporterProxy returns the reporter header of a proxy.
func ReporterProxy(node string) string { return "proxy/" + node }

// ReporterSelf is the reporter of messages that carry no reporter header: the instance itself.
const ReporterSelf = ""

// InstanceAll stands for all instances of a service in metrics-aggregated. No instance may have this id.
const InstanceAll = "_all"
