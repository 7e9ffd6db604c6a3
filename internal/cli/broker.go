package cli

import (
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/kafka"
)

// Brokers are the flags of a verb that talks to Kafka.
type Brokers struct {
	List    []string
	Timeout time.Duration
}

// Declare declares -b/--brokers and --timeout.
func (b *Brokers) Declare(f *pflag.FlagSet) {
	f.StringSliceVarP(&b.List, "brokers", "b", nil, "`host:port,...` of the cluster (default SMARTLB_KAFKA_BROKERS, KAFKA_BROKER or localhost:9092)")
	f.DurationVar(&b.Timeout, "timeout", 15*time.Second, "longest wait for an answer")
}

// Config gives the client settings: flag, then environment, then localhost:9092.
func (b Brokers) Config(env *Env) (kafka.Config, error) {
	cfg := kafka.Default()
	cfg.Linger = 0
	if v, _ := env.First("SMARTLB_KAFKA_BROKERS", "KAFKA_BROKER"); v != "" {
		cfg.Brokers = strings.Split(v, ",")
	}
	if len(b.List) > 0 {
		cfg.Brokers = b.List
	}
	if b.Timeout > 0 {
		cfg.RequestTimeout, cfg.DeliveryTimeout = b.Timeout, b.Timeout
	}
	if err := cfg.Validate(); err != nil {
		return cfg, Usagef("%w", err)
	}
	return cfg, nil
}
