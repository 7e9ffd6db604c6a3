package topic

import "strings"

// Reserved reports whether the records of a topic steer smartlb, Kafka or
// Kafka Connect: a record there does what needs the role admin elsewhere, or
// forges what nodes record. Services and collectors write service-metrics and
// health-status, which are not reserved, and neither are dead letters.
func Reserved(name string) bool {
	switch name {
	case ConfigUpdates, NodeStatus, AuditLogs, Alerts, // the configuration, and what nodes and the analyzer say
		HealthScores, MetricsAggregated, Rekey, RoutingDecisions, // what the analyzer and the proxies conclude
		"connect-configs", "connect-offsets", "connect-status": // Connect's connectors with their settings
		return true
	}
	return strings.HasPrefix(name, "__") // Kafka's own: offsets of groups, transactions
}

// ReservedGroup reports whether a consumer group is one of smartlb's or of
// Kafka Connect's: moving it makes the analyzer skip or repeat metrics of every
// service, or a connector its records.
func ReservedGroup(name string) bool {
	return strings.HasPrefix(name, "smartlb-") || strings.HasPrefix(name, "connect-")
}
