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
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// with runs f with a client and the timeout of t. Its errors name the brokers, because a wrong address is the usual
// cause.
func with[R any](ctx context.Context, env *cli.Env, t cli.Brokers, f func(context.Context, *kafka.Admin) (R, error)) (R, error) {
	var none R
	if t.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.Timeout)
		defer cancel()
	}
	cfg, err := t.Answering(ctx, env)
	if err != nil {
		return none, err
	}
	client, err := kafka.NewAdminWithin(ctx, cfg)
	if err != nil {
		return none, err
	}
	defer client.Close()
	defer stillWaiting(env, cfg.Brokers)()
	r, err := f(ctx, client)
	return r, withBrokers(ctx, env, t, err)
}

// stillWaiting prints after one second which brokers the command waits for. The returned function cancels that.
func stillWaiting(env *cli.Env, brokers []string) (done func()) {
	_, ok := screen.File(env.Err) // buffers in tests permit writes from one goroutine only
	if !ok {
		return func() {}
	}
	t := time.AfterFunc(time.Second, func() { fmt.Fprintf(env.Err, "waiting for %s ...\n", strings.Join(brokers, ",")) })
	return func() { t.Stop() }
}

// withBrokers adds to an error the brokers, their source and the next step.
func withBrokers(ctx context.Context, env *cli.Env, t cli.Brokers, err error) error {
	if err == nil {
		return nil
	}
	brokers, origin := t.Resolve(env)
	if cfg, wrong := t.Config(env); wrong == nil {
		if cause, text := kafka.Explain(err, cfg); slices.Contains(accessCauses(), cause) {
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

// accessCauses are the causes for which withBrokers uses the text of kafka.Explain: a server responded, but refused access.
func accessCauses() []kafka.Cause {
	return []kafka.Cause{
		kafka.CauseLogin, kafka.CauseMechanism, kafka.CauseWantsTLS, kafka.CauseNotTLS, kafka.CauseUnknownCA, kafka.CauseCertName, kafka.CauseCertTime,
		kafka.CauseWantsCert, kafka.CauseDenied, kafka.CauseNotKafka,
	}
}

func catalog() (topic.Catalog, error) { return topic.Parse(deployment.Topics) }

// catalogFile reads the catalog from a file. Without a path, it returns the catalog in the binary.
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

// pairs parses words of the form key=value.
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

// topicAndOne checks that the words are a topic and at most one other. fix ends the error about further words.
func topicAndOne(words []string, fix string) error {
	switch {
	case len(words) < 1:
		return errors.New("TOPIC is missing")
	case words[0] == "":
		return errors.New("TOPIC is empty")
	case len(words) > 2:
		return fmt.Errorf("unexpected argument %q%s", words[2], fix)
	}
	return nil
}

// checkNames checks that there is at least one word and that no word is there twice.
func checkNames(what string, words []string) error {
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

// completionTimeout limits how long a completion may delay the user's input.
const completionTimeout = 2 * time.Second

// names returns names from a cluster for completion. On an error it returns none.
func names(ctx context.Context, env *cli.Env, t cli.Brokers, words []string, f func(context.Context, *kafka.Admin) ([]string, error)) []string {
	t.Timeout = completionTimeout
	all, err := with(ctx, env, t, f)
	if err != nil {
		return nil
	}
	slices.Sort(all)
	return slices.DeleteFunc(all, func(n string) bool { return slices.Contains(words, n) })
}

// completeTopics completes the first word with topics.
func completeTopics(ctx context.Context, env *cli.Env, t cli.Brokers, words []string) []string {
	if len(words) > 0 {
		return nil
	}
	return anyTopic(ctx, env, t, words)
}

// anyTopic completes every word with topics.
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

// anyGroup completes every word with consumer groups.
func anyGroup(ctx context.Context, env *cli.Env, t cli.Brokers, words []string) []string {
	return names(ctx, env, t, words, func(ctx context.Context, a *kafka.Admin) ([]string, error) {
		listed, err := admin.ListGroups(ctx, a)
		var all []string
		for _, g := range listed {
			all = append(all, g.Name)
		}
		return all, err
	})
}

// orNone formats a text that may be empty.
func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// dry returns the last line of the output without --execute.
func dry(what string) string { return "Nothing was " + what + "; --execute does it." }
