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
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	promised := c.book.ends()
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
	for topic, parts := range topics {
		for part := range parts {
			f, _ := first.Lookup(topic, part)
			l, _ := last.Lookup(topic, part)
			if err := c.read(ctx, topic, part, f.Offset, l.Offset, whole); err != nil {
				return err
			}
		}
	}
	return nil
}

// again is how many offsets are read a second time by every check.
const again = 50

// read reads one partition and compares it with what was acknowledged and with
// what was read before.
func (c *checker) read(ctx context.Context, topic string, part int32, first, end int64, whole bool) error {
	at := place{topic: topic, part: part}
	from := max(first, c.next[at]-again)
	if from >= end {
		return nil
	}
	cl := c.load.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {part: kgo.NewOffset().At(from)}}),
		kgo.FetchMaxWait(50*time.Millisecond), kgo.KeepControlRecords())
	defer cl.Close()
	order := maps.Clone(c.order)
	if whole {
		clear(order)
	}
	found := map[int64]bool{}
	for at := from; at < end; {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("read %s/%d: stopped at %d of %d: %w", topic, part, at, end, ctx.Err())
		}
		var err error
		fetches.EachRecord(func(r *kgo.Record) {
			if err != nil || r.Offset >= end {
				at = max(at, r.Offset+1)
				return
			}
			if r.Offset < at {
				err = fmt.Errorf("%s/%d: offset %d after %d", topic, part, r.Offset, at-1)
				return
			}
			at = r.Offset + 1
			found[r.Offset] = true
			if !r.Attrs.IsControl() {
				err = c.record(r, order)
			}
		})
		if err != nil {
			return err
		}
	}
	if topic == "deleted" || topic == "large" { // deletions and retention go on while this reads
		now, err := kadm.NewClient(cl).ListStartOffsets(ctx, topic)
		if err != nil {
			return fmt.Errorf("ask for the beginning of %s: %w", topic, err)
		}
		begin, _ := now.Lookup(topic, part)
		from = max(from, begin.Offset)
	}
	for offset := from; offset < end; offset++ {
		p := place{topic, part, offset}
		if id, ok := c.book.known(p); ok && !found[offset] {
			return fmt.Errorf("%v of %v was acknowledged and is gone", p, id)
		}
		if id, ok := c.seen[p]; ok && !found[offset] {
			return fmt.Errorf("%v of %v was read before and is gone", p, id)
		}
	}
	c.next[at] = end
	for k, v := range order {
		c.order[k] = max(c.order[k], v)
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
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
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
