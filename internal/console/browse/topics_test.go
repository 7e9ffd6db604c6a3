package browse

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// look opens a browser of a cluster with a catalog of two topics; dir is where
// it keeps something, empty: nowhere.
func look(t *testing.T, c *kafkatest.Cluster, dir string) *Browser {
	t.Helper()
	cfg := kafka.Default()
	cfg.Brokers, cfg.RequestTimeout = []string{c.Addr()}, 2*time.Second
	client, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	catalog := topic.File{Topics: []topic.Spec{
		{Name: "orders", Description: "What was ordered", Owner: "shop", Partitions: 3, Configs: map[string]string{"retention.ms": "86400000"}},
		{Name: "missing", Partitions: 1},
	}}
	b, err := New(Config{Kafka: cfg, Admin: client, Catalog: catalog, Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// write appends n records of a KiB.
func write(t *testing.T, c *kafkatest.Cluster, name string, n int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Addr()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range n {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: name, Value: []byte(strings.Repeat("x", 1024))}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *Browser) one(t *testing.T, name string) Topic {
	t.Helper()
	all, err := b.Topics(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(x Topic) bool { return x.Name == name })
	if i < 0 {
		t.Fatalf("%s is not listed in %v", name, all)
	}
	return all[i]
}

func TestTopicsHaveWhatWasMeasuredOfThem(t *testing.T) {
	c := kafkatest.New(t, "orders:3", "other:1")
	b := look(t, c, "")
	ctx, now := t.Context(), time.Now()
	if x := b.one(t, "orders"); x.Rate != nil || x.Bytes != nil || len(x.Drift) != 0 || x.Description != "What was ordered" {
		t.Errorf("before the first measure: %+v", x)
	}
	must := func(f func(context.Context, time.Time) error, at time.Time) {
		t.Helper()
		if err := f(ctx, at); err != nil {
			t.Fatal(err)
		}
	}
	must(b.sampleTopics, now.Add(-10*time.Second))
	must(b.sampleSizes, now.Add(-10*time.Second))
	write(t, c, "orders", 20)
	must(b.sampleTopics, now)
	must(b.sampleSizes, now)
	must(b.samplePlan, now)

	x := b.one(t, "orders")
	if x.Rate == nil || *x.Rate != 2 {
		t.Errorf("20 messages in 10 s are a rate of %v", x.Rate)
	}
	if x.Bytes == nil || *x.Bytes < 20*1024 || *x.Bytes > 30*1024 {
		t.Errorf("20 KiB lie on disk as %v", x.Bytes)
	}
	if len(x.Drift) != 1 || x.Drift[0].Config != "retention.ms" {
		t.Errorf("drift %v", x.Drift)
	}
	if y := b.one(t, "other"); len(y.Drift) != 0 || y.Kind != admin.KindOther {
		t.Errorf("a topic that the catalog does not name: %+v", y)
	}

	h, err := b.TopicHistory(ctx, "orders")
	if err != nil || len(h.Messages.Points) == 0 {
		t.Fatalf("%+v %v", h, err)
	}
	// What grew in ten seconds grew in both steps of them.
	if n := len(h.Bytes.Points); n < 2 || h.Bytes.Points[n-1] == nil || h.Bytes.Points[n-2] == nil || *h.Bytes.Points[n-1] < 2048 {
		t.Errorf("bytes %v", h.Bytes.Points)
	}
	d, err := b.Topic(ctx, "orders")
	if err != nil || len(d.Sizes) != 3 || d.Kind != admin.KindCore || d.Rate == nil || len(d.Drift) != 1 {
		t.Errorf("%+v %v", d, err)
	}
	sum := int64(0)
	for _, s := range d.Sizes {
		if s != nil {
			sum += *s
		}
	}
	if sum != *d.Bytes {
		t.Errorf("partitions sum up to %d, not %d", sum, *d.Bytes)
	}
}

func TestATopicThatWasMadeAgainBeginsAnew(t *testing.T) {
	c := kafkatest.New(t, "other:1")
	b := look(t, c, "")
	now := time.Now()
	write(t, c, "other", 5)
	_ = b.sampleTopics(t.Context(), now.Add(-5*time.Second))
	if _, err := b.DeleteTopic(t.Context(), "other", false); err != nil {
		t.Fatal(err)
	}
	if _, err := b.CreateTopic(t.Context(), admin.NewTopic{Name: "other"}, "", false); err != nil {
		t.Fatal(err)
	}
	if err := b.sampleTopics(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if x := b.one(t, "other"); x.Rate != nil {
		t.Errorf("rate %v of a topic that has just been made", *x.Rate)
	}
}

// What was changed here is seen at once, however young the listing is.
func TestChangesAreSeenAtOnce(t *testing.T) {
	c := kafkatest.New(t, "orders:3")
	b := look(t, c, "")
	ctx := t.Context()
	b.one(t, "orders")
	made, err := b.CreateTopic(ctx, admin.NewTopic{Name: "copy", Configs: map[string]string{"retention.ms": "7d"}}, "orders", false)
	if err != nil || made.Partitions != 3 || made.Configs["retention.ms"] != "604800000" {
		t.Fatalf("%+v %v", made, err)
	}
	b.one(t, "copy")
	if _, err := b.Plan(ctx, false); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Apply(ctx, []string{"orders"}, false, nil); err != nil {
		t.Fatal(err)
	}
	p, err := b.Plan(ctx, false)
	if err != nil || slices.ContainsFunc(p.Steps, func(s topic.Step) bool { return s.Topic == "orders" }) {
		t.Errorf("%v %v", p.Steps, err)
	}
}

func TestPreviewsChangeNothing(t *testing.T) {
	c := kafkatest.New(t, "orders:3")
	b := look(t, c, "")
	ctx := t.Context()
	write(t, c, "orders", 3)
	before, err := b.Topic(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.CreateTopic(ctx, admin.NewTopic{Name: "copy"}, "orders", true); err != nil || got.Partitions != 3 {
		t.Errorf("create: %+v %v", got, err)
	}
	if got, err := b.AddPartitions(ctx, "orders", 6, true); err != nil || got.Done || got.Warning == "" {
		t.Errorf("grow: %+v %v", got, err)
	}
	if _, err := b.AddPartitions(ctx, "orders", 2, true); err == nil {
		t.Error("fewer partitions are taken")
	}
	if got, err := b.DeleteRecords(ctx, "orders", "end", nil, true); err != nil || got.Records != 3 || got.Deleted {
		t.Errorf("truncate: %+v %v", got, err)
	}
	if got, err := b.ChangeTopic(ctx, "orders", map[string]string{"retention.ms": "1h", "segment.ms": "1d"}, nil, true); err != nil || len(got) != 2 || got[0].Danger == "" || got[1].Done {
		t.Errorf("settings: %+v %v", got, err)
	}
	if got, err := b.DeleteTopic(ctx, "orders", true); err != nil || got.Messages != 3 || got.Deleted {
		t.Errorf("delete: %+v %v", got, err)
	}
	after, err := b.Topic(ctx, "orders")
	if err != nil || len(after.Partitions) != 3 || !slices.Equal(after.Configs, before.Configs) || after.Partitions[0].Start != before.Partitions[0].Start {
		t.Errorf("%+v %v", after, err)
	}
	if _, err := b.Topic(ctx, "copy"); !errors.Is(err, admin.ErrNoTopic) {
		t.Errorf("the preview of a copy made it: %v", err)
	}
}

func TestGroupsOfATopic(t *testing.T) {
	c := kafkatest.New(t, "orders:3", "other:1")
	b := look(t, c, "")
	write(t, c, "orders", 4)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Addr()), kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	got := client.PollRecords(t.Context(), 1)
	if err := client.CommitRecords(t.Context(), got.Records()...); err != nil {
		t.Fatal(err)
	}
	all, err := b.TopicGroups(t.Context(), "orders")
	if err != nil || len(all) != 1 || all[0].Name != "billing" || all[0].Members != 1 || len(all[0].Partitions) != 3 {
		t.Fatalf("%+v %v", all, err)
	}
	if all, err := b.TopicGroups(t.Context(), "other"); err != nil || len(all) != 0 {
		t.Errorf("groups of a topic that nobody reads: %+v %v", all, err)
	}
}

// A broker that is away is said with its reason; what was measured stays, and
// the measures go on when it is back.
func TestABrokerThatComesBackIsMeasuredAgain(t *testing.T) {
	c := kafkatest.New(t, "orders:3")
	b := look(t, c, "")
	now := time.Now()
	if err := b.sampleTopics(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	c.Stop()
	b.listing.forget()
	_, err := b.Topics(t.Context(), false)
	if admin.FaultOf(err) != admin.FaultUnavailable || !strings.Contains(err.Error(), "nothing listens") {
		t.Errorf("without a broker: %v", err)
	}
	c.Start()
	if err := b.sampleTopics(t.Context(), now.Add(15*time.Second)); err != nil {
		t.Fatal(err)
	}
	h, _ := b.TopicHistory(t.Context(), "orders")
	if len(h.Messages.Points) != 1 || *h.Messages.Points[0] != 0 {
		t.Errorf("%v", h.Messages.Points)
	}
}

func TestALogThatShrankLeavesAGap(t *testing.T) {
	p, now := topicPast{}, time.Unix(1_000_000, 0)
	p.sized(1000, now)
	p.sized(2500, now.Add(15*time.Second))
	p.sized(500, now.Add(30*time.Second))
	p.sized(500, now.Add(45*time.Second))
	var got []float64
	for _, v := range p.grown.series().Points {
		if v == nil {
			got = append(got, -1)
		} else {
			got = append(got, *v)
		}
	}
	if want := []float64{100, 100, 100, -1, -1, -1, 0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestWhatWasForgottenWhileItWasAskedIsNotKept(t *testing.T) {
	c := newCached[int]()
	n, err := c.get(t.Context(), time.Hour, func(context.Context) (int, error) { c.forget(); return 1, nil })
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, _ = c.get(t.Context(), time.Hour, func(context.Context) (int, error) { return 2, nil }); n != 2 {
		t.Errorf("%d was of before the change", n)
	}
	if n, _ = c.get(t.Context(), time.Hour, func(context.Context) (int, error) { return 3, nil }); n != 2 {
		t.Errorf("%d: it was asked again", n)
	}
	if n, _ = c.get(t.Context(), 0, func(context.Context) (int, error) { return 4, nil }); n != 4 {
		t.Errorf("%d: it was not asked", n)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	<-c.turn
	if _, err := c.get(ended, 0, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("who waits for a turn does not leave: %v", err)
	}
	c.turn <- struct{}{}
}
