package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

func config(c *kafkatest.Cluster) kafka.Config {
	cfg := kafka.Default()
	cfg.Brokers = []string{c.Addr()}
	cfg.Linger = time.Millisecond
	cfg.Retry = backoff.Policy{Base: 10 * time.Millisecond, Max: 100 * time.Millisecond, Factor: 2}
	return cfg
}

func producer(t *testing.T, cfg kafka.Config) *kafka.Producer {
	t.Helper()
	p, err := kafka.NewProducer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = p.Close(ctx)
	})
	return p
}

func mustSend(t *testing.T, p *kafka.Producer, topic, value string) kafka.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		r, err := p.SendSync(ctx, kafka.Record{Topic: topic, Key: []byte("k"), Value: []byte(value)})
		if err == nil {
			return r
		}
		if ctx.Err() != nil {
			t.Fatalf("send: %v", err)
		}
	}
}

// reader runs a Tail and keeps what it read.
type reader struct {
	tail   *kafka.Tail
	mu     sync.Mutex
	values []string
	resets []string
	caught int
	cancel context.CancelFunc
	done   chan struct{}
	change chan struct{}
}

func read(t *testing.T, cfg kafka.Config, tc kafka.TailConfig) *reader {
	t.Helper()
	r := &reader{done: make(chan struct{}), change: make(chan struct{}, 1)}
	note := func(f func()) {
		r.mu.Lock()
		f()
		r.mu.Unlock()
		select {
		case r.change <- struct{}{}:
		default:
		}
	}
	tc.OnCaughtUp = func() { note(func() { r.caught++ }) }
	tc.OnReset = func(topic string, why kafka.ResetReason) {
		note(func() { r.resets = append(r.resets, topic+" "+string(why)) })
	}
	if tc.Refresh == 0 {
		tc.Refresh = 50 * time.Millisecond
	}
	tail, err := kafka.NewTail(cfg, tc, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.tail = tail
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	go func() {
		defer close(r.done)
		_ = tail.Run(ctx, func(batch []kafka.Record) {
			note(func() {
				for _, rec := range batch {
					r.values = append(r.values, string(rec.Value))
				}
			})
		})
	}()
	t.Cleanup(r.stop)
	return r
}

func (r *reader) stop() { r.cancel(); <-r.done }

// await waits until ok holds of what was read; the test's own deadline is the
// only limit that matters, this one only makes failures readable.
func (r *reader) await(t *testing.T, what string, ok func(*reader) bool) {
	t.Helper()
	deadline := time.NewTimer(60 * time.Second)
	defer deadline.Stop()
	for {
		r.mu.Lock()
		yes := ok(r)
		state := fmt.Sprintf("values %q resets %q caught %d", r.values, r.resets, r.caught)
		r.mu.Unlock()
		if yes {
			return
		}
		select {
		case <-r.change:
		case <-deadline.C:
			t.Fatalf("waited in vain for %s: %s", what, state)
		}
	}
}

func has(values ...string) func(*reader) bool {
	return func(r *reader) bool {
		return strings.Join(r.values, ",") == strings.Join(values, ",")
	}
}

func TestTailReadsFromTheBeginningAndSaysWhenItCaughtUp(t *testing.T) {
	c := kafkatest.New(t, "a", "b")
	p := producer(t, config(c))
	mustSend(t, p, "a", "1")
	mustSend(t, p, "a", "2")
	r := read(t, config(c), kafka.TailConfig{Topics: []string{"a", "b"}})
	r.await(t, "both records and the callback", func(r *reader) bool { return has("1", "2")(r) && r.caught == 1 })
	mustSend(t, p, "b", "3")
	r.await(t, "a live record", has("1", "2", "3"))
	if got := r.tail.Positions()[kafka.TopicPartition{Topic: "a"}]; got != 2 {
		t.Errorf("position of a is %d, want 2", got)
	}
	if r.caught != 1 {
		t.Errorf("caught up was said %d times, want once", r.caught)
	}
}

func TestTailStartsWhereItIsTold(t *testing.T) {
	c := kafkatest.New(t, "a")
	p := producer(t, config(c))
	send := func(v string, at time.Time) {
		if _, err := p.SendSync(t.Context(), kafka.Record{Topic: "a", Value: []byte(v), Timestamp: at}); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	send("old", now.Add(-time.Hour))
	send("recent", now.Add(-time.Minute))
	send("last", now)
	for _, row := range []struct {
		from kafka.Start
		want string
	}{
		{kafka.FromBeginning(), "old,recent,last"},
		{kafka.FromAgo(10 * time.Minute), "recent,last"},
		{kafka.FromOffset(2), "last"},
		{kafka.FromOffset(99), ""},
		{kafka.FromEnd(), ""},
	} {
		t.Run(row.from.String(), func(t *testing.T) {
			r := read(t, config(c), kafka.TailConfig{Topics: []string{"a"}, From: row.from})
			r.await(t, "catching up", func(r *reader) bool { return r.caught == 1 })
			if got := strings.Join(r.values, ","); got != row.want {
				t.Errorf("read %q, want %q", got, row.want)
			}
		})
	}
}

// Any client that may write to a topic can leave a transaction open. Readers of what is
// committed see nothing behind it for 15 minutes: no revision and no drain.
func TestAnOpenTransactionHidesNothing(t *testing.T) {
	c := kafkatest.New(t, "a")
	stranger, err := kgo.NewClient(kgo.SeedBrokers(c.Addr()), kgo.TransactionalID("x"), kgo.TransactionTimeout(15*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if err := stranger.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := stranger.ProduceSync(t.Context(), &kgo.Record{Topic: "a", Value: []byte("open")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	mustSend(t, producer(t, config(c)), "a", "behind it")
	r := read(t, config(c), kafka.TailConfig{Topics: []string{"a"}})
	r.await(t, "the record behind the transaction", func(r *reader) bool { return slices.Contains(r.values, "behind it") })
	r.await(t, "the end of the log", func(r *reader) bool { return r.caught > 0 })
	admin, err := kafka.NewAdmin(config(c))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if ends, err := admin.EndOffsets(t.Context(), "a"); err != nil || ends[kafka.TopicPartition{Topic: "a", Partition: 0}] != 2 {
		t.Errorf("the log ends at %v: %v", ends, err)
	}
}

func TestTailWaitsForATopicThatDoesNotExistYet(t *testing.T) {
	c := kafkatest.New(t, "a")
	r := read(t, config(c), kafka.TailConfig{Topics: []string{"a", "later"}})
	p := producer(t, config(c))
	mustSend(t, p, "a", "1")
	r.await(t, "the topic that exists", has("1"))
	create(t, c, "later", 1)
	mustSend(t, p, "later", "2")
	r.await(t, "the topic that came later", func(r *reader) bool { return has("1", "2")(r) && r.caught == 1 })
}

func create(t *testing.T, c *kafkatest.Cluster, topic string, partitions int32) {
	t.Helper()
	admin, err := kafka.NewAdmin(config(c))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := kadm.NewClient(admin.Client()).CreateTopic(t.Context(), partitions, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
}

func TestClientsResumeWhenTheBrokerComesBack(t *testing.T) {
	c := kafkatest.New(t, "a")
	p := producer(t, config(c))
	r := read(t, config(c), kafka.TailConfig{Topics: []string{"a"}})
	mustSend(t, p, "a", "before")
	r.await(t, "the first record", has("before"))
	c.Stop()
	if !p.Send(kafka.Record{Topic: "a", Value: []byte("during")}) {
		t.Error("a record is refused while the broker is away although the queue is empty")
	}
	c.Start()
	mustSend(t, p, "a", "after")
	r.await(t, "both records", func(r *reader) bool {
		return len(r.values) == 3 && r.values[0] == "before" && len(r.resets) == 0
	})
}

func TestTailStartsBeforeItsBroker(t *testing.T) {
	c := kafkatest.New(t, "a")
	c.Stop()
	r := read(t, config(c), kafka.TailConfig{Topics: []string{"a"}})
	c.Start()
	mustSend(t, producer(t, config(c)), "a", "1")
	r.await(t, "the record", has("1"))
}

func TestClientsResumeWhenTheBrokerComesBackWithoutItsData(t *testing.T) {
	c := kafkatest.New(t, "a")
	p := producer(t, config(c))
	r := read(t, config(c), kafka.TailConfig{Topics: []string{"a"}, From: kafka.FromEnd()})
	r.await(t, "catching up", func(r *reader) bool { return r.caught == 1 })
	mustSend(t, p, "a", "before")
	r.await(t, "the first record", has("before"))
	c.Stop()
	c.Wipe()
	c.Start("a")
	mustSend(t, p, "a", "after")
	r.await(t, "the record of the new log", func(r *reader) bool {
		return has("before", "after")(r) && strings.Join(r.resets, ",") == "a recreated"
	})
}

func TestClientsFollowATopicThatWasDeletedAndCreatedAgain(t *testing.T) {
	c := kafkatest.New(t, "a")
	p := producer(t, config(c))
	r := read(t, config(c), kafka.TailConfig{Topics: []string{"a"}})
	mustSend(t, p, "a", "before")
	r.await(t, "the first record", has("before"))
	admin, err := kafka.NewAdmin(config(c))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := kadm.NewClient(admin.Client()).DeleteTopic(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	create(t, c, "a", 2)
	mustSend(t, p, "a", "after")
	r.await(t, "the record of the new topic", func(r *reader) bool {
		return has("before", "after")(r) && strings.Join(r.resets, ",") == "a recreated"
	})
}

func TestTailReportsALogThatIsShorterThanWhatWasRead(t *testing.T) {
	c := kafkatest.New(t, "a")
	mustSend(t, producer(t, config(c)), "a", "1")
	r := read(t, config(c), kafka.TailConfig{
		Topics:    []string{"a"},
		Positions: map[kafka.TopicPartition]int64{{Topic: "a"}: 7},
	})
	r.await(t, "a reset and the log from its start", func(r *reader) bool {
		return has("1")(r) && strings.Join(r.resets, ",") == "a shorter"
	})
}

func TestTailGoesOnFromKeptPositions(t *testing.T) {
	c := kafkatest.New(t, "a")
	p := producer(t, config(c))
	for _, v := range []string{"1", "2", "3"} {
		mustSend(t, p, "a", v)
	}
	first := read(t, config(c), kafka.TailConfig{Topics: []string{"a"}})
	first.await(t, "all", has("1", "2", "3"))
	first.stop()
	mustSend(t, p, "a", "4")
	second := read(t, config(c), kafka.TailConfig{
		Topics: []string{"a"}, Positions: first.tail.Positions(), TopicIDs: first.tail.TopicIDs(),
	})
	second.await(t, "what is new", has("4"))
	if len(second.resets) > 0 {
		t.Errorf("resets %v, want none", second.resets)
	}
}

func TestProducerTakesTheLargestPromisedValueAndRefusesMore(t *testing.T) {
	c := kafkatest.New(t, "a")
	cfg := config(c)
	cfg.Compression = "none"
	p := producer(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := p.SendSync(ctx, kafka.Record{Topic: "a", Value: make([]byte, kafka.MaxValueBytes)}); err != nil {
		t.Fatalf("value of exactly the limit: %v", err)
	}
	_, err := p.SendSync(ctx, kafka.Record{Topic: "a", Value: make([]byte, kafka.MaxValueBytes+1)})
	if !errors.Is(err, kafka.ErrTooLarge) {
		t.Fatalf("one byte more gives %v, want ErrTooLarge", err)
	}
	if p.Send(kafka.Record{Topic: "a", Value: make([]byte, kafka.MaxValueBytes+1)}) {
		t.Fatal("Send takes a value over the limit")
	}
	if got := p.Stats().Topics["a"].Dropped[kafka.ReasonTooLarge]; got != 2 {
		t.Errorf("%d drops counted as too large, want 2", got)
	}
}

func TestProducerDropsAndCountsWhenItsQueueIsFull(t *testing.T) {
	c := kafkatest.New(t, "a")
	c.Stop()
	cfg := config(c)
	cfg.MaxBufferedRecords = 10
	p := producer(t, cfg)
	taken := 0
	for range 50 {
		if p.Send(kafka.Record{Topic: "a", Value: []byte("v")}) {
			taken++
		}
	}
	s := p.Stats().Topics["a"]
	if taken != 10 || s.Dropped[kafka.ReasonBufferFull] != 40 || s.Sent != 50 {
		t.Errorf("took %d, stats %+v; want 10 taken and 40 counted as %s", taken, s, kafka.ReasonBufferFull)
	}
}

func TestProducerGivesUpARecordAfterItsDeliveryTimeout(t *testing.T) {
	c := kafkatest.New(t, "a")
	c.Stop()
	cfg := config(c)
	cfg.DeliveryTimeout = 50 * time.Millisecond
	p := producer(t, cfg)
	p.Send(kafka.Record{Topic: "a", Value: []byte("v")})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.Flush(ctx); err != nil {
		t.Fatalf("the record is neither delivered nor dropped: %v", err)
	}
	if got := p.Stats().Topics["a"].Dropped[kafka.ReasonTimeout]; got != 1 {
		t.Errorf("%d drops counted as %s, want 1", got, kafka.ReasonTimeout)
	}
}

func TestProducerCountsWhatCloseCouldNotDeliver(t *testing.T) {
	c := kafkatest.New(t, "a")
	c.Stop()
	p := producer(t, config(c))
	p.Send(kafka.Record{Topic: "a", Value: []byte("v")})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); err == nil {
		t.Error("Close says that everything was delivered")
	}
	s := p.Stats().Topics["a"]
	if s.Sent != 1 || s.Delivered != 0 || s.Dropped[kafka.ReasonClosed] != 1 {
		t.Errorf("stats %+v, want the record dropped as %s", s, kafka.ReasonClosed)
	}
	if p.Send(kafka.Record{Topic: "a"}) {
		t.Error("a closed producer takes a record")
	}
}

func TestProducerSplitsKeysAsJavaClientsDo(t *testing.T) {
	c := kafkatest.New(t, "a:3")
	p := producer(t, config(c))
	// Answers of Kafka's own murmur2 partitioner for three partitions.
	for key, want := range map[string]int32{"user-service": javaPartition("user-service", 3), "order-service": javaPartition("order-service", 3), "": javaPartition("", 3)} {
		if key == "" {
			continue
		}
		r, err := p.SendSync(t.Context(), kafka.Record{Topic: "a", Key: []byte(key), Value: []byte("v")})
		if err != nil {
			t.Fatal(err)
		}
		if r.Partition != want {
			t.Errorf("key %q went to partition %d, want %d", key, r.Partition, want)
		}
	}
}

// javaPartition is murmur2 as in Kafka's Utils.java, written anew as an oracle.
func javaPartition(key string, n int32) int32 {
	const m, r = uint32(0x5bd1e995), 24
	data := []byte(key)
	h := uint32(0x9747b28c) ^ uint32(len(data))
	for len(data) >= 4 {
		k := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
		data = data[4:]
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(data[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	h ^= h >> 15
	return int32(h&0x7fffffff) % n
}

func TestRecordsKeepTheirHeaders(t *testing.T) {
	c := kafkatest.New(t, "a")
	p := producer(t, config(c))
	if _, err := p.SendSync(t.Context(), kafka.Record{Topic: "a", Value: []byte("v"), Headers: []kafka.Header{{Key: "h", Value: []byte("1")}, {Key: "h", Value: []byte("2")}}}); err != nil {
		t.Fatal(err)
	}
	got := make(chan kafka.Record, 1)
	tail, err := kafka.NewTail(config(c), kafka.TailConfig{Topics: []string{"a"}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = tail.Run(ctx, func(b []kafka.Record) { got <- b[0] }) }()
	defer func() { cancel(); <-done }()
	r := <-got
	if v, ok := r.Header("h"); !ok || !bytes.Equal(v, []byte("2")) {
		t.Errorf("header h is %q, %v; want the last one", v, ok)
	}
}

func TestConfigReportsEveryMistake(t *testing.T) {
	cfg := kafka.Config{Brokers: []string{"nowhere"}, Compression: "brotli"}
	err := cfg.Validate()
	for _, want := range []string{"brokers[0]", "compression", "batchMaxBytes", "maxBufferedRecords", "deliveryTimeout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not mention %s", err, want)
		}
	}
	if err := kafka.Default().Validate(); err != nil {
		t.Errorf("the default is invalid: %v", err)
	}
}

// The library looks at a record's context only between its attempts. A stop
// waited for it, longer than a supervisor does.
func TestSendSyncEndsWithItsContext(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, prepare := range map[string]func(c *kafkatest.Cluster, cfg *kafka.Config){
		"the broker died": func(c *kafkatest.Cluster, _ *kafka.Config) { c.Stop() },
		"the topic is gone": func(c *kafkatest.Cluster, _ *kafka.Config) {
			c.Stop()
			c.Wipe()
			c.Start("other")
		},
		"the broker takes connections and says nothing": func(_ *kafkatest.Cluster, cfg *kafka.Config) {
			cfg.Brokers = []string{silent.Addr().String()}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := kafkatest.New(t, "a")
			cfg := config(c)
			cfg.RequestTimeout, cfg.DeliveryTimeout = 10*time.Minute, 20*time.Minute
			warm := name != "the broker takes connections and says nothing"
			if !warm {
				prepare(c, &cfg)
			}
			p, err := kafka.NewProducer(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			if warm {
				mustSend(t, p, "a", "first")
				prepare(c, &cfg)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() {
				_, err := p.SendSync(ctx, kafka.Record{Topic: "a", Value: []byte("second")})
				done <- err
			}()
			time.Sleep(100 * time.Millisecond)
			cancel()
			select {
			case err := <-done:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("ended with %v", err)
				}
			case <-time.After(2 * time.Minute):
				t.Error("it waits on")
				<-done
			}
			closing, stop := context.WithTimeout(context.Background(), time.Millisecond)
			defer stop()
			_ = p.Close(closing)
			s := p.Stats().Topics["a"]
			var dropped uint64
			for _, n := range s.Dropped {
				dropped += n
			}
			if s.Sent != s.Delivered+dropped || dropped != 1 {
				t.Errorf("%+v: sent is not delivered and dropped", s)
			}
		})
	}
}

// hanging gives an address where connections are taken and nothing that they
// bring is answered.
func hanging(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String() // the kernel completes connections that nobody accepts
}

// A request's context does not interrupt the wait for a broker that takes
// connections and says nothing, so that every stop took as long as a request
// may take.
func TestReadersStopThoughTheBrokerHangs(t *testing.T) {
	cfg := kafka.Default()
	cfg.Brokers, cfg.RequestTimeout = []string{hanging(t)}, 10*time.Minute
	tail, err := kafka.NewTail(cfg, kafka.TailConfig{Topics: []string{"in"}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	group, err := kafka.NewGroup(cfg, kafka.GroupConfig{ID: "g", Topics: []string{"in"}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- tail.Run(ctx, func([]kafka.Record) {}) }()
	go func() { done <- group.Run(ctx, idle{}) }()
	time.Sleep(300 * time.Millisecond) // they wait for an answer
	cancel()
	late := time.After(2 * time.Minute) // one request may take ten
	for range 2 {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-late:
			t.Fatal("a reader goes on")
		}
	}
}

// idle is a group handler that does nothing.
type idle struct{}

func (idle) Assigned(context.Context, map[kafka.TopicPartition]kafka.Position) (map[kafka.TopicPartition]int64, error) {
	return nil, nil
}
func (idle) Batch(context.Context, []kafka.Record)                 {}
func (idle) Revoked(context.Context, []kafka.TopicPartition, bool) {}
