package topic

import "strings"

// Reserved reports whether the records of a topic control smartlb, Kafka or Kafka Connect. A record there has effects
// that need the role admin elsewhere, or forges records of nodes. Services and collectors write service-metrics and
// health-status, which are not reserved. Dead letters are not reserved either.
func Reserved(name string) bool {
	switch name {
	case ConfigUpdates, NodeStatus, RateLimits, AuditLogs, AccessLogs, Alerts, // configuration, and records of nodes and the analyzer
		HealthScores, MetricsAggregated, Rekey, RoutingDecisions, // results of the analyzer and the proxies
		"connect-configs", "connect-offsets", "connect-status": // Connect's connectors with their settings
		return true
	}
	return strings.HasPrefix(name, "__") // Kafka's own topics: offsets of groups, transactions
}

// ReservedGroup reports whether a consumer group belongs to smartlb or Kafka Connect. Moving its offsets would make the
// analyzer skip or repeat metrics of every service, or a connector skip or repeat its records.
func ReservedGroup(name string) bool {
	return strings.HasPrefix(name, "smartlb-") || strings.HasPrefix(name, "connect-")
}
