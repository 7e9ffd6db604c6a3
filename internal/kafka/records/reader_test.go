package records_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/test/brokertest"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// open opens a reader for a test.
func open(t testing.TB, cfg kafka.Config, q records.Query) *records.Reader {
	t.Helper()
	r, err := records.Open(context.Background(), cfg, q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// rest reads what remains. With Newest, the pieces of each partition are put in the order of their offsets.
func rest(t testing.TB, r *records.Reader) (list []kafka.Record, notes []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for {
		b, err := r.Next(ctx)
		list, notes = append(list, b.Records...), append(notes, b.Notes...)
		if errors.Is(err, records.ErrEnd) {
			return list, notes
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// places lists partition:offset of records in order.
func places(list []kafka.Record) (out []string) {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b kafka.Record) int {
		return int(a.Partition-b.Partition)*1_000_000 + int(a.Offset-b.Offset)
	})
	for _, r := range sorted {
		out = append(out, fmt.Sprint(r.Partition, ":", r.Offset))
	}
	return out
}

func TestAReaderReadsTheSpansThatItIsPointedAt(t *testing.T) {
	cfg, client := brokertest.New(t)
	brokertest.Create(t, client, "t", 2, nil)
	for i := range 20 {
		brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: int32(i % 2), Compression: "gzip"}, kafka.Record{Key: []byte("k"), Value: fmt.Append(bytes.Repeat([]byte("a"), 500), i)})
	}
	for _, newest := range []bool{false, true} {
		r := open(t, cfg, records.Query{Topic: "t", Newest: newest})
		if whole := r.Spans(); whole[0] != (records.Span{To: 10}) || whole[1] != (records.Span{To: 10}) {
			t.Fatalf("spans %v", whole)
		}
		for range 2 { // it can be pointed anywhere, also back
			r.Seek(map[int32]records.Span{0: {From: 3, To: 5}, 1: {From: 8, To: 99}, 7: {To: 1}})
			if left := r.Rest(); left[0] != (records.Span{From: 3, To: 5}) || left[1] != (records.Span{From: 8, To: 10}) || len(left) != 2 {
				t.Errorf("to read: %v", left)
			}
			got, _ := rest(t, r)
			if want := []string{"0:3", "0:4", "1:8", "1:9"}; !slices.Equal(places(got), want) {
				t.Errorf("got %v, want %v", places(got), want)
			}
			for _, rec := range got {
				if rec.Origin.Compression() != "gzip" || rec.Origin.TimestampType() != "create" {
					t.Errorf("origin %s %s", rec.Origin.Compression(), rec.Origin.TimestampType())
				}
			}
			for p, s := range r.Rest() {
				if s.From != s.To {
					t.Errorf("partition %d: %v remains", p, s)
				}
			}
		}
	}
}

// A reader that samples a topic that is too fast reads or counts every record, in order, and comes to the newest.
func TestASampleReadsOrCountsEveryRecord(t *testing.T) {
	cfg, client := brokertest.New(t)
	brokertest.Create(t, client, "t", 1, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	flooded, sent := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sent)
		batch := make([]kafka.Record, 2000)
		for i := range batch {
			batch[i].Value = bytes.Repeat([]byte("x"), 100)
		}
		for range 25 { // five megabytes: twenty times what is fetched at once
			brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: -1, Compression: "none"}, batch...)
		}
		close(flooded)
		for ctx.Err() == nil { // until one is read after the end of the flood
			brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: -1}, kafka.Record{Value: []byte("last")})
		}
	}()
	r := open(t, cfg, records.Query{Topic: "t", Follow: true, Sample: &records.Sample{Window: 20 * time.Millisecond, Records: 100, Bytes: 1 << 20}})
	var read, skipped int64
	first, next := int64(-1), int64(0)
	for last := false; !last; {
		b, err := r.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		skipped += b.Skipped
		for _, rec := range b.Records {
			<-flooded // the caller is slow
			if first < 0 {
				first = rec.Offset - skipped
			}
			if rec.Offset < next {
				t.Errorf("offset %d after %d", rec.Offset, next-1)
			}
			read, next = read+1, rec.Offset+1
			if last = string(rec.Value) == "last"; last {
				break
			}
		}
	}
	cancel()
	<-sent
	if skipped == 0 {
		t.Error("nothing was skipped of 50,000 records")
	}
	if got := next - first; got != read+skipped {
		t.Errorf("%d read and %d skipped of %d", read, skipped, got)
	}
}

// journalled is a log whose committed records are known: between them are records and markers of transactions.
func journalled(t *testing.T) (cfg kafka.Config, committed map[int32][]int64, ends map[int32]int64) {
	t.Helper()
	cfg, client := brokertest.New(t)
	brokertest.Create(t, client, "t", 2, nil)
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.TransactionalID("x"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	committed, ends = map[int32][]int64{}, map[int32]int64{}
	transaction := func(commit kgo.TransactionEndTry, partitions ...int32) {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		marked := map[int32]bool{}
		for _, p := range partitions {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: p, Value: []byte("x")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if commit {
				committed[p] = append(committed[p], ends[p])
			}
			ends[p]++
			marked[p] = true
		}
		if err := cl.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
		for p := range marked {
			ends[p]++
		}
	}
	plain := func(p int32, n int) {
		brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: p}, slices.Repeat([]kafka.Record{{Value: []byte("y")}}, n)...)
		for range n {
			committed[p] = append(committed[p], ends[p])
			ends[p]++
		}
	}
	transaction(kgo.TryAbort, 0, 0, 1) // at the beginning
	transaction(kgo.TryCommit)         // without a record
	plain(0, 5)
	transaction(kgo.TryCommit, 0, 1, 0)
	for range 4 { // markers among few records
		transaction(kgo.TryAbort, 1)
	}
	plain(1, 30)
	transaction(kgo.TryCommit, 0)
	transaction(kgo.TryAbort, 0, 0, 0, 1, 1) // at the end
	return cfg, committed, ends
}

// In both directions, whatever the span: committed records and nothing else, each once, and an end. Spans begin and end
// among markers, aborted records and within batches.
func TestAnySpanGivesItsCommittedRecords(t *testing.T) {
	cfg, committed, ends := journalled(t)
	oldest, newest := open(t, cfg, records.Query{Topic: "t"}), open(t, cfg, records.Query{Topic: "t", Newest: true, Piece: 3})
	if s := oldest.Spans(); s[0].To != ends[0] || s[1].To != ends[1] {
		t.Fatalf("the log ends at %v, want %v", s, ends)
	}
	rapid.Check(t, func(rt *rapid.T) {
		spans, want := map[int32]records.Span{}, []kafka.Record{}
		for p := range int32(2) {
			from := rapid.Int64Range(0, ends[p]).Draw(rt, "from")
			to := rapid.Int64Range(from, ends[p]).Draw(rt, "to")
			spans[p] = records.Span{From: from, To: to}
			for _, at := range committed[p] {
				if at >= from && at < to {
					want = append(want, kafka.Record{Partition: p, Offset: at})
				}
			}
		}
		for _, r := range []*records.Reader{oldest, newest} {
			r.Seek(spans)
			if got, _ := rest(t, r); !slices.Equal(places(got), places(want)) {
				rt.Fatalf("%v gives %v, want %v", spans, places(got), places(want))
			}
			for p, s := range r.Rest() {
				if s.From != s.To {
					rt.Fatalf("partition %d: %v remains of %v", p, s, spans)
				}
			}
		}
	})
}

// A reader of uncommitted records passes an open transaction, which holds up all others.
func TestAReaderMayReadWhatIsNotCommitted(t *testing.T) {
	cfg, client := brokertest.New(t)
	brokertest.Create(t, client, "t", 1, nil)
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.TransactionalID("x"), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord("a")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: -1}, kafka.Record{Value: []byte("b")})
	since := admin.At(time.Now().Add(-time.Hour))
	for _, newest := range []bool{false, true} {
		for uncommitted, want := range map[bool]int{false: 0, true: 2} {
			r := open(t, cfg, records.Query{Topic: "t", From: &since, Newest: newest, Uncommitted: uncommitted})
			if got, notes := rest(t, r); len(got) != want || uncommitted != (len(notes) == 0) {
				t.Errorf("newest %v, uncommitted %v: %d records, notes %q", newest, uncommitted, len(got), notes)
			}
		}
	}
}

// The log may end with offsets that compaction emptied: no batch comes, however often the leader is asked.
func TestOffsetsThatHoldNoBatchEndASpan(t *testing.T) {
	cluster := kafkatest.New(t, "t")
	cfg := kafka.Default()
	cfg.Brokers = []string{cluster.Addr()}
	for range 5 {
		brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: 0}, kafka.Record{Value: []byte("x")})
	}
	const end = 10 // what the leader says of a log whose last batch is at offset 4
	cluster.Fake().ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		list := req.(*kmsg.ListOffsetsRequest)
		if list.Topics[0].Partitions[0].Timestamp != -1 {
			return nil, nil, false
		}
		resp := list.ResponseKind().(*kmsg.ListOffsetsResponse)
		topic, part := kmsg.NewListOffsetsResponseTopic(), kmsg.NewListOffsetsResponseTopicPartition()
		topic.Topic, part.Offset = "t", end
		topic.Partitions = append(topic.Partitions, part)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	cluster.Fake().ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		fetch := req.(*kmsg.FetchRequest)
		if fetch.Topics[0].Partitions[0].FetchOffset < 5 {
			return nil, nil, false
		}
		resp := fetch.ResponseKind().(*kmsg.FetchResponse)
		topic, part := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
		topic.Topic, topic.TopicID = fetch.Topics[0].Topic, fetch.Topics[0].TopicID
		part.HighWatermark, part.LastStableOffset = end, end
		topic.Partitions = append(topic.Partitions, part)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	for _, newest := range []bool{false, true} {
		r := open(t, cfg, records.Query{Topic: "t", Newest: newest})
		got, notes := rest(t, r)
		if want := []string{"0:0", "0:1", "0:2", "0:3", "0:4"}; !slices.Equal(places(got), want) || !strings.Contains(strings.Join(notes, "\n"), "to 9 hold no records for readers") {
			t.Errorf("newest %v: %v, notes %q", newest, places(got), notes)
		}
	}
}

// Retention that passes a reader is noted, with each offset that the reader did not get.
func TestAReaderSaysWhatWasDeletedBeforeIt(t *testing.T) {
	noise := rand.NewChaCha8([32]byte{})
	for _, row := range []struct {
		newest bool
		until  int64
	}{{false, 90}, {false, 199}, {true, 90}, {true, 199}} {
		cfg, client := brokertest.New(t)
		brokertest.Create(t, client, "t", 1, nil)
		for range 20 { // much more than a frugal reader has at hand
			list := make([]kafka.Record, 10)
			for i := range list {
				list[i].Value = make([]byte, 40<<10)
				_, _ = noise.Read(list[i].Value)
			}
			brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: 0}, list...)
		}
		r := open(t, cfg, records.Query{Topic: "t", Newest: row.newest, Piece: 400 << 10, Frugal: true})
		first, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := admin.DeleteRecords(t.Context(), client, "t", *brokertest.Position(t, fmt.Sprint(row.until)), nil, true); err != nil {
			t.Fatal(err)
		}
		got, notes := rest(t, r)
		got = append(first.Records, got...)
		seen := map[int64]bool{}
		for _, rec := range got {
			if seen[rec.Offset] {
				t.Errorf("%+v: offset %d comes twice", row, rec.Offset)
			}
			seen[rec.Offset] = true
		}
		noted := 0
		for _, text := range notes {
			var from, to int64
			if _, err := fmt.Sscanf(text, "partition 0: offsets %d to %d were deleted before they were read", &from, &to); err != nil {
				t.Errorf("%+v: it says %q", row, text)
			}
			noted++
			for at := from; at <= to; at++ {
				seen[at] = true
			}
		}
		if !row.newest && (noted != 1 || len(seen) != 200) {
			t.Errorf("%+v: %d offsets are read or noted in %d notes", row, len(seen), noted)
		}
		for at := row.until; at < 200; at++ {
			if !seen[at] {
				t.Errorf("%+v: offset %d is missing", row, at)
			}
		}
	}
}

// A search for the newest ends with the same records as one for all, in the other order.
func TestLatestGivesTheNewestFirst(t *testing.T) {
	cfg, client := brokertest.New(t)
	brokertest.Create(t, client, "t", 3, nil)
	base, total := time.UnixMilli(1_700_000_000_000), 0
	for p, n := range []int{100, 7, 400} {
		var list []kafka.Record
		for i := range n {
			list = append(list, kafka.Record{Value: []byte("v"), Timestamp: base.Add(time.Duration(i*100/n) * time.Second)})
		}
		total += n
		brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: int32(p)}, list...)
	}
	for _, limit := range []int{1, 20, total, 2 * total} {
		r := open(t, cfg, records.Query{Topic: "t", Newest: true, Piece: 50})
		latest := records.NewLatest[kafka.Record](limit)
		var got []kafka.Record
		for whole := false; !whole; {
			b, err := r.Next(t.Context())
			if whole = errors.Is(err, records.ErrEnd); err != nil && !whole {
				t.Fatal(err)
			}
			for _, rec := range b.Records {
				latest.Saw(rec)
				latest.Add(rec, rec)
			}
			if b.Piece || whole {
				if err := latest.Settle(r.Rest(), true, func(r kafka.Record) error { got = append(got, r); return nil }); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(got) != min(limit, total) || len(slices.Compact(places(got))) != len(got) {
			t.Errorf("limit %d: %d of %d records", limit, len(got), total)
		}
		for i := 1; i < len(got); i++ {
			if got[i].Timestamp.After(got[i-1].Timestamp) {
				t.Fatalf("limit %d: record %d is newer than the one before", limit, i)
			}
		}
	}
}

// A reader of any order keeps to one client: a connection to find the cluster, and two to each leader.
func TestAReaderKeepsItsConnections(t *testing.T) {
	cluster := kafkatest.New(t, "t:4")
	cfg := kafka.Default()
	cfg.Brokers = []string{cluster.Addr()}
	for p := range int32(4) {
		brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: p}, slices.Repeat([]kafka.Record{{Value: bytes.Repeat([]byte("x"), 100)}}, 5000)...)
	}
	for _, newest := range []bool{false, true} {
		before := cluster.Accepted()
		r := open(t, cfg, records.Query{Topic: "t", Newest: newest, Piece: 5 << 10, Frugal: true})
		if got, _ := rest(t, r); len(got) != 20_000 {
			t.Errorf("newest %v: %d records", newest, len(got))
		}
		if n := cluster.Accepted() - before; n > 3 {
			t.Errorf("newest %v: %d connections to one broker", newest, n)
		}
	}
}

// A broker that is down is reported at once to pages, and after the request timeout also to the terminal.
func TestAFollowingReaderSaysThatItsBrokerIsDown(t *testing.T) {
	cluster := kafkatest.New(t, "t")
	cfg := kafka.Default()
	cfg.Brokers, cfg.RequestTimeout = []string{cluster.Addr()}, time.Second
	r := open(t, cfg, records.Query{Topic: "t", Follow: true})
	cluster.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	troubles, notes := 0, ""
	for troubles < 2 || !strings.Contains(notes, "no answer from the broker for 1s") {
		b, err := r.Next(ctx)
		if err != nil {
			t.Fatalf("it ended with %v; notes %q", err, notes)
		}
		if notes += strings.Join(b.Notes, "\n"); b.Trouble != nil {
			troubles++
		}
	}
	cluster.Start()
	brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: -1}, kafka.Record{Value: []byte("x")})
	for {
		b, err := r.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Records) > 0 {
			return
		}
	}
}

func BenchmarkReader(b *testing.B) {
	const each, size, partitions = 50_000, 1000, 4 // 200 MB
	cluster := kafkatest.New(b, fmt.Sprint("t:", partitions))
	cfg := kafka.Default()
	cfg.Brokers = []string{cluster.Addr()}
	noise := rand.NewChaCha8([32]byte{})
	for p := range int32(partitions) {
		list := make([]kafka.Record, each)
		for i := range list {
			list[i].Value = make([]byte, size)
			_, _ = noise.Read(list[i].Value[:size/4]) // a quarter does not compress
		}
		brokertest.Ship(b, cfg, records.ProduceSpec{Topic: "t", Partition: p, Linger: 5 * time.Millisecond, BatchBytes: 64 << 10}, list...)
	}
	for _, order := range []string{"oldest", "newest"} {
		b.Run(order, func(b *testing.B) {
			b.SetBytes(each * size * partitions)
			before := cluster.Accepted()
			for b.Loop() {
				r, n := open(b, cfg, records.Query{Topic: "t", Newest: order == "newest", Frugal: true}), 0
				for {
					batch, err := r.Next(b.Context())
					if errors.Is(err, records.ErrEnd) {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					n += len(batch.Records)
				}
				if n != each*partitions {
					b.Fatalf("%d records", n)
				}
			}
			b.ReportMetric(float64(cluster.Accepted()-before)/float64(b.N), "connections/op")
		})
	}
}
