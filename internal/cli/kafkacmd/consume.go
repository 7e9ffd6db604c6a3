package kafkacmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/filter"
	"github.com/smartlb/smartlb/internal/kafka/records"
)

type consumeArgs struct {
	cli.Brokers
	spec   records.ConsumeSpec
	limit  int // -1: not given
	word   string
	offset string
	until  string
	where  string
}

// lastByDefault is the default number of records that consume prints.
const lastByDefault = 10

func consume(env *cli.Env) *cobra.Command {
	return cli.Verb[consumeArgs, cli.None]{
		Use: "consume TOPIC [N]", Short: "Print the last N records of a topic, oldest first, and exit",
		Long: "N is 10 by default and counts across partitions; -f waits for new records. " +
			"With --from-beginning or --offset it prints the records from there: all, or the first N.\n\n" +
			"Positions: start, end, an offset, -N from the end of each partition, @TIME (2026-01-02T15:04:05Z, 15:04, @-90m), s@ and e@ with milliseconds.\n\n" +
			"--where takes a CEL expression over topic, partition, offset, timestamp, key, value (parsed if it is JSON), text, size and headers.\n\n" +
			"By default, only values are printed. -o table adds partition, offset, timestamp and key, -o wide also headers. -o json prints one message per line, as produce --json accepts it. " +
			"-o template='{{.Key}} {{.Value}}' prints each record through the template (fields: {{.Topic}} {{.Partition}} {{.Offset}} {{.Timestamp}} {{.Headers}}, {{json .}}).",
		Example: `  smartlb kafka consume service-metrics 5
  smartlb kafka consume alerts --from-beginning -o json
  smartlb kafka consume service-metrics --offset @-1h --until @-30m --where 'value.metrics.errorRate > 0.1'
  smartlb kafka consume routing-decisions -f`,
		Forms:    "text,table,wide,json,yaml,template=",
		Defaults: consumeArgs{limit: -1},
		Flags: func(f *pflag.FlagSet, a *consumeArgs) {
			a.Declare(f)
			f.IntVarP(&a.limit, "number", "n", -1, "`number` of records, same as N (default 10, or all with --from-beginning)")
			cli.HideDefault(f, "number")
			f.BoolVar(&a.spec.Beginning, "from-beginning", false, "start with the oldest record; without N print all records")
			f.StringVar(&a.offset, "offset", "", "`position` of the first record")
			f.StringVar(&a.until, "until", "", "end before this `position` (default: the present end of the log)")
			f.Int32SliceVarP(&a.spec.Partitions, "partitions", "p", nil, "`numbers` of partitions, separated by commas (default: all)")
			cli.HideDefault(f, "partitions")
			f.StringVarP(&a.where, "where", "w", "", "only records that match this CEL `expression`")
			f.BoolVarP(&a.spec.Follow, "follow", "f", false, "continue with new records until Ctrl-C")
		},
		Args: func(a *consumeArgs, words []string) error {
			if err := topicAndOne(words, ""); err != nil {
				return err
			}
			a.spec.Topic = words[0]
			if len(words) == 2 {
				a.word = words[1]
			}
			return nil
		},
		Complete: func(ctx context.Context, env *cli.Env, a *consumeArgs, words []string) []string {
			return completeTopics(ctx, env, a.Brokers, words)
		},
		Run: runConsume,
	}.Command(env)
}

// complete builds the specification of what to read.
func (a *consumeArgs) complete(now time.Time) error {
	if a.word != "" {
		n, err := strconv.Atoi(a.word)
		if err != nil || n < 0 {
			return cli.Usagef("N: %q is not a number of records", a.word)
		}
		if a.limit >= 0 && a.limit != n {
			return cli.Usagef("N is %d and -n is %d; set only one of them", n, a.limit)
		}
		a.limit = n
	} else if a.limit < -1 {
		return cli.Usagef("-n %d is not a number of records", a.limit)
	}
	for _, p := range a.spec.Partitions {
		if p < 0 {
			return cli.Usagef("-p %d: want a partition number", p)
		}
	}
	for _, x := range []struct {
		flag, text string
		to         **admin.Position
	}{{"--offset", a.offset, &a.spec.From}, {"--until", a.until, &a.spec.Until}} {
		if x.text == "" {
			continue
		}
		p, err := admin.ParsePosition(x.text, now)
		if err != nil || p.Relative() {
			return cli.Usagef("%s: %q %w", x.flag, x.text, admin.ErrPosition)
		}
		*x.to = &p
	}
	switch {
	case a.spec.Beginning && a.spec.From != nil:
		return cli.Usagef("use either --from-beginning or --offset, not both")
	case a.spec.Follow && a.spec.Until != nil:
		return cli.Usagef("use either -f or --until, not both")
	}
	explicit := a.spec.Beginning || a.spec.From != nil
	switch {
	case a.limit >= 0 && explicit && a.limit == 0:
		return cli.Usagef("count must be at least 1")
	case a.limit >= 0:
		a.spec.Limit = a.limit
	case !explicit:
		a.spec.Limit = lastByDefault
	}
	return nil
}

func runConsume(ctx context.Context, env *cli.Env, a consumeArgs) (cli.None, error) {
	if err := a.complete(time.Now()); err != nil {
		return cli.None{}, err
	}
	cfg, err := a.Answering(ctx, env)
	if err != nil {
		return cli.None{}, err
	}
	var where *filter.Filter
	if a.where != "" {
		if where, err = filter.Compile(a.where); err != nil {
			return cli.None{}, cli.Usagef("--where: %w", err)
		}
		a.spec.Where = func(r kafka.Record) (bool, error) { return where.Match(ctx, filterRecord(r)) }
	}
	reading := ctx
	if a.spec.Follow {
		var stop func()
		reading, stop = untilPipeClosed(ctx, env.Out)
		defer stop()
	}
	err = printRecords(reading, env, cfg, a.spec)
	if errors.Is(err, context.Canceled) && a.spec.Follow {
		err = nil // Ctrl-C is the normal end
	}
	err = withBrokers(ctx, env, a.Brokers, err)
	if where != nil {
		if n, why := where.Undecided(); n > 0 {
			env.Say("--where was neither true nor false for %d records, which were left out; reason for the first: %s", n, why)
		}
	}
	return cli.None{}, err
}

// printRecords prints what a spec selects, and the progress and notes on stderr.
func printRecords(ctx context.Context, env *cli.Env, cfg kafka.Config, spec records.ConsumeSpec) (err error) {
	out := bufio.NewWriterSize(env.Out, 64<<10)
	write, err := printer(out, env.Output)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Flush()) }()
	t := newTicker(env)
	defer t.done()
	printed := 0
	for chunk, err := range records.Consume(ctx, cfg, spec) {
		if err != nil {
			return err
		}
		for _, text := range chunk.Notes {
			env.Say("%s", text)
		}
		for _, r := range chunk.Records {
			if err := write(r); err != nil {
				return fmt.Errorf("consume %s: %w", spec.Topic, err)
			}
		}
		printed += len(chunk.Records)
		switch {
		case spec.Follow:
			if err := out.Flush(); err != nil {
				return fmt.Errorf("consume %s: %w", spec.Topic, err)
			}
		case t.terminal == nil || printed == 0: // else the printed records show the progress
			t.tick(func() string { return fmt.Sprintf("%d records read, %d printed", chunk.Read, printed) })
		}
	}
	return nil
}

func filterRecord(r kafka.Record) filter.Record {
	out := filter.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, filter.Header(h))
	}
	return out
}
