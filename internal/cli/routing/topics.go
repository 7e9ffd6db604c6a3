package routing

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka/records"
)

type topicArgs struct {
	cli.Brokers
	last    int
	follow  bool
	service string
}

func (a *topicArgs) flags(f *pflag.FlagSet) {
	a.Declare(f)
	f.IntVarP(&a.last, "last", "n", a.last, "number of past records")
	f.BoolVarP(&a.follow, "follow", "f", false, "continue with new records until Ctrl-C")
}

type decisionArgs struct {
	topicArgs
	admin, request string
	since          time.Duration
}

func decisions(env *cli.Env) *cobra.Command {
	return cli.Verb[decisionArgs, cli.None]{
		Use: "decisions [REQUEST-ID]", Short: "Show recorded routing decisions and changes, or the decisions of one request",
		Long:     "The decisions are in the topic routing-decisions. With a request id (X-Request-Id of the response, request_id of the\naccess log), a node searches for that request. Nodes record a sample of all requests, and every request that failed or\nwas retried.",
		Example:  "  smartlb decisions -f\n  smartlb decisions -n 100 --service user-service\n  smartlb decisions -f -o json | jq 'select(.outcome.status >= 500)'\n  smartlb decisions 4f1c9a2e5b7d8036 --since 6h",
		Defaults: decisionArgs{topicArgs: topicArgs{last: 20}, since: time.Hour},
		Flags: func(f *pflag.FlagSet, a *decisionArgs) {
			a.flags(f)
			f.StringVar(&a.service, "service", "", "only of this service")
			f.DurationVar(&a.since, "since", a.since, "with REQUEST-ID: how far to look back, at most 168h")
			cli.AdminFlag(f, &a.admin)
		},
		Args: func(a *decisionArgs, words []string) error {
			if len(words) > 1 {
				return cli.Usagef("unexpected argument %q", words[1])
			}
			a.request = strings.Join(words, "")
			return nil
		},
		Run: func(ctx context.Context, env *cli.Env, a decisionArgs) (cli.None, error) {
			if a.request != "" {
				return cli.None{}, oneRequest(ctx, env, a)
			}
			return cli.None{}, consume(ctx, env, a.topicArgs, event.TopicRoutingDecisions, func(v []byte) (string, bool) {
				d, err := event.DecodeRoutingDecision(v)
				if err != nil || (a.service != "" && d.ServiceID != a.service) {
					return "", false
				}
				return decisionLine(d), true
			})
		},
	}.Command(env)
}

// oneRequest prints the decisions of one request, the first try first.
func oneRequest(ctx context.Context, env *cli.Env, a decisionArgs) error {
	var found []json.RawMessage
	path := "/api/v1/decisions/" + url.PathEscape(a.request) + "?span=" + a.since.String()
	if err := cli.Admin(env, a.admin).Get(ctx, path, &found); err != nil {
		return err
	}
	for _, raw := range found {
		text := string(raw)
		if env.Output != "json" {
			d, err := event.DecodeRoutingDecision(raw)
			if err != nil {
				return err
			}
			text = decisionLine(d)
		}
		if _, err := fmt.Fprintln(env.Out, text); err != nil {
			return err
		}
	}
	return nil
}

func decisionLine(d event.RoutingDecision) string {
	at := readable.Time(d.Timestamp)
	if d.Kind == event.KindChange {
		return fmt.Sprintf("%s  %s  %s: %s -> %s %s", at, d.ServiceID, d.Change.InstanceID, d.Change.From, d.Change.To, d.Change.Reason)
	}
	result := fmt.Sprint(d.Outcome.Status)
	if d.Outcome.Failure != "" {
		result = d.Outcome.Failure
	}
	var costs []string
	for _, c := range d.Candidates {
		costs = append(costs, fmt.Sprintf("%s %.2f", strings.TrimPrefix(c.InstanceID, d.ServiceID+"-"), c.Cost))
	}
	line := fmt.Sprintf("%s  %s  -> %s (%s, try %d) %s in %.1f ms  costs: %s", at, d.Route, d.InstanceID, d.Reason, d.Attempt, result, d.Outcome.HeadMs.Or(0), strings.Join(costs, ", "))
	for _, e := range d.Excluded {
		line += fmt.Sprintf("; %s is out: %s", e.InstanceID, e.Reason)
	}
	return line
}

func auditLog(env *cli.Env) *cobra.Command {
	c := cli.Verb[topicArgs, cli.None]{
		Use: "audit", Short: "Show the audit log",
		Example:  "  smartlb audit -n 50\n  smartlb audit -f -o json\n  smartlb audit verify",
		Defaults: topicArgs{last: 20},
		Flags:    func(f *pflag.FlagSet, a *topicArgs) { a.flags(f) },
		Run: func(ctx context.Context, env *cli.Env, a topicArgs) (cli.None, error) {
			return cli.None{}, consume(ctx, env, a, event.TopicAuditLogs, func(v []byte) (string, bool) {
				r, err := event.DecodeAuditLog(v)
				if err != nil {
					return "", false
				}
				line := fmt.Sprintf("%s  %s %s  %s %s %s  %s", readable.Time(r.Timestamp), r.Actor.Type, r.Actor.ID, r.Action, r.Target.Kind, r.Target.ID, r.Result)
				return strings.TrimSpace(line + " " + r.Reason), true
			})
		},
	}.Command(env)
	c.AddCommand(verifyAudit(env))
	return c
}

// consume prints the records of a topic as lines; with -o json it prints valid JSON values unchanged.
func consume(ctx context.Context, env *cli.Env, a topicArgs, topic string, line func([]byte) (string, bool)) error {
	cfg, err := a.Answering(ctx, env)
	if err != nil {
		return err
	}
	if !a.follow {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.Timeout)
		defer cancel()
	}
	for chunk, err := range records.Consume(ctx, cfg, records.ConsumeSpec{Topic: topic, Limit: a.last, Follow: a.follow}) {
		if err != nil {
			return err
		}
		for _, r := range chunk.Records {
			text, ok := line(r.Value)
			if env.Output == "json" {
				text, ok = string(r.Value), ok && json.Valid(r.Value)
			}
			if !ok {
				continue
			}
			if _, err := fmt.Fprintln(env.Out, text); err != nil {
				return fmt.Errorf("consume %s: %w", topic, err)
			}
		}
	}
	return nil
}
