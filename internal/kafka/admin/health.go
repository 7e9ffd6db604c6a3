package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Health is the state of a cluster as this process sees it.
type Health struct {
	Healthy bool     `json:"healthy"` // a topic listing succeeded
	Cluster string   `json:"cluster"` // cluster id
	Brokers int      `json:"brokers"`
	Topics  int      `json:"topics"`
	Missing []string `json:"missing"` // topics of the catalog that do not exist
	TookMs  float64  `json:"tookMs"`
	Error   string   `json:"error,omitempty"`
}

// CheckHealth lists topics, as an operator would do to check Kafka. It returns no error; the result contains what
// failed.
func CheckHealth(ctx context.Context, a *kafka.Admin, catalog topic.Catalog) Health {
	began := time.Now()
	cluster, err := a.Describe(ctx)
	h := Health{Missing: []string{}, TookMs: float64(time.Since(began).Microseconds()) / 1000}
	if err != nil {
		h.Error = fmt.Sprint(err)
		return h
	}
	h.Healthy, h.Cluster, h.Brokers, h.Topics = true, cluster.ID, cluster.Brokers, len(cluster.Topics)
	for _, name := range catalog.Names() {
		if _, ok := cluster.Topics[name]; !ok {
			h.Missing = append(h.Missing, name)
		}
	}
	return h
}
