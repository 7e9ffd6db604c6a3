package crash

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// checker compares the broker with the ledger.
type checker struct {
	load *load
	book *ledger

	seen   map[place]identity // every record that was ever read
	next   map[place]int64    // offset 0: where reading goes on
	begins map[place]int64    // offset 0: highest log start seen
	spots  map[identity]place // of writers whose records may be there once only
	order  map[string]int     // writer and partition: highest number read
}

func newChecker(l *load) *checker {
	return &checker{load: l, book: l.book, seen: map[place]identity{}, next: map[place]int64{}, begins: map[place]int64{}, spots: map[identity]place{}, order: map[string]int{}}
}

// once lists the writers that a broker lets write each record once, in order.
func once(writer string) bool { return writer != "writer-2" }

// check looks at all that was promised so far. whole reads from the beginning
// of the logs, else from a little before where the last check ended.
func (c *checker) check(whole bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	promised := c.book.ends()
	deleted := c.book.deletedGroups() // before the question: the load deletes groups while the broker answers
	start, commit := c.book.get(c.book.starts, place{topic: "deleted"}), c.book.get(c.book.commits, place{topic: "many"})
	cl := c.load.client()
	defer cl.Close()
	adm := kadm.NewClient(cl)
	names := make([]string, 0, len(topics))
	for name := range topics {
		names = append(names, name)
	}
	first, err := adm.ListStartOffsets(ctx, names...)
	if err == nil {
		err = first.Error()
	}
	if err != nil {
		return fmt.Errorf("ask for the beginnings: %w", err)
	}
	last, err := adm.ListEndOffsets(ctx, names...)
	if err == nil {
		err = last.Error()
	}
	if err != nil {
		return fmt.Errorf("ask for the ends: %w", err)
	}
	for at, end := range promised {
		got, _ := last.Lookup(at.topic, at.part)
		if got.Offset < end {
			return fmt.Errorf("%s/%d ends at %d, acknowledged were %d", at.topic, at.part, got.Offset, end)
		}
	}
	got, _ := first.Lookup("deleted", 0)
	if asked := c.book.get(c.book.asked, place{topic: "deleted"}); got.Offset < start || got.Offset > asked {
		return fmt.Errorf("deleted/0 begins at %d, acknowledged was %d, asked for at most %d", got.Offset, start, asked)
	}
	fetched, err := adm.FetchOffsets(ctx, "crash-group")
	if err != nil {
		return fmt.Errorf("ask for commits: %w", err)
	}
	if o, _ := fetched.Lookup("many", 0); o.At < commit || o.At > c.book.get(c.book.tried, place{topic: "many"}) {
		return fmt.Errorf("the group is at %d, acknowledged was %d", o.At, commit)
	}
	groups, err := adm.ListGroups(ctx)
	if err != nil {
		return fmt.Errorf("ask for groups: %w", err)
	}
	for name := range groups {
		if deleted[name] {
			return fmt.Errorf("group %s is there again, its deletion was acknowledged", name)
		}
	}
	for topic, parts := range topics {
		for part := range parts {
			at := place{topic: topic, part: part}
			f, _ := first.Lookup(topic, part)
			if f.Offset < c.begins[at] || (f.Offset > 0 && topic != "deleted" && topic != "large") {
				return fmt.Errorf("%s/%d begins at %d, before it was %d", topic, part, f.Offset, c.begins[at])
			}
			c.begins[at] = f.Offset
		}
	}
	if whole {
		clear(c.next)
	}
	spans := map[place]span{}
	for topic, parts := range topics {
		for part := range parts {
			f, _ := first.Lookup(topic, part)
			l, _ := last.Lookup(topic, part)
			at := place{topic: topic, part: part}
			if from := max(f.Offset, c.next[at]-again); from < l.Offset {
				spans[at] = span{from, l.Offset}
			}
		}
	}
	return c.read(ctx, adm, spans, whole)
}

// span is what is read of a partition.
type span struct{ from, end int64 }

// again is how many offsets are read a second time by every check.
const again = 50

// read reads partitions and compares them with what was acknowledged and with
// what was read before.
func (c *checker) read(ctx context.Context, adm *kadm.Client, spans map[place]span, whole bool) error {
	if len(spans) == 0 {
		return nil
	}
	offsets, at := map[string]map[int32]kgo.Offset{}, map[place]int64{}
	for p, s := range spans {
		if offsets[p.topic] == nil {
			offsets[p.topic] = map[int32]kgo.Offset{}
		}
		offsets[p.topic][p.part], at[p] = kgo.NewOffset().At(s.from), s.from
	}
	cl := c.load.client(kgo.ConsumePartitions(offsets), kgo.FetchMaxWait(50*time.Millisecond), kgo.KeepControlRecords())
	defer cl.Close()
	order := maps.Clone(c.order)
	if whole {
		clear(order)
	}
	found, left := map[place]bool{}, len(spans)
	for left > 0 {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("read: stopped at %v of %v: %w", at, spans, ctx.Err())
		}
		var err error
		fetches.EachRecord(func(r *kgo.Record) {
			p := place{topic: r.Topic, part: r.Partition}
			end := spans[p].end
			if err != nil || at[p] >= end {
				return
			}
			if r.Offset < at[p] {
				err = fmt.Errorf("%s/%d: offset %d after %d", r.Topic, r.Partition, r.Offset, at[p]-1)
				return
			}
			if at[p] = r.Offset + 1; at[p] >= end {
				left--
			}
			if r.Offset < end {
				found[place{r.Topic, r.Partition, r.Offset}] = true
				if !r.Attrs.IsControl() {
					err = c.record(r, order)
				}
			}
		})
		if err != nil {
			return err
		}
	}
	now, err := adm.ListStartOffsets(ctx, "deleted", "large") // deletions and retention go on while this reads
	if err != nil {
		return fmt.Errorf("ask for the beginnings: %w", err)
	}
	for p, s := range spans {
		if begin, ok := now.Lookup(p.topic, p.part); ok {
			s.from = max(s.from, begin.Offset)
		}
		if err := c.compare(p, s, found); err != nil {
			return err
		}
		c.next[p] = s.end
	}
	for k, v := range order {
		c.order[k] = max(c.order[k], v)
	}
	return nil
}

// compare looks for what should have been found.
func (c *checker) compare(p place, s span, found map[place]bool) error {
	for p.offset = s.from; p.offset < s.end; p.offset++ {
		if found[p] {
			continue
		}
		if id, ok := c.book.known(p); ok {
			return fmt.Errorf("%v of %v was acknowledged and is gone", p, id)
		}
		if id, ok := c.seen[p]; ok {
			return fmt.Errorf("%v of %v was read before and is gone", p, id)
		}
	}
	return nil
}

// record checks one record.
func (c *checker) record(r *kgo.Record, order map[string]int) error {
	p := place{r.Topic, r.Partition, r.Offset}
	id, err := identityOf(r.Value)
	if err != nil {
		return fmt.Errorf("%v: %w", p, err)
	}
	if was, known := c.book.known(p); known && was != id {
		return fmt.Errorf("%v holds %v, acknowledged was %v", p, id, was)
	}
	if was, known := c.seen[p]; known {
		if was != id {
			return fmt.Errorf("%v holds %v, read before was %v", p, id, was)
		}
		return nil
	}
	c.seen[p] = id
	if !once(id.writer) {
		return nil
	}
	if was, twice := c.spots[id]; twice {
		return fmt.Errorf("%v is at %v and at %v", id, was, p)
	}
	c.spots[id] = p
	stream := fmt.Sprintf("%s in %s/%d", id.writer, r.Topic, r.Partition)
	if highest, known := order[stream]; known && id.seq < highest {
		return fmt.Errorf("%s: number %d comes behind %d", stream, id.seq, highest)
	}
	order[stream] = id.seq
	return nil
}

func (l *ledger) known(p place) (identity, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id, ok := l.acked[p]
	return id, ok
}

// transactions reads what a reader of committed records sees and compares it
// with how the transactions ended.
func (c *checker) transactions() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	counts := map[string]int{}
	for part := range topics["transactions"] {
		cl := c.load.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"transactions": {part: kgo.NewOffset().AtStart()}}),
			kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(50*time.Millisecond), kgo.KeepControlRecords())
		end, err := kadm.NewClient(cl).ListEndOffsets(ctx, "transactions")
		if err != nil {
			cl.Close()
			return err
		}
		l, _ := end.Lookup("transactions", part)
		for at := int64(0); at < l.Offset; {
			fetches := cl.PollFetches(ctx)
			if ctx.Err() != nil {
				cl.Close()
				return fmt.Errorf("read transactions/%d as committed: stopped at %d of %d", part, at, l.Offset)
			}
			fetches.EachRecord(func(r *kgo.Record) {
				at = r.Offset + 1
				if r.Attrs.IsControl() {
					return
				}
				if id, err := identityOf(r.Value); err == nil {
					counts[id.writer]++
				}
			})
		}
		cl.Close()
	}
	c.book.mu.Lock()
	defer c.book.mu.Unlock()
	for writer, how := range c.book.transactions {
		switch got, want := counts[writer], c.book.sizes[writer]; {
		case how == committed && got != want:
			return fmt.Errorf("%s was committed with %d records, %d are there", writer, want, got)
		case how == aborted && got != 0:
			return fmt.Errorf("%s was aborted, %d of its records are there", writer, got)
		case how == unknown && got != 0 && got != want:
			return fmt.Errorf("%s is there in part: %d of %d", writer, got, want)
		}
	}
	return nil
}
