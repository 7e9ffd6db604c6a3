package event

// HasContract reports whether the values of a topic have a schema that Conforms checks.
func HasContract(topic string) bool {
	switch topic {
	case TopicServiceMetrics, TopicHealthStatus, TopicRoutingDecisions, TopicConfigUpdates, TopicAlerts, TopicAuditLogs,
		TopicMetricsAggregated, TopicHealthScores, TopicNodeStatus, TopicRateLimits, TopicAccessLogs:
		return true
	}
	return false
}

// Conforms checks a value against the contract of its topic. Other topics accept every value. The error gives the path
// of every wrong field.
func Conforms(topic string, value []byte) error {
	var err error
	switch topic {
	case TopicServiceMetrics:
		_, err = DecodeServiceMetrics(value)
	case TopicHealthStatus:
		_, err = DecodeHealthStatus(value)
	case TopicRoutingDecisions:
		_, err = DecodeRoutingDecision(value)
	case TopicConfigUpdates:
		_, err = DecodeConfigUpdate(value)
	case TopicAlerts:
		_, err = DecodeAlert(value)
	case TopicAuditLogs:
		_, err = DecodeAuditLog(value)
	case TopicMetricsAggregated:
		_, err = DecodeMetricsAggregated(value)
	case TopicHealthScores:
		_, err = DecodeHealthScore(value)
	case TopicNodeStatus:
		_, err = DecodeNodeStatus(value)
	case TopicRateLimits:
		_, err = DecodeRateLimits(value)
	case TopicAccessLogs:
		_, err = DecodeAccessLog(value)
	}
	return err
}
