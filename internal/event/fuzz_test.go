package event_test

import (
	"testing"

	"github.com/smartlb/smartlb/internal/event"
)

// fuzz runs one codec: it never panics, and what it accepts survives a round trip that the schema accepts too.
func fuzz(f *testing.F, topic string) {
	var c codec
	for _, c = range codecs() {
		if c.topic == topic {
			break
		}
	}
	for _, s := range corpus(f, topic) {
		f.Add(s.value)
	}
	schema := compileSchema(f, topic)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := c.decode(b)
		if err != nil {
			return
		}
		roundTrip(t, c, schema, m)
	})
}

func FuzzServiceMetrics(f *testing.F)    { fuzz(f, event.TopicServiceMetrics) }
func FuzzHealthStatus(f *testing.F)      { fuzz(f, event.TopicHealthStatus) }
func FuzzRoutingDecision(f *testing.F)   { fuzz(f, event.TopicRoutingDecisions) }
func FuzzConfigUpdate(f *testing.F)      { fuzz(f, event.TopicConfigUpdates) }
func FuzzAlert(f *testing.F)             { fuzz(f, event.TopicAlerts) }
func FuzzAuditLog(f *testing.F)          { fuzz(f, event.TopicAuditLogs) }
func FuzzMetricsAggregated(f *testing.F) { fuzz(f, event.TopicMetricsAggregated) }
func FuzzHealthScore(f *testing.F)       { fuzz(f, event.TopicHealthScores) }
func FuzzNodeStatus(f *testing.F)        { fuzz(f, event.TopicNodeStatus) }
func FuzzRateLimits(f *testing.F)        { fuzz(f, event.TopicRateLimits) }
func FuzzAccessLog(f *testing.F)         { fuzz(f, event.TopicAccessLogs) }
