package kafkacmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

type produceArgs struct {
	cli.Brokers
	topic     string
	value     *string
	key       string
	keySplit  string
	headers   []string
	partition int32
	tombstone bool
	file      string
	rate      float64
	asJSON    bool
	validate  bool
	compress  string
	sign      bool
}

func produce(env *cli.Env) *cobra.Command {
	return cli.Verb[produceArgs, records.Sent]{
		Use: "produce TOPIC [VALUE]", Short: "Send a record, or each line of stdin as a record",
		Long: "Sends VALUE as it is, the content of --file, or every line of stdin. With --json the lines are messages in the format of `consume -o json`, with key, headers and timestamp. " +
			"A value that violates the schema of its topic is sent with a warning; --validate refuses it. " +
			"--sign adds a signature to each record; nodes with signing keys limit what unsigned records can do.",
		Example: `  smartlb kafka produce service-metrics '{"test": "message"}'
  smartlb kafka produce my-topic -k order-1 -H source=shell < values.txt
  smartlb kafka produce my-topic -k order-1 --tombstone
  smartlb kafka consume alerts 10 -o json | smartlb kafka produce alerts-copy --json
  SMARTLB_SIGNING_KEYS='shop-team=${file:/run/secrets/shop-team}' smartlb kafka produce health-status -k shop --sign --file draining.json`,
		Defaults: produceArgs{partition: -1, compress: "zstd"},
		Flags: func(f *pflag.FlagSet, a *produceArgs) {
			a.Declare(f)
			f.StringVarP(&a.key, "key", "k", "", "`key` of the records")
			f.StringVarP(&a.keySplit, "key-delimiter", "K", "", "`text` between key and value in each line")
			f.StringArrayVarP(&a.headers, "header", "H", nil, "`key=value`, may be repeated")
			f.Int32VarP(&a.partition, "partition", "p", -1, "`number` of the partition (default: by key)")
			cli.HideDefault(f, "partition")
			f.BoolVar(&a.tombstone, "tombstone", false, "send the key without a value (a tombstone): compaction deletes the key")
			f.StringVar(&a.file, "file", "", "`path` of a file whose content is the value")
			f.Float64Var(&a.rate, "rate", 0, "at most this many `records` per second (default: no limit)")
			f.StringVarP(&a.compress, "compression", "z", a.compress, "`codec`: none, gzip, snappy, lz4 or zstd")
			f.BoolVar(&a.asJSON, "json", false, "lines of stdin are messages in the format of consume -o json")
			f.BoolVar(&a.validate, "validate", false, "refuse values that violate the topic's schema")
			f.BoolVar(&a.sign, "sign", false, "sign the records with the first signing key of the profile or of SMARTLB_SIGNING_KEYS")
		},
		Args: func(a *produceArgs, words []string) error {
			if err := topicAndOne(words, ": quote a value with blanks"); err != nil {
				return err
			}
			a.topic = words[0]
			if len(words) == 2 {
				a.value = &words[1]
			}
			return a.check()
		},
		Complete: func(ctx context.Context, env *cli.Env, a *produceArgs, words []string) []string {
			return completeTopics(ctx, env, a.Brokers, words)
		},
		Run:   runProduce,
		Table: sentTable,
	}.Command(env)
}

// check finds flags that contradict each other.
func (a *produceArgs) check() error {
	given := 0
	for _, is := range []bool{a.value != nil, a.tombstone, a.file != "", a.asJSON} {
		if is {
			given++
		}
	}
	switch {
	case given > 1:
		return errors.New("use only one of VALUE, --tombstone, --file and --json")
	case a.tombstone && a.key == "":
		return errors.New("--tombstone needs a key: -k")
	case a.keySplit != "" && (given > 0 || a.key != ""):
		return errors.New("-K applies to lines of stdin; do not combine it with -k, VALUE, --tombstone, --file or --json")
	case a.rate < 0:
		return fmt.Errorf("--rate %v is not positive", a.rate)
	case a.partition < -1:
		return fmt.Errorf("-p %d: want a partition number", a.partition)
	case a.sign && !slices.Contains(sign.Topics(), a.topic):
		return fmt.Errorf("--sign: records of %s are not signed by this command; it signs records of %s", a.topic, strings.Join(sign.Topics(), ", "))
	}
	return nil
}

func sentTable(s records.Sent) cli.Table {
	if s.Records == 1 {
		p := s.Partitions[0]
		return cli.Table{Above: []string{fmt.Sprintf("Sent to %s, partition %d, offset %d.", s.Topic, p.Partition, p.Last)}}
	}
	return cli.Table{Above: []string{fmt.Sprintf("Sent %s to %s.", readable.Count(s.Records, "record"), s.Topic)}}
}

func runProduce(ctx context.Context, env *cli.Env, a produceArgs) (records.Sent, error) {
	if err := a.check(); err != nil {
		return records.Sent{}, cli.Usagef("%w", err)
	}
	given, err := headers(a.headers)
	if err != nil {
		return records.Sent{}, err
	}
	cfg, err := a.Answering(ctx, env)
	if err != nil {
		return records.Sent{}, err
	}
	if a.sign && !cfg.Signing.On() {
		return records.Sent{}, cli.Usagef("--sign: no signing key is configured; name one in the profile's signing.keys or in SMARTLB_SIGNING_KEYS")
	}
	spec := records.ProduceSpec{Topic: a.topic, Partition: a.partition, Compression: a.compress, Linger: 5 * time.Millisecond}
	if a.value != nil || a.tombstone || a.file != "" {
		spec.Linger = 0
	}
	look, cancel := context.WithTimeout(ctx, cfg.RequestTimeout)
	defer cancel()
	s, err := records.NewSender(look, cfg, spec)
	if err != nil {
		return records.Sent{}, withBrokers(look, env, a.Brokers, err)
	}
	goods := shipment{env: env, args: a, kafka: cfg, headers: given, sender: s, ticker: newTicker(env), began: time.Now()}
	failed := goods.sendAll(ctx)
	sent, err := s.Close(ctx)
	goods.ticker.done()
	goods.conclude()
	if ctx.Err() != nil {
		env.Say("stopped: sent %s to %s", readable.Count(sent.Records, "record"), a.topic)
	}
	if err = firstOf(failed, err); err != nil && sent.Records > 0 {
		return sent, fmt.Errorf("%w; sent %s before", err, readable.Count(sent.Records, "record"))
	}
	return sent, err
}

// firstOf returns the first error that is not nil.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func headers(words []string) ([]kafka.Header, error) {
	var out []kafka.Header
	for _, h := range words {
		key, value, ok := strings.Cut(h, "=")
		if !ok {
			return nil, cli.Usagef("--header %s: key=value is expected", h)
		}
		out = append(out, kafka.Header{Key: key, Value: []byte(value)})
	}
	return out, nil
}
