package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// NewTopic describes a topic to create.
type NewTopic struct {
	Name       string            `json:"name"`
	Partitions int32             `json:"partitions"` // -1: the broker's default
	Replicas   int16             `json:"replicas"`   // -1: the broker's default
	Configs    map[string]string `json:"configs"`
}

// CreateTopic creates one topic and waits until every broker knows it, with a leader for each partition. With
// validateOnly it only validates the request.
func CreateTopic(ctx context.Context, a *kafka.Admin, t NewTopic, validateOnly bool) error {
	if err := topic.CheckName(t.Name); err != nil {
		return fmt.Errorf("create topic: %w", err)
	}
	if err := checkConfigs(t.Configs); err != nil {
		return fmt.Errorf("create topic %s: %w", t.Name, err)
	}
	configs := make(map[string]*string, len(t.Configs))
	for k, v := range t.Configs {
		configs[k] = &v
	}
	adm := kadm.NewClient(a.Client())
	call := adm.CreateTopics
	if validateOnly {
		call = adm.ValidateCreateTopics
	}
	resp, err := call(ctx, t.Partitions, t.Replicas, configs, t.Name)
	for end := time.Now().Add(settleWithin(ctx)); err == nil && isLeaving(resp[t.Name]) && time.Now().Before(end) && ctx.Err() == nil; {
		backoff.Sleep(ctx, 100*time.Millisecond)
		resp, err = call(ctx, t.Partitions, t.Replicas, configs, t.Name)
	}
	if err != nil {
		return fmt.Errorf("create topic %s: %w", t.Name, err)
	}
	r := resp[t.Name]
	if r.Err == nil && !validateOnly {
		everywhere(ctx, a.Client(), t.Name, led(int(t.Partitions)))
	}
	return wrap(r.Err, r.ErrMessage, "create topic %s", t.Name)
}

// isLeaving reports whether the creation failed because a deleted topic of that name still exists. With ZooKeeper,
// Kafka deletes a topic some time after it confirmed the deletion. Until then only the error message distinguishes this
// topic from an existing topic.
func isLeaving(r kadm.CreateTopicResponse) bool {
	return errors.Is(r.Err, kerr.TopicAlreadyExists) && strings.Contains(r.ErrMessage, "marked for deletion")
}

// wrap adds the operation, and the broker's message beside its error code, to an error; nil for no error.
func wrap(err error, message, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, inItsWords(err, message))...)
}

// refusal is an error code with the broker's own message. The library's messages describe the code in general and would
// mislead here.
type refusal struct {
	code  *kerr.Error
	words string
}

func (r refusal) Error() string { return r.code.Message + ": " + r.words }
func (r refusal) Unwrap() error { return r.code }

func inItsWords(err error, words string) error {
	var code *kerr.Error
	if words == "" || !errors.As(err, &code) {
		return err
	}
	return refusal{code, words}
}

func checkConfigs(configs map[string]string) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(configs)) {
		errs = append(errs, topic.CheckConfig(key, configs[key]))
	}
	return errors.Join(errs...)
}

// Like returns a new topic with the shape and the settings of an existing topic.
func Like(ctx context.Context, a *kafka.Admin, model, name string) (NewTopic, error) {
	d, err := DescribeTopic(ctx, a, nil, model)
	if err != nil {
		return NewTopic{}, err
	}
	t := NewTopic{Name: name, Partitions: int32(len(d.Partitions)), Replicas: int16(d.Replicas), Configs: map[string]string{}}
	for _, c := range d.Configs {
		if c.Set {
			t.Configs[c.Name] = c.Value
		}
	}
	return t, nil
}

// DeletedTopic is a topic that was deleted, or would be deleted.
type DeletedTopic struct {
	Topic      string `json:"topic"`
	Partitions int    `json:"partitions"`
	Messages   int64  `json:"messages"`
	Deleted    bool   `json:"deleted"`
	Error      string `json:"error,omitempty"`
}

// DeleteTopics deletes topics with all their records; without execute it only reports what they hold. All must exist,
// and none may be internal to Kafka. It continues after a topic that could not be deleted; the error then gives their
// number.
func DeleteTopics(ctx context.Context, a *kafka.Admin, execute bool, names ...string) ([]DeletedTopic, error) {
	adm := kadm.NewClient(a.Client())
	topics, err := existing(ctx, a, names...)
	if err != nil {
		return nil, fmt.Errorf("delete topic %w", err)
	}
	for _, name := range names {
		if topics[name].IsInternal || strings.HasPrefix(name, "__") {
			return nil, fmt.Errorf("delete topic %s: it is internal to Kafka", name)
		}
	}
	counts, err := messageCounts(ctx, a, topics)
	if err != nil {
		return nil, err
	}
	out := []DeletedTopic{}
	for _, name := range names {
		out = append(out, DeletedTopic{Topic: name, Partitions: len(topics[name].Partitions), Messages: counts[name]})
	}
	if !execute {
		return out, nil
	}
	resp, err := adm.DeleteTopics(ctx, names...)
	if err != nil {
		return out, fmt.Errorf("delete topics: %w", err)
	}
	failed := 0
	for i, d := range out {
		err := wrap(resp[d.Topic].Err, resp[d.Topic].ErrMessage, "delete topic %s", d.Topic)
		out[i].Deleted = err == nil
		if err != nil {
			failed++
			out[i].Error = err.Error()
			continue
		}
		everywhere(ctx, a.Client(), d.Topic, gone)
	}
	if failed > 0 {
		return out, fmt.Errorf("%d of %d topics could not be deleted", failed, len(out))
	}
	return out, nil
}

// Grown is a topic that got more partitions, or would get them.
type Grown struct {
	Topic   string `json:"topic"`
	From    int    `json:"from"`
	To      int    `json:"to"`
	Warning string `json:"warning,omitempty"` // the consequence for existing records
	Done    bool   `json:"done"`
}

// AddPartitions increases the number of partitions of a topic to the number to. A topic that holds records needs
// execute, because afterwards records of one key are in two partitions.
func AddPartitions(ctx context.Context, a *kafka.Admin, name string, to int, execute bool) (Grown, error) {
	g, err := grow(ctx, a, name, to)
	if err != nil || (g.Warning != "" && !execute) {
		return g, err
	}
	resp, err := kadm.NewClient(a.Client()).UpdatePartitions(ctx, to, name)
	if err == nil {
		err = wrap(resp[name].Err, resp[name].ErrMessage, "add partitions to %s", name)
	}
	if g.Done = err == nil; g.Done {
		everywhere(ctx, a.Client(), name, led(to))
	}
	return g, err
}

// PreviewPartitions checks whether a topic could have the number to of partitions, and changes nothing.
func PreviewPartitions(ctx context.Context, a *kafka.Admin, name string, to int) (Grown, error) {
	return grow(ctx, a, name, to)
}

// grow validates the request at the broker.
func grow(ctx context.Context, a *kafka.Admin, name string, to int) (Grown, error) {
	topics, err := existing(ctx, a, name)
	if err != nil {
		return Grown{}, fmt.Errorf("add partitions to %w", err)
	}
	g := Grown{Topic: name, From: len(topics[name].Partitions), To: to}
	if to <= g.From {
		return g, fmt.Errorf("add partitions to %s: it has %d, and Kafka cannot remove partitions", name, g.From)
	}
	counts, err := messageCounts(ctx, a, topics)
	if err != nil {
		return g, err
	}
	if counts[name] > 0 {
		g.Warning = fmt.Sprintf("records of one key go to another partition from then on; the %d that are there stay where they are", counts[name])
	}
	resp, err := kadm.NewClient(a.Client()).ValidateUpdatePartitions(ctx, to, name)
	if err != nil {
		return g, fmt.Errorf("add partitions to %s: %w", name, err)
	}
	return g, wrap(resp[name].Err, resp[name].ErrMessage, "add partitions to %s", name)
}

// Truncated is a partition whose oldest records were deleted, or would be deleted.
type Truncated struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"` // its first offset before
	To        int64  `json:"to"`   // its first offset afterwards
	Records   int64  `json:"records"`
	Error     string `json:"error,omitempty"`
}

// Truncation is the result for a whole topic.
type Truncation struct {
	Topic      string      `json:"topic"`
	Before     string      `json:"before"`
	Records    int64       `json:"records"`
	Partitions []Truncated `json:"partitions"`
	Deleted    bool        `json:"deleted"`
}

// TruncationOf sums the results of DeleteRecords.
func TruncationOf(name string, before Position, all []Truncated, deleted bool) Truncation {
	t := Truncation{Topic: name, Before: before.String(), Partitions: nonNil(all), Deleted: deleted}
	for _, p := range all {
		if p.Error == "" {
			t.Records += p.Records
		}
	}
	return t
}

// DeleteRecords deletes the records before a position in the partitions of a topic, or in all partitions; without
// execute it only counts them.
func DeleteRecords(ctx context.Context, a *kafka.Admin, name string, before Position, partitions []int32, execute bool) ([]Truncated, error) {
	adm := kadm.NewClient(a.Client())
	placed, err := placeAll(ctx, a, name, partitions, before)
	if err != nil {
		return nil, fmt.Errorf("delete records of %w", err)
	}
	out := []Truncated{}
	ask := kadm.Offsets{}
	for tp, p := range placed {
		out = append(out, Truncated{Topic: name, Partition: tp.Partition, From: p.start, To: p.at, Records: p.at - p.start})
		if p.at > p.start {
			ask.Add(kadm.Offset{Topic: name, Partition: tp.Partition, At: p.at, LeaderEpoch: -1})
		}
	}
	slices.SortFunc(out, func(a, b Truncated) int { return cmp.Compare(a.Partition, b.Partition) })
	if !execute || len(ask) == 0 {
		return out, nil
	}
	resp, err := adm.DeleteRecords(ctx, ask)
	if err != nil {
		return out, fmt.Errorf("delete records of %s: %w", name, err)
	}
	var errs []error
	for i, t := range out {
		r, asked := resp.Lookup(name, t.Partition)
		switch {
		case !asked:
		case errors.Is(r.Err, kerr.PolicyViolation):
			out[i].Error = "the topic is compacted only: records go when a newer one of their key comes"
			errs = append(errs, fmt.Errorf("delete records of %s/%d: %w (%s)", name, t.Partition, r.Err, out[i].Error))
		case r.Err != nil:
			out[i].Error = r.Err.Error()
			errs = append(errs, fmt.Errorf("delete records of %s/%d: %w", name, t.Partition, r.Err))
		default:
			out[i].To = r.LowWatermark // the embedded broker keeps the last record of a partition
			out[i].Records = max(out[i].To-t.From, 0)
		}
	}
	return out, errors.Join(errs...)
}
