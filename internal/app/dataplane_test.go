package app

import (
	"strconv"
	"testing"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Kafka refuses a batch above the limit of its topic, with all its records.
func TestBatchesOfAccessLogsFitTheirTopic(t *testing.T) {
	catalog, err := topic.Parse(deployment.Topics)
	if err != nil {
		t.Fatal(err)
	}
	spec, _ := catalog.Find(topic.AccessLogs)
	if limit, err := strconv.Atoi(spec.Configs["max.message.bytes"]); err != nil || accessLogBatch > limit {
		t.Errorf("batches have up to %d bytes, the topic takes %d: %v", accessLogBatch, limit, err)
	}
}
