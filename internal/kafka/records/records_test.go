package records_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/test/brokertest"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// all reads what a spec asks for.
func all(t testing.TB, cfg kafka.Config, spec records.ConsumeSpec) []kafka.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var out []kafka.Record
	for chunk, err := range records.Consume(ctx, cfg, spec) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, chunk.Records...)
	}
	return out
}

// follow calls each with all values read so far, after each record, until each fails or ctx ends. It returns the values,
// the notes and the error.
func follow(ctx context.Context, cfg kafka.Config, limit int, each func(values string) error) (values string, notes []string, err error) {
	for chunk, err := range records.Consume(ctx, cfg, records.ConsumeSpec{Topic: "t", Limit: limit, Follow: true}) {
		if err != nil {
			return values, notes, err
		}
		notes = append(notes, chunk.Notes...)
		for _, r := range chunk.Records {
			values += string(r.Value)
			if err := each(values); err != nil {
				return values, notes, err
			}
		}
	}
	return values, notes, nil
}

// What was sent is read again, byte for byte: no value, an empty one and the
// text null are three things, and so with keys and headers.
func TestRecordsComeBackAsTheyWereSent(t *testing.T) {
	cfg, client := brokertest.New(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		name := fmt.Sprintf("t%d", n)
		if err := admin.CreateTopic(context.Background(), client, admin.NewTopic{Name: name, Partitions: 1, Replicas: 1}, false); err != nil {
			t.Fatal(err)
		}
		some := rapid.OneOf(rapid.Just([]byte(nil)), rapid.Just([]byte{}), rapid.Just([]byte("null")), rapid.SliceOf(rapid.Byte()), rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) }))
		var want []kafka.Record
		for i := range rapid.IntRange(1, 8).Draw(t, "records") {
			r := kafka.Record{Topic: name, Offset: int64(i), Key: some.Draw(t, "key"), Value: some.Draw(t, "value"), Timestamp: time.UnixMilli(rapid.Int64Range(1, 1<<41).Draw(t, "ms"))}
			for range rapid.IntRange(0, 2).Draw(t, "headers") {
				r.Headers = append(r.Headers, kafka.Header{Key: rapid.String().Draw(t, "hk"), Value: some.Draw(t, "hv")})
			}
			want = append(want, r)
		}
		s, err := records.NewSender(context.Background(), cfg, records.ProduceSpec{Topic: name, Partition: -1, Compression: rapid.SampledFrom(kafka.Compressions()).Draw(t, "codec")})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range want {
			if err := s.Send(context.Background(), r); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		var got []kafka.Record
		for chunk, err := range records.Consume(context.Background(), cfg, records.ConsumeSpec{Topic: name, Beginning: true}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, chunk.Records...)
		}
		if diff := cmp.Diff(want, got, content()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A model of a topic says what each reading of it must give.
func TestConsumeGivesWhatTheSpecSays(t *testing.T) {
	cfg, client := brokertest.New(t)
	if err := admin.CreateTopic(t.Context(), client, admin.NewTopic{Name: "t", Partitions: 3, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	base := time.UnixMilli(1_700_000_000_000)
	logs := map[int32][]kafka.Record{}
	var newest []kafka.Record // oldest first, over all partitions
	for i := range 60 {
		p := int32(i * i % 3) // one partition stays empty
		r := kafka.Record{Topic: "t", Partition: p, Offset: int64(len(logs[p])), Value: fmt.Append(nil, i), Timestamp: base.Add(time.Duration(i) * time.Second)}
		brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: p}, r)
		logs[p] = append(logs[p], r)
		newest = append(newest, r)
	}
	rapid.Check(t, func(rt *rapid.T) {
		spec := records.ConsumeSpec{Topic: "t", Limit: rapid.IntRange(0, 70).Draw(rt, "limit")}
		partitions := rapid.SliceOfNDistinct(rapid.Int32Range(0, 2), 0, 3, rapid.ID).Draw(rt, "partitions")
		spec.Partitions = partitions
		wanted := func(r kafka.Record) bool { return len(partitions) == 0 || slices.Contains(partitions, r.Partition) }
		if rapid.Bool().Draw(rt, "filter") {
			by := rapid.IntRange(2, 40).Draw(rt, "by")
			spec.Where = func(r kafka.Record) (bool, error) { n := 0; fmt.Sscan(string(r.Value), &n); return n%by == 0, nil }
		}
		matches := func(r kafka.Record) bool {
			if spec.Where == nil || !wanted(r) {
				return wanted(r)
			}
			yes, _ := spec.Where(r)
			return yes
		}
		if rapid.Bool().Draw(rt, "last") {
			var want []kafka.Record
			for _, r := range newest {
				if matches(r) {
					want = append(want, r)
				}
			}
			want = want[max(0, len(want)-spec.Limit):]
			if diff := cmp.Diff(want, all(t, cfg, spec), equalEmpty(), content()); diff != "" {
				rt.Fatal(diff)
			}
			return
		}
		from, until := rapid.IntRange(0, 60).Draw(rt, "from"), rapid.IntRange(0, 60).Draw(rt, "until")
		byTime := rapid.Bool().Draw(rt, "byTime")
		text := func(n int) string {
			if byTime {
				return fmt.Sprintf("s@%d", base.Add(time.Duration(n)*time.Second).UnixMilli())
			}
			return fmt.Sprint(n)
		}
		spec.From, spec.Until = brokertest.Position(t, text(from)), brokertest.Position(t, text(until))
		in := func(r kafka.Record, _ int) bool {
			n := int(r.Offset)
			if byTime {
				n = int(r.Timestamp.Sub(base) / time.Second)
			}
			return n >= from && n < until
		}
		got, perPart, want := all(t, cfg, spec), map[int32][]kafka.Record{}, 0
		for _, r := range got {
			perPart[r.Partition] = append(perPart[r.Partition], r)
		}
		for p, log := range logs {
			var part []kafka.Record
			for i, r := range log {
				if matches(r) && in(r, i) {
					part = append(part, r)
				}
			}
			want += len(part)
			// With a limit it is any prefix of each partition, in order.
			if n := len(perPart[p]); n > len(part) || !cmp.Equal(part[:n], perPart[p], equalEmpty(), content()) {
				rt.Fatalf("partition %d: %v is no beginning of %v", p, perPart[p], part)
			}
		}
		if spec.Limit > 0 {
			want = min(want, spec.Limit)
		}
		if len(got) != want {
			rt.Fatalf("%d records, want %d", len(got), want)
		}
	})
}

// content leaves out what the log adds to a record.
func content() cmp.Option { return cmpopts.IgnoreFields(kafka.Record{}, "Origin") }

func equalEmpty() cmp.Option {
	return cmp.Transformer("empty", func(s []kafka.Record) []kafka.Record { return append([]kafka.Record{}, s...) })
}

// Aborted records and markers take offsets. The last records are found behind
// them, and a log that ends with them is no reason to wait.
func TestOffsetsWithoutRecordsDoNotHoldUpConsume(t *testing.T) {
	cfg, client := brokertest.New(t)
	if err := admin.CreateTopic(t.Context(), client, admin.NewTopic{Name: "t", Partitions: 1, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: -1}, kafka.Record{Value: []byte("a")}, kafka.Record{Value: []byte("b")})
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.TransactionalID("x"), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for range 3 {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if err := cl.ProduceSync(t.Context(), kgo.StringRecord("aborted")).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := cl.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
			t.Fatal(err)
		}
	}
	values := func(spec records.ConsumeSpec) string {
		spec.Topic = "t"
		text := ""
		for _, r := range all(t, cfg, spec) {
			text += string(r.Value)
		}
		return text
	}
	if got := values(records.ConsumeSpec{Limit: 2}); got != "ab" {
		t.Errorf("the last two are %q", got)
	}
	if got := values(records.ConsumeSpec{Beginning: true}); got != "ab" {
		t.Errorf("all are %q", got)
	}
}

func TestAValueOfTenMegabytesPassesAndOneByteMoreIsRefused(t *testing.T) {
	cfg, client := brokertest.New(t)
	if _, err := admin.EnsureTopics(t.Context(), client, brokertest.Catalog(t)); err != nil {
		t.Fatal(err)
	}
	value := make([]byte, kafka.MaxValueBytes)
	if _, err := rand.Read(value); err != nil { // nothing that compression could make smaller
		t.Fatal(err)
	}
	spec := records.ProduceSpec{Topic: "service-metrics", Partition: -1}
	brokertest.Ship(t, cfg, spec, kafka.Record{Key: []byte("k"), Value: value})
	got := all(t, cfg, records.ConsumeSpec{Topic: "service-metrics", Limit: 1})
	if len(got) != 1 || !bytes.Equal(got[0].Value, value) {
		t.Fatalf("%d records came back, or another value", len(got))
	}
	for topic, want := range map[string]string{"service-metrics": "10485760 are allowed", "alerts": "batches of 1048588 (max.message.bytes)"} {
		spec.Topic = topic
		s, err := records.NewSender(t.Context(), cfg, spec)
		if err != nil {
			t.Fatal(err)
		}
		size := kafka.MaxValueBytes + 1
		if topic == "alerts" {
			size = 1_048_588
		}
		if err := s.Send(t.Context(), kafka.Record{Value: make([]byte, size)}); !errors.Is(err, records.ErrTooLarge) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %d bytes give %v, want %q", topic, size, err, want)
		}
		if sent, err := s.Close(t.Context()); err != nil || sent.Records != 0 {
			t.Errorf("%s took %d records, %v", topic, sent.Records, err)
		}
	}
}

func TestProduceGoesToThePartitionThatIsNamed(t *testing.T) {
	cfg, client := brokertest.New(t)
	if err := admin.CreateTopic(t.Context(), client, admin.NewTopic{Name: "t", Partitions: 3, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	r := kafka.Record{Key: []byte("same"), Value: []byte("x")}
	for p := range int32(3) {
		sent := brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: p}, r, r)
		if diff := cmp.Diff([]records.SentPart{{Partition: p, First: 0, Last: 1, Records: 2}}, sent.Partitions); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := records.NewSender(t.Context(), cfg, records.ProduceSpec{Topic: "t", Partition: 3}); err == nil || !strings.Contains(err.Error(), "no partition 3, it has 3") {
		t.Errorf("a fourth partition gives %v", err)
	}
	if _, err := records.NewSender(t.Context(), cfg, records.ProduceSpec{Topic: "tt", Partition: -1}); !errors.Is(err, admin.ErrNoTopic) {
		t.Errorf("an unknown topic gives %v", err)
	}
}

func TestABrokerThatHangsEndsConsumeAndProduce(t *testing.T) {
	broker, _ := kafkatest.Mute(t)
	cfg := kafka.Default()
	cfg.Brokers, cfg.RequestTimeout, cfg.DeliveryTimeout = []string{broker}, 300*time.Millisecond, 300*time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, err := range records.Consume(ctx, cfg, records.ConsumeSpec{Topic: "t", Limit: 1}) {
		if err == nil || ctx.Err() != nil {
			t.Errorf("consume ended with %v", err)
		}
	}
	look, done := context.WithTimeout(ctx, cfg.RequestTimeout)
	defer done()
	if _, err := records.NewSender(look, cfg, records.ProduceSpec{Topic: "t", Partition: -1}); err == nil || ctx.Err() != nil {
		t.Errorf("produce ended with %v", err)
	}
}

// A broker that answers everything but produce requests is given up after the
// delivery timeout, even for records about the past.
func TestABrokerThatTakesNoRecordsIsGivenUp(t *testing.T) {
	cluster := kafkatest.New(t, "t")
	cluster.Fake().ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return nil, errors.New("not now"), true
	})
	cfg := kafka.Default()
	cfg.Brokers, cfg.DeliveryTimeout = []string{cluster.Addr()}, 300*time.Millisecond
	s, err := records.NewSender(t.Context(), cfg, records.ProduceSpec{Topic: "t", Partition: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), kafka.Record{Value: []byte("x"), Timestamp: time.UnixMilli(1)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	sent, err := s.Close(ctx)
	if err == nil || sent.Records != 0 || ctx.Err() != nil {
		t.Errorf("it ended with %+v, %v", sent, err)
	}
}

// Who follows a topic goes on when it is deleted and made again, from the
// beginning of the new one, and is told.
func TestFollowGoesOnWithATopicThatWasMadeAgain(t *testing.T) {
	cfg, client := brokertest.New(t)
	write := func(values ...string) {
		brokertest.Create(t, client, "t", 1, nil)
		brokertest.Send(t, cfg, "t", values...)
	}
	write("a", "b")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	got, notes, err := follow(ctx, cfg, 2, func(values string) error {
		switch values {
		case "ab":
			if _, err := admin.DeleteTopics(t.Context(), client, true, "t"); err != nil {
				return err
			}
			write("c", "d")
		case "abcd":
			cancel()
		}
		return nil
	})
	if got != "abcd" || !errors.Is(err, context.Canceled) || len(notes) == 0 {
		t.Errorf("read %q and ended with %v; notes %q", got, err, notes)
	}
}

func TestFollowReadsPartitionsThatWereAdded(t *testing.T) {
	cfg, client := brokertest.New(t)
	brokertest.Create(t, client, "t", 1, nil)
	brokertest.Send(t, cfg, "t", "a")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	got, _, err := follow(ctx, cfg, 1, func(values string) error {
		switch values {
		case "a":
			if _, err := admin.AddPartitions(t.Context(), client, "t", 2, true); err != nil {
				return err
			}
			brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: 1}, kafka.Record{Value: []byte("b")})
		case "ab":
			cancel()
		}
		return nil
	})
	if got != "ab" || !errors.Is(err, context.Canceled) {
		t.Errorf("read %q and ended with %v", got, err)
	}
}

// A broker that is away for a while does not end who follows.
func TestFollowOutlivesTheBroker(t *testing.T) {
	cluster := kafkatest.New(t, "t")
	cfg := kafka.Default()
	cfg.Brokers, cfg.RequestTimeout, cfg.Linger = []string{cluster.Addr()}, time.Second, 0
	brokertest.Send(t, cfg, "t", "a")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	got, _, err := follow(ctx, cfg, 1, func(values string) error {
		switch values {
		case "a":
			cluster.Stop()
			cluster.Start()
			brokertest.Send(t, cfg, "t", "b")
		case "ab":
			cancel()
		}
		return nil
	})
	if got != "ab" || !errors.Is(err, context.Canceled) {
		t.Errorf("read %q and ended with %v", got, err)
	}
}
