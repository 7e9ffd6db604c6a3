package kafka

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/ops"
	"github.com/smartlb/smartlb/internal/topic"
)

type produceArgs struct {
	cli.Brokers
	topic    string
	value    *string
	key      string
	headers  []string
	asJSON   bool
	validate bool
}

// produced is the result of produce.
type produced struct {
	Topic   string   `json:"topic"`
	Records []placed `json:"records"`
}

// placed is where a record went.
type placed struct {
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

func produce(env *cli.Env) *cobra.Command {
	return cli.Verb[produceArgs, produced]{
		Use: "produce TOPIC [VALUE]", Short: "Send a record, or each line of stdin as one",
		Long: "Sends VALUE as it is, or every line of stdin. With --json the lines are messages as `consume -o json` prints them, with key, headers and timestamp. " +
			"What does not conform to the schema of its topic is sent all the same, with a warning; --validate refuses it.",
		Example: `  smartlb kafka produce service-metrics '{"test": "message"}'
  smartlb kafka consume alerts 10 -o json | smartlb kafka produce alerts-copy --json`,
		Flags: func(f *pflag.FlagSet, a *produceArgs) {
			a.Declare(f)
			f.StringVarP(&a.key, "key", "k", "", "key of the records")
			f.StringArrayVarP(&a.headers, "header", "H", nil, "key=value, may be repeated")
			f.BoolVar(&a.asJSON, "json", false, "lines of stdin are messages as consume -o json prints them")
			f.BoolVar(&a.validate, "validate", false, "refuse values that do not conform to the topic's schema")
		},
		Args: func(a *produceArgs, words []string) error {
			switch len(words) {
			case 2:
				a.value = &words[1]
				fallthrough
			case 1:
				a.topic = words[0]
				return nil
			}
			return errors.New("TOPIC [VALUE] is expected")
		},
		Complete: func(ctx context.Context, env *cli.Env, a *produceArgs, words []string) []string {
			return completeTopics(ctx, env, a.Brokers, words)
		},
		Run: runProduce,
		Table: func(p produced) cli.Table {
			if len(p.Records) == 1 {
				return cli.Table{Above: []string{fmt.Sprintf("Sent to %s, partition %d, offset %d.", p.Topic, p.Records[0].Partition, p.Records[0].Offset)}}
			}
			return cli.Table{Above: []string{fmt.Sprintf("Sent %d records to %s.", len(p.Records), p.Topic)}}
		},
	}.Command(env)
}

func runProduce(ctx context.Context, env *cli.Env, a produceArgs) (produced, error) {
	out := produced{Topic: a.topic, Records: []placed{}}
	if a.asJSON && a.value != nil {
		return out, cli.Usagef("--json reads stdin; VALUE is one too many")
	}
	var headers []kafka.Header
	for _, h := range a.headers {
		key, value, ok := strings.Cut(h, "=")
		if !ok {
			return out, cli.Usagef("--header %s: key=value is expected", h)
		}
		headers = append(headers, kafka.Header{Key: key, Value: []byte(value)})
	}
	cfg, err := a.Config(env)
	if err != nil {
		return out, err
	}
	if _, err := with(ctx, env, a.Brokers, func(ctx context.Context, admin *kafka.Admin) (ops.Description, error) {
		return ops.DescribeTopic(ctx, admin, nil, a.topic) // a missing topic is said at once
	}); err != nil {
		return out, err
	}
	p, err := kafka.NewProducer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return out, err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = p.Close(closing) // every record was sent and waited for
	}()
	send := func(r kafka.Record) error {
		r.Topic = a.topic
		if r.Key == nil && a.key != "" {
			r.Key = []byte(a.key)
		}
		r.Headers = append(r.Headers, headers...)
		if err := conforms(a.topic, r.Value); err != nil {
			if a.validate {
				return fmt.Errorf("not sent: the value does not conform to %s: %w", a.topic, err)
			}
			env.Say("warning: the value does not conform to %s: %v", a.topic, err)
		}
		sent, err := p.SendSync(ctx, r)
		if err == nil {
			out.Records = append(out.Records, placed{sent.Partition, sent.Offset})
		}
		return err
	}
	if a.value != nil {
		return out, send(kafka.Record{Value: []byte(*a.value)})
	}
	return out, eachLine(env.In, func(n int, line []byte) error {
		r := kafka.Record{Value: line}
		if a.asJSON {
			m, err := ops.ParseMessage(line)
			if err == nil {
				r, err = m.Record()
			}
			if err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
		return send(r)
	})
}

// eachLine hands over the lines of r, without their ends; empty ones are left
// out.
func eachLine(r io.Reader, f func(n int, line []byte) error) error {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 4*kafka.MaxValueBytes) // a value, escaped as JSON
	for n := 1; in.Scan(); n++ {
		if len(in.Bytes()) == 0 {
			continue
		}
		if err := f(n, append([]byte(nil), in.Bytes()...)); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("stdin: %w", err)
	}
	return nil
}

// conforms checks a value against the contract of its topic; other topics
// take anything.
func conforms(name string, value []byte) error {
	var err error
	switch name {
	case topic.ServiceMetrics:
		_, err = event.DecodeServiceMetrics(value)
	case topic.HealthStatus:
		_, err = event.DecodeHealthStatus(value)
	case topic.RoutingDecisions:
		_, err = event.DecodeRoutingDecision(value)
	case topic.ConfigUpdates:
		_, err = event.DecodeConfigUpdate(value)
	case topic.Alerts:
		_, err = event.DecodeAlert(value)
	case topic.AuditLogs:
		_, err = event.DecodeAuditLog(value)
	case topic.MetricsAggregated:
		_, err = event.DecodeMetricsAggregated(value)
	case topic.HealthScores:
		_, err = event.DecodeHealthScore(value)
	}
	return err
}

type consumeArgs struct {
	cli.Brokers
	spec ops.ConsumeSpec
}

// lastByDefault is how many records consume prints when no number is given.
const lastByDefault = 10

func consume(env *cli.Env) *cobra.Command {
	return cli.Verb[consumeArgs, cli.None]{
		Use: "consume TOPIC [N]", Short: "Print the last N records of a topic, oldest first, and end",
		Long: "Prints the last N records (10 when not given) across partitions, oldest first, and ends; it never waits for more unless -f is given. " +
			"Values only; -o table or wide shows where they are, -o json prints a message a line, with what produce --json takes back.",
		Example: `  smartlb kafka consume service-metrics 5
  smartlb kafka consume alerts --from-beginning -o json
  smartlb kafka consume routing-decisions -f`,
		Flags: func(f *pflag.FlagSet, a *consumeArgs) {
			a.Declare(f)
			f.BoolVar(&a.spec.Beginning, "from-beginning", false, "the oldest records; all of them when N is not given")
			f.BoolVarP(&a.spec.Follow, "follow", "f", false, "go on with new records until Ctrl-C")
		},
		Args: func(a *consumeArgs, words []string) error {
			if len(words) < 1 || len(words) > 2 {
				return errors.New("TOPIC [N] is expected")
			}
			a.spec.Topic, a.spec.Limit = words[0], -1
			if len(words) == 2 {
				n, err := strconv.Atoi(words[1])
				if err != nil || n < 0 {
					return fmt.Errorf("N: %q is not a number of records", words[1])
				}
				a.spec.Limit = n
			}
			return nil
		},
		Complete: func(ctx context.Context, env *cli.Env, a *consumeArgs, words []string) []string {
			return completeTopics(ctx, env, a.Brokers, words)
		},
		Run: func(ctx context.Context, env *cli.Env, a consumeArgs) (cli.None, error) {
			if a.spec.Limit < 0 {
				a.spec.Limit = lastByDefault
				if a.spec.Beginning {
					a.spec.Limit = 0
				}
			}
			cfg, err := a.Config(env)
			if err != nil {
				return cli.None{}, err
			}
			out := bufio.NewWriter(env.Out)
			print := printer(out, env.Output)
			err = ops.Consume(ctx, cfg, a.spec, func(r kafka.Record) error {
				if err := print(r); err != nil {
					return err
				}
				if a.spec.Follow {
					return out.Flush()
				}
				return nil
			})
			if errors.Is(err, context.Canceled) && a.spec.Follow {
				err = nil // Ctrl-C is how it is meant to end
			}
			return cli.None{}, errors.Join(err, out.Flush())
		},
	}.Command(env)
}

// printer returns what writes one record in a form.
func printer(w io.Writer, form string) func(kafka.Record) error {
	switch form {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return func(r kafka.Record) error { return enc.Encode(ops.MessageOf(r)) }
	case "yaml":
		return func(r kafka.Record) error {
			b, err := json.Marshal(ops.MessageOf(r))
			if err == nil {
				b, err = yaml.JSONToYAML(b)
			}
			if err == nil {
				_, err = fmt.Fprintf(w, "---\n%s", b)
			}
			return err
		}
	case "table", "wide":
		return func(r kafka.Record) error {
			_, err := fmt.Fprintf(w, "%d:%d\t%s\t%s\t", r.Partition, r.Offset, r.Timestamp.UTC().Format(time.RFC3339Nano), shown(r.Key))
			if err == nil && form == "wide" {
				for _, h := range r.Headers {
					if _, err = fmt.Fprintf(w, "%s=%s ", shown([]byte(h.Key)), shown(h.Value)); err != nil {
						return err
					}
				}
				_, err = io.WriteString(w, "\t")
			}
			if err == nil {
				_, err = fmt.Fprintln(w, shown(r.Value))
			}
			return err
		}
	default:
		return func(r kafka.Record) error {
			if _, err := w.Write(r.Value); err != nil {
				return err
			}
			_, err := io.WriteString(w, "\n")
			return err
		}
	}
}

// shown makes bytes fit for a line of a terminal.
func shown(b []byte) string {
	if b == nil {
		return "-"
	}
	quoted := strconv.Quote(string(b))
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
