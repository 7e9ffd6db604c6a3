package topic

// Names of the topics in the catalog; a test compares them with the file.
const (
	ServiceMetrics    = "service-metrics"
	HealthStatus      = "health-status"
	RoutingDecisions  = "routing-decisions"
	ConfigUpdates     = "config-updates"
	Alerts            = "alerts"
	AuditLogs         = "audit-logs"
	MetricsAggregated = "metrics-aggregated"
	HealthScores      = "health-scores"

	Rekey             = "smartlb-rekey"
	NodeStatus        = "smartlb-node-status"
	RateLimits        = "smartlb-rate-limits"
	AccessLogs        = "access-logs"
	ServiceMetricsDLQ = "service-metrics.dlq"
	HealthStatusDLQ   = "health-status.dlq"
)
