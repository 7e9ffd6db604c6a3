package kafkacmd

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/bench"
)

type benchArgs struct {
	cli.Brokers
	spec bench.Spec
	none bool // no keys
}

func (a *benchArgs) flags(f *pflag.FlagSet) {
	a.Declare(f)
	s := &a.spec
	f.Int64VarP(&s.Records, "number", "n", s.Records, "`number` of records; 0: limited by --for only")
	f.DurationVar(&s.For, "for", s.For, "longest `time`; 0: limited by -n only")
	f.Int32VarP(&s.Partitions, "partitions", "p", s.Partitions, "`number` of partitions of the created topic")
	f.Float64Var(&s.Rate, "rate", 0, "`records` per second (default: no limit)")
	f.DurationVar(&s.Linger, "linger", s.Linger, "longest `wait` for a fuller batch")
	f.Int32Var(&s.BatchBytes, "batch", s.BatchBytes, "largest batch in `bytes`")
	f.StringVarP(&s.Compression, "compression", "z", s.Compression, "`codec`: none, gzip, snappy, lz4 or zstd")
	f.StringVar(&s.Acks, "acks", s.Acks, "`acks`: all, leader or none")
	f.IntVar(&s.Payload.Services, "services", s.Payload.Services, "`ids` of services, which are the keys")
	f.IntVar(&s.Payload.Instances, "instances", s.Payload.Instances, "`instances` of each service")
	f.Float64Var(&s.Payload.Skew, "skew", 0, "Zipf `exponent` of the services' report rates; 0: all equal")
	f.IntVar(&s.Payload.Size, "size", 0, "`bytes` of a value (default: size of a report, about 270)")
	f.BoolVar(&a.none, "no-key", false, "records without keys: each batch goes to one partition")
	f.Uint64Var(&s.Seed, "seed", 1, "`number` from which the payloads are made")
}

// usualBench returns the default benchmark: the producer settings of this program.
func usualBench() benchArgs {
	cfg := kafka.Default()
	return benchArgs{spec: bench.Spec{
		Records: 1_000_000, For: 30 * time.Second, Partitions: 3,
		Linger: cfg.Linger, BatchBytes: cfg.BatchMaxBytes, Compression: cfg.Compression, Acks: "all",
		Payload: bench.Payload{Services: 20, Instances: 10}, Seed: 1,
	}}
}

func benchNoun(env *cli.Env) *cobra.Command {
	return cli.Noun("bench", "Measure a cluster with generated service metrics", "",
		benchVerb(env, "produce", "Measure producing: records, bytes, CPU, latency from the due time of a record to its acknowledgement",
			"  smartlb kafka bench produce\n  smartlb kafka bench produce --rate 2000 --linger 100ms -z zstd --for 10s -n 0\n  smartlb kafka bench produce my-topic -n 100000 --skew 1",
			func(ctx context.Context, cfg kafka.Config, s bench.Spec) (bench.Result, error) {
				c, err := catalog()
				if err != nil {
					return bench.Result{}, err
				}
				return bench.Produce(ctx, cfg, c, s)
			}),
		benchVerb(env, "consume", "Measure reading: records, bytes, CPU, latency of fetches",
			"  smartlb kafka bench consume\n  smartlb kafka bench consume my-topic -n 100000", bench.Consume))
}

func benchVerb(env *cli.Env, use, short, example string, run func(context.Context, kafka.Config, bench.Spec) (bench.Result, error)) *cobra.Command {
	return cli.Verb[benchArgs, bench.Result]{
		Use: use + " [TOPIC]", Short: short, Example: example,
		Long:     "Without TOPIC it creates a topic and deletes it afterwards. It does not write to topics of the catalog.",
		Defaults: usualBench(),
		Flags:    func(f *pflag.FlagSet, a *benchArgs) { a.flags(f) },
		Args: func(a *benchArgs, words []string) error {
			if len(words) > 1 {
				return cli.Usagef("unexpected argument %q", words[1])
			}
			if len(words) == 1 {
				if a.spec.Topic = words[0]; words[0] == "" {
					return cli.Usagef("TOPIC is empty")
				}
			}
			return nil
		},
		Complete: func(ctx context.Context, env *cli.Env, a *benchArgs, words []string) []string {
			return completeTopics(ctx, env, a.Brokers, words)
		},
		Run: func(ctx context.Context, env *cli.Env, a benchArgs) (bench.Result, error) {
			cfg, err := a.Answering(ctx, env)
			if err != nil {
				return bench.Result{}, err
			}
			a.spec.Keyed = !a.none
			t := newTicker(env)
			a.spec.Tell = func(n int64, spent time.Duration) {
				t.tick(func() string { return fmt.Sprintf("%d records in %.1f s", n, spent.Seconds()) })
			}
			b, err := run(ctx, cfg, a.spec)
			t.done()
			return reported(env, b, withBrokers(ctx, env, a.Brokers, err), b.Records > 0)
		},
		Table: benchTable,
	}.Command(env)
}

func benchTable(b bench.Result) cli.Table {
	t := cli.Table{Above: []string{
		fmt.Sprintf("%d records, %s, in %.2f s: %.0f records/s, %.1f MB/s.", b.Records, bytesOf(b.Bytes), b.Seconds, b.PerSecond, b.MBPerSecond),
		fmt.Sprintf("Latency ms: p50 %.2f, p90 %.2f, p99 %.2f, p99.9 %.2f, max %.2f.", b.Latency.P50, b.Latency.P90, b.Latency.P99, b.Latency.P999, b.Latency.Max),
		fmt.Sprintf("CPU of this process: %.2f s, %.1f us a record. Records by partition: %v.", b.CPUSeconds, b.CPUPerRecord, b.Spread),
	}}
	if b.LogBytes > 0 {
		t.Above = append(t.Above, fmt.Sprintf("In the broker's log: %.1f bytes a record.", b.LogBytes))
	}
	return t
}
