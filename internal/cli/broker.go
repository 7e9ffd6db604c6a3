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

// defaultBroker is where a broker on this machine listens.
const defaultBroker = "localhost:9092"

// Declare declares -b/--brokers and --timeout.
func (b *Brokers) Declare(f *pflag.FlagSet) {
	f.StringSliceVarP(&b.List, "brokers", "b", nil, "`host:port,...` of the cluster (default SMARTLB_KAFKA_BROKERS, KAFKA_BROKER or "+defaultBroker+")")
	f.DurationVar(&b.Timeout, "timeout", 15*time.Second, "longest wait for an answer")
}

// Resolve gives the brokers and where they were named: flag, environment or
// default.
func (b Brokers) Resolve(env *Env) (brokers []string, origin string) {
	if len(b.List) > 0 {
		return b.List, "--brokers"
	}
	if v, name := env.First("SMARTLB_KAFKA_BROKERS", "KAFKA_BROKER"); v != "" {
		for s := range strings.SplitSeq(v, ",") {
			if s = strings.TrimSpace(s); s != "" {
				brokers = append(brokers, s)
			}
		}
		return brokers, name
	}
	return []string{defaultBroker}, "default"
}

// Config gives the client settings of a command: one that sends at once.
func (b Brokers) Config(env *Env) (kafka.Config, error) {
	cfg := kafka.Default()
	brokers, origin := b.Resolve(env)
	cfg.Brokers, cfg.Linger = brokers, 0
	if b.Timeout > 0 {
		cfg.RequestTimeout, cfg.DeliveryTimeout = b.Timeout, b.Timeout
	}
	if err := cfg.Validate(); err != nil {
		return cfg, Usagef("%s: %w", origin, err)
	}
	return cfg, nil
}
