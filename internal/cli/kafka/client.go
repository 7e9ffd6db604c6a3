package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/pflag"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/topic"
)

// target says which cluster a verb talks to.
type target struct {
	brokers string
	timeout time.Duration
}

// defaultBroker is where a broker on this machine listens.
const defaultBroker = "localhost:9092"

func (t *target) flags(f *pflag.FlagSet) {
	f.StringVarP(&t.brokers, "brokers", "b", "", "host:port,... of the cluster; before SMARTLB_KAFKA_BROKERS, KAFKA_BROKER and "+defaultBroker)
	f.DurationVar(&t.timeout, "timeout", 15*time.Second, "longest wait for an answer")
}

// resolve returns the brokers and where they were named.
func (t target) resolve(env *cli.Env) (brokers []string, origin string) {
	if t.brokers != "" {
		return split(t.brokers), "--brokers"
	}
	if v, name := env.First("SMARTLB_KAFKA_BROKERS", "KAFKA_BROKER"); v != "" {
		return split(v), name
	}
	return []string{defaultBroker}, "default"
}

func split(list string) []string {
	var out []string
	for s := range strings.SplitSeq(list, ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func (t target) config(env *cli.Env) (kafka.Config, error) {
	cfg := kafka.Default()
	brokers, origin := t.resolve(env)
	cfg.Brokers, cfg.Linger = brokers, 0
	if t.timeout > 0 {
		cfg.RequestTimeout, cfg.DeliveryTimeout = t.timeout, t.timeout
	}
	if err := cfg.Validate(); err != nil {
		return cfg, cli.Usagef("%s: %w", origin, err)
	}
	return cfg, nil
}

// with runs f with a client, bounded by the timeout. An error names the
// brokers, because a wrong address is the usual reason.
func with[R any](ctx context.Context, env *cli.Env, t target, f func(context.Context, *kafka.Admin) (R, error)) (R, error) {
	var none R
	cfg, err := t.config(env)
	if err != nil {
		return none, err
	}
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		return none, err
	}
	defer admin.Close()
	if t.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.timeout)
		defer cancel()
	}
	r, err := f(ctx, admin)
	_, origin := t.resolve(env)
	var refused *net.OpError
	if errors.As(err, &refused) {
		return r, fmt.Errorf("no Kafka at %s (%s), smartlb kafka start starts one here: %w", strings.Join(cfg.Brokers, ","), origin, err)
	}
	if err != nil && ctx.Err() != nil {
		return r, fmt.Errorf("no answer from %s (%s) within %v: %w", strings.Join(cfg.Brokers, ","), origin, t.timeout, err)
	}
	return r, err
}

func catalog() (topic.Catalog, error) { return topic.Parse(deployment.Topics) }

// complete offers the names of topics for the first word.
func completeTopics(ctx context.Context, env *cli.Env, t target, words []string) []string {
	if len(words) > 0 {
		return nil
	}
	t.timeout = 2 * time.Second // somebody waits with a finger on the key
	names, err := with(ctx, env, t, func(ctx context.Context, a *kafka.Admin) ([]string, error) {
		c, err := a.Describe(ctx)
		var names []string
		for name := range c.Topics {
			names = append(names, name)
		}
		return names, err
	})
	if err != nil {
		return nil
	}
	return names
}
