package browse_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/mask"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// browser looks at a cluster with some topics.
func browser(t testing.TB, topics ...string) (*browse.Browser, kafka.Config, *kafkatest.Cluster) {
	t.Helper()
	c := kafkatest.New(t, topics...)
	b, cfg := browserOf(t, c)
	return b, cfg, c
}

// browserOf looks at a cluster.
func browserOf(t testing.TB, c *kafkatest.Cluster) (*browse.Browser, kafka.Config) {
	t.Helper()
	cfg := kafka.Default()
	cfg.Brokers = []string{c.Addr()}
	cfg.RequestTimeout = 5 * time.Second
	client, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	b, err := browse.New(browse.Config{Kafka: cfg, Admin: client, Mask: mask.Rules{{Topics: []string{"veiled"}, Fields: []string{"secret"}}}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return b, cfg
}

func ship(t testing.TB, cfg kafka.Config, topic string, partition int32, list ...kafka.Record) {
	t.Helper()
	s, err := records.NewSender(context.Background(), cfg, records.ProduceSpec{Topic: topic, Partition: partition})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if err := s.Send(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// found collects what a search finds.
type found struct {
	all      []browse.Message
	progress []browse.Progress
	stop     error // returned after the first batch
}

func (f *found) Matches(m []browse.Message) error { f.all = append(f.all, m...); return f.stop }
func (f *found) Progress(p browse.Progress) error { f.progress = append(f.progress, p); return nil }

func (f *found) places() (out []string) {
	for _, m := range f.all {
		out = append(out, fmt.Sprint(m.Partition, ":", m.Offset))
	}
	return out
}

func query(t testing.TB, topic string, pairs ...string) browse.Query {
	t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	q, err := browse.ParseQuery(topic, v, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// A model of a topic says what each search must find, in which order where it
// is the newest that are looked for, and that searches which go on where the
// last one ended find everything once.
func TestSearchFindsWhatTheQuerySays(t *testing.T) {
	b, cfg, _ := browser(t, "t:3")
	base := time.UnixMilli(1_700_000_000_000)
	type place struct {
		name string
		n    int
	}
	var model []place // oldest first
	next := map[int32]int{}
	parts := map[int32][]kafka.Record{}
	for i := range 300 {
		p := int32(0)
		if i%7 == 0 || i > 250 {
			p = 1 // one is sparse first and dense later, one is empty
		}
		parts[p] = append(parts[p], kafka.Record{Key: fmt.Appendf(nil, "k%d", i%5), Value: fmt.Appendf(nil, `{"n":%d}`, i), Timestamp: base.Add(time.Duration(i) * time.Second)})
		model = append(model, place{fmt.Sprint(p, ":", next[p]), i})
		next[p]++
	}
	for p, records := range parts {
		ship(t, cfg, "t", p, records...)
	}
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.IntRange(1, 60).Draw(rt, "limit")
		by := rapid.SampledFrom([]int{1, 2, 13, 100, 1000}).Draw(rt, "by")
		newest := rapid.Bool().Draw(rt, "newest")
		from := rapid.SampledFrom([]int{-1, 0, 100, 299, 400}).Draw(rt, "from")
		order := map[bool]string{true: "newest", false: "oldest"}[newest]
		pairs := []string{"limit", fmt.Sprint(limit), "order", order}
		if by > 1 {
			pairs = append(pairs, "where", fmt.Sprintf("int(value.n) %% %d == 0", by))
		}
		if from >= 0 {
			pairs = append(pairs, "from", fmt.Sprint("@", base.Add(time.Duration(from)*time.Second).UnixMilli()))
		}
		var want []string
		for _, m := range model {
			if m.n%by == 0 && m.n >= from {
				want = append(want, m.name)
			}
		}
		if newest {
			slices.Reverse(want)
		}
		var got []string
		at := ""
		for round := 0; ; round++ {
			var f found
			end, err := b.Search(context.Background(), query(t, "t", append(pairs, "at", at)...), &f)
			if err != nil {
				rt.Fatal(err)
			}
			if len(f.all) > limit || (end.Reason == browse.EndLimit) != (len(f.all) == limit) || end.Progress.Matches != int64(len(f.all)) {
				rt.Fatalf("%d found of %d, ended by %s", len(f.all), limit, end.Reason)
			}
			if first := want[:min(limit, len(want))]; newest && round == 0 && !slices.Equal(f.places(), first) {
				rt.Fatalf("newest: %v, want %v", f.places(), first)
			}
			got = append(got, f.places()...)
			if at = end.Progress.Next; at == "" {
				if end.Progress.Share != 1 {
					rt.Fatalf("share %v at the end", end.Progress.Share)
				}
				break
			}
			if round > 400 {
				rt.Fatal("it goes round")
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			rt.Fatalf("found %v, want %v", got, want)
		}
	})
}

// The budget of bytes stops it within a record, whatever their size, and says so.
func TestASearchStaysWithinItsBudget(t *testing.T) {
	b, cfg, _ := browser(t, "t:2")
	big := bytes.Repeat([]byte("abcdefgh"), 125_000)
	for p := range int32(2) {
		ship(t, cfg, "t", p, slices.Repeat([]kafka.Record{{Value: big}}, 10)...)
	}
	for _, order := range []string{"newest", "oldest"} {
		var f found
		end, err := b.Search(t.Context(), query(t, "t", "order", order, "bytes", fmt.Sprint(5<<20)), &f)
		if err != nil || end.Reason != browse.EndBytes || end.Progress.Bytes > 6<<20+100 || len(f.all) < 4 || end.Progress.Next == "" {
			t.Errorf("%s: %+v, %d found, %v", order, end, len(f.all), err)
		}
		for _, m := range f.all {
			if m.ValueSize != len(big) || !m.ValueCut || len(*m.Value) != browse.DefaultPreview {
				t.Fatalf("%d bytes, cut %v to %d", m.ValueSize, m.ValueCut, len(*m.Value))
			}
		}
		if order == "newest" && f.all[0].Offset != 9 {
			t.Errorf("the first of the newest is %v", f.places())
		}
	}
}

func TestUndecidedRecordsAreCounted(t *testing.T) {
	b, cfg, _ := browser(t, "t")
	ship(t, cfg, "t", -1, kafka.Record{Value: []byte(`{"n":1}`)}, kafka.Record{Value: []byte(`text`)}, kafka.Record{Value: []byte(`{"n":5}`)})
	var f found
	end, err := b.Search(t.Context(), query(t, "t", "where", "value.n > 2"), &f)
	if err != nil || end.Undecided != 1 || end.UndecidedWhy == "" || len(f.all) != 1 {
		t.Errorf("%+v %v", end, err)
	}
}

func TestMistakesOfAQueryAreAllNamed(t *testing.T) {
	_, err := browse.ParseQuery("t", url.Values{"from": {"yesterday"}, "until": {"shift:-1"}, "order": {"up"}, "partitions": {"a"}, "at": {"1"}, "limit": {"0"}, "where": {"1"}, "json": {"["}, "bytes": {"x"}}, time.Now())
	if !errors.Is(err, browse.ErrQuery) {
		t.Fatal(err)
	}
	for _, name := range []string{"from", "until", "order", "partitions", "at", "limit", "where", "json", "bytes"} {
		if !strings.Contains(err.Error(), name+": ") {
			t.Errorf("%s is not in %v", name, err)
		}
	}
}

// interrupted is told what a search finds. first is called before the first
// matches; with stop, being told of progress for that time ends the search.
type interrupted struct {
	found
	first func()
	stop  int
}

func (f *interrupted) Matches(m []browse.Message) error {
	if len(f.all) == 0 && f.first != nil {
		f.first()
	}
	return f.found.Matches(m)
}

func (f *interrupted) Progress(p browse.Progress) error {
	_ = f.found.Progress(p)
	if f.stop > 0 && len(f.progress) >= f.stop {
		return errors.New("that is enough")
	}
	return nil
}

// Where a search was when it last told its progress another goes on, whether it
// was stopped there or its broker went away: nothing is missed.
func TestAnySearchCanBeGoneOnFromWhereItWas(t *testing.T) {
	const each = 400
	b, cfg, cluster := browser(t, "t:2")
	b.TellAlways()
	noise := rand.NewChaCha8([32]byte{})
	for p := range int32(2) {
		records := make([]kafka.Record, each)
		for i := range records {
			records[i].Value = make([]byte, 32<<10) // together much more than a reader has at hand
			_, _ = noise.Read(records[i].Value)
		}
		ship(t, cfg, "t", p, records...)
	}
	for _, order := range []string{"newest", "oldest"} {
		for _, ending := range []string{"stopped", "failed"} {
			got, at, rounds := map[string]bool{}, "", 0
			for ; ; rounds++ {
				var f interrupted
				switch {
				case ending == "stopped":
					f.stop = 2 + rounds // later each time: it comes to an end
				case rounds == 0:
					f.first = cluster.Stop
				}
				end, err := b.Search(t.Context(), query(t, "t", "order", order, "limit", fmt.Sprint(2*each), "seconds", "600", "at", at), &f)
				for _, place := range f.places() {
					got[place] = true
				}
				if err == nil {
					if end.Progress.Share != 1 || end.Progress.Next != "" {
						t.Errorf("%s, %s: it ends with %+v", order, ending, end)
					}
					break
				}
				if len(f.progress) == 0 || rounds > 2*each {
					t.Fatalf("%s, %s: round %d told %d times of %d matches: %v", order, ending, rounds, len(f.progress), len(f.all), err)
				}
				at = f.progress[len(f.progress)-1].Next
				if ending == "failed" {
					cluster.Start()
				}
			}
			if len(got) != 2*each || rounds == 0 {
				t.Errorf("%s, %s: %d found, interrupted %d times", order, ending, len(got), rounds)
			}
		}
	}
}

// Who goes away frees everything: the goroutine check of this package's tests
// would find a client that stays.
func TestASearchEndsWhenNobodyLooks(t *testing.T) {
	b, cfg, _ := browser(t, "t")
	ship(t, cfg, "t", -1, slices.Repeat([]kafka.Record{{Value: bytes.Repeat([]byte("x"), 1000)}}, 20_000)...)
	if _, err := b.Search(t.Context(), query(t, "t", "order", "oldest", "limit", "1"), &found{}); err != nil { // connects the browser's client, which stays
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	gone := errors.New("gone")
	if _, err := b.Search(t.Context(), query(t, "t", "order", "oldest", "limit", "1000"), &found{stop: gone}); !errors.Is(err, gone) {
		t.Errorf("it ended with %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := b.Search(ctx, query(t, "t", "order", "oldest", "where", `text == "nobody"`), &found{}); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	cancel()
	for range 6000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func TestATopicThatDoesNotExistIsNamed(t *testing.T) {
	b, _, _ := browser(t, "orders")
	if _, err := b.Search(t.Context(), query(t, "order"), &found{}); !errors.Is(err, admin.ErrNoTopic) || !strings.Contains(err.Error(), "orders") {
		t.Errorf("%v", err)
	}
}

// held is a search whose reader takes its time.
type held struct {
	found
	began, end chan struct{}
}

func (h *held) Matches([]browse.Message) error {
	h.began <- struct{}{}
	<-h.end
	return nil
}

// So many searches at once and no more; an export is one of them.
func TestSearchesAreBounded(t *testing.T) {
	b, cfg, _ := browser(t, "t:1")
	ship(t, cfg, "t", 0, kafka.Record{Value: []byte("x")})
	q := query(t, "t", "from", "start")
	h := &held{began: make(chan struct{}), end: make(chan struct{})}
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			if _, err := b.Search(t.Context(), q, h); err != nil {
				t.Error(err)
			}
		})
		<-h.began
	}
	if _, err := b.Search(t.Context(), q, &found{}); !errors.Is(err, browse.ErrBusy) {
		t.Errorf("another search: %v", err)
	}
	if _, err := b.Export(t.Context(), q, func(kafka.Record) error { return nil }); !errors.Is(err, browse.ErrBusy) {
		t.Errorf("an export beside them: %v", err)
	}
	close(h.end)
	all.Wait()
	if _, err := b.Export(t.Context(), q, func(kafka.Record) error { return nil }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A search of any order opens a connection to find the cluster and one to each leader, however many pieces it reads. The
// browser's own client, whose connections stay open, lists the offsets.
func TestASearchKeepsItsConnections(t *testing.T) {
	const brokers = 3
	cluster := kafkatest.NewOf(t, brokers, "t:3")
	b, cfg := browserOf(t, cluster)
	for p := range int32(brokers) {
		if err := cluster.Fake().MoveTopicPartition("t", p, p); err != nil {
			t.Fatal(err)
		}
		ship(t, cfg, "t", p, slices.Repeat([]kafka.Record{{Value: bytes.Repeat([]byte("x"), 4000)}}, 5000)...) // several pieces
	}
	if _, err := b.Search(t.Context(), query(t, "t", "order", "oldest"), &found{}); err != nil { // connects the browser's client
		t.Fatal(err)
	}
	for _, order := range []string{"oldest", "newest"} {
		before := cluster.Accepted()
		end, err := b.Search(t.Context(), query(t, "t", "order", order, "where", `text == "nobody"`, "bytes", fmt.Sprint(1<<30)), &found{})
		if err != nil || end.Progress.Records != 15_000 {
			t.Errorf("%s: %+v, %v", order, end, err)
		}
		if n := cluster.Accepted() - before; n > brokers+2 { // one more if the library asks another broker for the cluster
			t.Errorf("%s: %d connections to %d brokers", order, n, brokers)
		}
	}
}

// BenchmarkSearch reads 198 MB from three brokers for a text that no message contains.
func BenchmarkSearch(b *testing.B) {
	const brokers, each = 3, 66_000
	cluster := kafkatest.NewOf(b, brokers, "t:3")
	browser, cfg := browserOf(b, cluster)
	for p := range int32(brokers) {
		if err := cluster.Fake().MoveTopicPartition("t", p, p); err != nil {
			b.Fatal(err)
		}
		ship(b, cfg, "t", p, slices.Repeat([]kafka.Record{{Value: bytes.Repeat([]byte("x"), 1000)}}, each)...)
	}
	for _, order := range []string{"oldest", "newest"} {
		b.Run(order, func(b *testing.B) {
			b.SetBytes(brokers * each * 1000)
			for b.Loop() {
				end, err := browser.Search(b.Context(), query(b, "t", "order", order, "text", "nobody", "bytes", fmt.Sprint(1<<30)), &found{})
				if err != nil || end.Progress.Records != brokers*each {
					b.Fatalf("%+v, %v", end, err)
				}
			}
		})
	}
}
