package kafkacmd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/base/screen"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/ops"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// with runs f with a client, bounded by the timeout. An error names the
// brokers, because a wrong address is the usual reason.
func with[R any](ctx context.Context, env *cli.Env, t cli.Brokers, f func(context.Context, *kafka.Admin) (R, error)) (R, error) {
	var none R
	if t.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.Timeout)
		defer cancel()
	}
	cfg, err := t.Reach(ctx, env)
	if err != nil {
		return none, err
	}
	admin, err := kafka.NewAdminWithin(ctx, cfg)
	if err != nil {
		return none, err
	}
	defer admin.Close()
	defer stillWaiting(env, cfg.Brokers)()
	r, err := f(ctx, admin)
	return r, reach(ctx, env, t, err)
}

// stillWaiting says after a second what is waited for. The returned function
// ends that.
func stillWaiting(env *cli.Env, brokers []string) (done func()) {
	_, ok := screen.File(env.Err) // buffers of tests take words from one goroutine only
	if !ok {
		return func() {}
	}
	t := time.AfterFunc(time.Second, func() { fmt.Fprintf(env.Err, "waiting for %s ...\n", strings.Join(brokers, ",")) })
	return func() { t.Stop() }
}

// reach adds to an error what the command was to reach.
func reach(ctx context.Context, env *cli.Env, t cli.Brokers, err error) error {
	if err == nil {
		return nil
	}
	brokers, origin := t.Resolve(env)
	if cfg, wrong := t.Config(env); wrong == nil {
		if cause, text := kafka.Explain(err, cfg); slices.Contains(shutOut(), cause) {
			return fmt.Errorf("%s (%s): %w", text, origin, err)
		}
	}
	var refused *net.OpError
	if errors.As(err, &refused) {
		return fmt.Errorf("no Kafka at %s (%s); smartlb kafka start starts one on this machine: %w", strings.Join(brokers, ","), origin, err)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer from %s (%s) within %v: %w", strings.Join(brokers, ","), origin, t.Timeout, err)
	}
	return err
}

// shutOut are the causes that an error names better than we could: somebody is
// there and does not let us in.
func shutOut() []kafka.Cause {
	return []kafka.Cause{
		kafka.CauseLogin, kafka.CauseMechanism, kafka.CauseWantsTLS, kafka.CauseNotTLS, kafka.CauseUnknownCA, kafka.CauseCertName, kafka.CauseCertTime,
		kafka.CauseWantsCert, kafka.CauseDenied, kafka.CauseNotKafka,
	}
}

func catalog() (topic.Catalog, error) { return topic.Parse(deployment.Topics) }

// catalogFile reads the catalog from a file, or the one that the program
// carries.
func catalogFile(path string) (topic.File, error) {
	if path == "" {
		return topic.ParseFile(deployment.Topics)
	}
	doc, err := os.ReadFile(path)
	if err != nil {
		return topic.File{}, err
	}
	f, err := topic.ParseFile(doc)
	if err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// pairs reads key=value words.
func pairs(flag string, words []string) (map[string]string, error) {
	out := map[string]string{}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || key == "" {
			return nil, cli.Usagef("%s %s: key=value is expected", flag, w)
		}
		if _, twice := out[key]; twice {
			return nil, cli.Usagef("%s: %s is given twice", flag, key)
		}
		out[key] = value
	}
	return out, nil
}

// some checks words of which there must be at least one, and none twice.
func some(what string, words []string) error {
	if len(words) == 0 {
		return cli.Usagef("%s is missing", what)
	}
	for i, w := range words {
		if w == "" {
			return cli.Usagef("%s is empty", what)
		}
		if slices.Contains(words[:i], w) {
			return cli.Usagef("%s is given twice", w)
		}
	}
	return nil
}

// patience is how long a completion may keep a finger waiting.
const patience = 2 * time.Second

// names asks a cluster for names to complete with; errors give none.
func names(ctx context.Context, env *cli.Env, t cli.Brokers, words []string, f func(context.Context, *kafka.Admin) ([]string, error)) []string {
	t.Timeout = patience
	all, err := with(ctx, env, t, f)
	if err != nil {
		return nil
	}
	slices.Sort(all)
	return slices.DeleteFunc(all, func(n string) bool { return slices.Contains(words, n) })
}

// completeTopics offers topics for the first word.
func completeTopics(ctx context.Context, env *cli.Env, t cli.Brokers, words []string) []string {
	if len(words) > 0 {
		return nil
	}
	return anyTopic(ctx, env, t, words)
}

// anyTopic offers topics for every word.
func anyTopic(ctx context.Context, env *cli.Env, t cli.Brokers, words []string) []string {
	return names(ctx, env, t, words, func(ctx context.Context, a *kafka.Admin) ([]string, error) {
		c, err := a.Describe(ctx)
		var all []string
		for name := range c.Topics {
			all = append(all, name)
		}
		return all, err
	})
}

// anyGroup offers consumer groups for every word.
func anyGroup(ctx context.Context, env *cli.Env, t cli.Brokers, words []string) []string {
	return names(ctx, env, t, words, func(ctx context.Context, a *kafka.Admin) ([]string, error) {
		listed, err := ops.ListGroups(ctx, a)
		var all []string
		for _, g := range listed {
			all = append(all, g.Name)
		}
		return all, err
	})
}

// orNone writes what may be empty.
func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// dry is the last line of what was not carried out.
func dry(what string) string { return "Nothing was " + what + "; --execute does it." }
