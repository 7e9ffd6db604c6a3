package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/topic"
)

// with runs f with a client, bounded by the timeout. An error names the
// brokers, because a wrong address is the usual reason.
func with[R any](ctx context.Context, env *cli.Env, t cli.Brokers, f func(context.Context, *kafka.Admin) (R, error)) (R, error) {
	var none R
	cfg, err := t.Config(env)
	if err != nil {
		return none, err
	}
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		return none, err
	}
	defer admin.Close()
	if t.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.Timeout)
		defer cancel()
	}
	r, err := f(ctx, admin)
	_, origin := t.Resolve(env)
	var refused *net.OpError
	if errors.As(err, &refused) {
		return r, fmt.Errorf("no Kafka at %s (%s), smartlb kafka start starts one here: %w", strings.Join(cfg.Brokers, ","), origin, err)
	}
	if err != nil && ctx.Err() != nil {
		return r, fmt.Errorf("no answer from %s (%s) within %v: %w", strings.Join(cfg.Brokers, ","), origin, t.Timeout, err)
	}
	return r, err
}

func catalog() (topic.Catalog, error) { return topic.Parse(deployment.Topics) }

// complete offers the names of topics for the first word.
func completeTopics(ctx context.Context, env *cli.Env, t cli.Brokers, words []string) []string {
	if len(words) > 0 {
		return nil
	}
	t.Timeout = 2 * time.Second // somebody waits with a finger on the key
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
