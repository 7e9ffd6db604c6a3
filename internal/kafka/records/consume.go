package records

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
)

// ConsumeSpec defines what Consume reads from a topic.
type ConsumeSpec struct {
	Topic      string
	Partitions []int32 // empty: all

	Limit     int             // the last Limit records; with Beginning or From the first Limit records. 0: no existing records, or all of them with Beginning or From
	Beginning bool            // start with the oldest record
	From      *admin.Position // start at this position in each partition
	Until     *admin.Position // end at this position in each partition; nil: at the end of the log when reading begins
	Follow    bool            // continue with records that are written later, until ctx ends

	Spans map[int32]Span // read only these offsets of these partitions, instead of Partitions, From and Until; each named partition must exist

	Where    func(kafka.Record) (bool, error) // filter of records; an error ends reading; nil: all
	Each     func(kafka.Record) error         // called with each record before Where; an error ends reading; may be nil
	Read     func(records int64)              // called from time to time with the number of records read; may be nil
	Progress func(passed, offsets int64)      // called from time to time with the progress between beginning and end; may be nil
	Say      func(text string)                // called with notes for the user; may be nil
	Trouble  func(error)                      // called during retries with the reason why no records arrive, and with nil when they arrive again; may be nil
	Sample   *Sample                          // with Follow: sample a topic that is too fast; nil: read everything
	Frugal   bool                             // fetch little ahead: saves memory at the cost of a tenth of the speed

	Fetched func(time.Duration) // called after every fetch; may be nil

	id [16]byte // of the topic when reading began

	partitions int // partition count when reading began, if all are read

	leapt func(partition int32, to int64) // called with the offsets that a sample left out
}

// Span is a range of offsets of a partition: from From up to, but without, To.
type Span struct{ From, To int64 }

// Spans returns the offsets that spec would read now.
func Spans(ctx context.Context, cfg kafka.Config, spec ConsumeSpec) (map[int32]Span, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	ranges, _, err := rangesOf(ctx, cfg, spec)
	if err != nil {
		return nil, fmt.Errorf("consume %w", err)
	}
	out := map[int32]Span{}
	for tp, e := range ranges {
		out[tp.Partition] = Span{e.from, max(e.from, e.to)}
	}
	return out, nil
}

// maxLast limits how many records are held to find the last records of all partitions.
const maxLast = 100_000

func (s ConsumeSpec) check() error {
	switch {
	case s.Limit < 0:
		return fmt.Errorf("consume %s: %d records are less than none", s.Topic, s.Limit)
	case s.Limit > maxLast && s.last():
		return fmt.Errorf("consume %s: the last %d records are more than %d; name a position to start from", s.Topic, s.Limit, maxLast)
	case s.From != nil && s.From.Relative(), s.Until != nil && s.Until.Relative():
		return fmt.Errorf("consume %s: shift goes by where a group stands, and consume has none", s.Topic)
	case s.Follow && s.Until != nil:
		return fmt.Errorf("consume %s: it is to follow and to end", s.Topic)
	}
	return nil
}

// last reports whether the latest existing records are wanted.
func (s ConsumeSpec) last() bool { return !s.Beginning && s.From == nil && s.Spans == nil }

// wants reports whether a record passes the filter; an error ends reading.
func (s ConsumeSpec) wants(r kafka.Record) (bool, error) {
	if s.Each != nil {
		if err := s.Each(r); err != nil {
			return false, err
		}
	}
	return s.Where(r)
}

func (s ConsumeSpec) say(format string, args ...any) {
	if s.Say != nil {
		s.Say(fmt.Sprintf(format, args...))
	}
}

// Consume calls emit with each record. The last records come oldest first across partitions by timestamp, and in offset
// order within a partition. From a position, records come as they are read, in offset order within a partition, and
// none are held.
//
// Without Follow it ends when it has read what was in the log when it began. It never waits for later records, even if
// offsets hold no records. Without Follow it also ends if a broker does not answer within the request timeout; with
// Follow it keeps retrying. An error of emit ends Consume and is returned.
func Consume(ctx context.Context, cfg kafka.Config, spec ConsumeSpec, emit func(kafka.Record) error) error {
	if err := spec.check(); err != nil {
		return err
	}
	if spec.Where == nil {
		spec.Where = func(kafka.Record) (bool, error) { return true, nil }
	}
	ask := spec
	if spec.Spans != nil {
		ask.Partitions = slices.Sorted(maps.Keys(spec.Spans))
	}
	ranges, id, err := rangesOf(ctx, cfg, ask)
	if err != nil {
		return fmt.Errorf("consume %w", err)
	}
	spec.id, spec.partitions = id, len(ranges)
	if spec.last() {
		err = consumeLast(ctx, cfg, spec, ranges, emit)
		spec.Limit = 0
	} else {
		err = consumeFrom(ctx, cfg, &spec, ranges, emit)
	}
	if err != nil || !spec.Follow {
		return wrapConsume(spec, err)
	}
	return wrapConsume(spec, follow(ctx, cfg, spec, ranges, emit))
}

func wrapConsume(spec ConsumeSpec, err error) error {
	if err == nil || errors.Is(err, errEnough) {
		return nil
	}
	return fmt.Errorf("consume %s: %w", spec.Topic, err)
}

// errEnough ends reading when the limit is reached.
var errEnough = errors.New("enough")

// extent is a range of offsets of a partition: from From up to, but without, To.
type extent struct {
	start    int64 // first offset of the partition
	from, to int64
	leader   int32 // when reading began
}

func rangesOf(ctx context.Context, cfg kafka.Config, spec ConsumeSpec) (out map[kafka.TopicPartition]extent, id [16]byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.RequestTimeout)
	defer cancel()
	defer func() {
		if err != nil && ctx.Err() != nil { // the client was closed during the request; the error carries no information
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}()
	a, err := kafka.NewAdminWithin(ctx, cfg)
	if err != nil {
		return nil, id, err
	}
	defer a.Close()
	d, err := admin.PartitionsOf(ctx, a, spec.Topic, spec.Partitions)
	if err != nil {
		return nil, id, err
	}
	positions := []admin.Position{admin.Start(), admin.End()}
	if spec.From != nil {
		positions[0] = *spec.From
	}
	if spec.Until != nil {
		positions[1] = *spec.Until
	}
	located, err := admin.Locate(ctx, a, d, positions...)
	if err != nil {
		return nil, id, err
	}
	out = map[kafka.TopicPartition]extent{}
	for p, l := range located {
		e := extent{l.Start, l.At[0], l.At[1], l.Leader}
		if s, named := spec.Spans[p]; named {
			e.from, e.to = max(e.start, s.From), min(e.to, s.To)
		}
		out[kafka.TopicPartition{Topic: spec.Topic, Partition: p}] = e
	}
	heldBack(spec, located)
	return out, d.ID, nil
}

// heldBack reports where an open transaction hides later records from readers.
func heldBack(spec ConsumeSpec, located map[int32]admin.Extent) {
	parts, held := 0, int64(0)
	for _, e := range located {
		if n := e.Written - e.End; n > 0 {
			parts, held = parts+1, held+n
		}
	}
	for _, p := range slices.Sorted(maps.Keys(located)) {
		if e := located[p]; e.Written > e.End {
			spec.say("partition %d: an open transaction begins at offset %d; %d offsets in %d of the partitions are held back until it ends", p, e.End, held, parts)
			return
		}
	}
}

// consumeFrom hands over records in the order in which they are read.
func consumeFrom(ctx context.Context, cfg kafka.Config, spec *ConsumeSpec, ranges map[kafka.TopicPartition]extent, emit func(kafka.Record) error) error {
	left := spec.Limit
	err := read(ctx, cfg, *spec, ranges, false, func(r kafka.Record) error {
		if want, err := spec.wants(r); err != nil || !want {
			return err
		}
		if err := emit(r); err != nil {
			return err
		}
		if left--; left == 0 {
			return errEnough
		}
		return nil
	})
	spec.Limit = max(left, 0)
	return err
}

// consumeLast searches for the last records in windows at the ends of the partitions. Each window is four times as long
// as the one before, because offsets need not hold records, and not all records pass the filter.
func consumeLast(ctx context.Context, cfg kafka.Config, spec ConsumeSpec, ranges map[kafka.TopicPartition]extent, emit func(kafka.Record) error) error {
	if spec.Limit == 0 {
		return nil
	}
	for size := int64(spec.Limit); ; size = 4*size + 1000 {
		window, whole := map[kafka.TopicPartition]extent{}, true
		for tp, e := range ranges {
			from := max(e.start, e.to-size)
			whole = whole && from == e.start
			window[tp] = extent{e.start, from, e.to, e.leader}
		}
		last := map[int32]*ring{}
		for tp := range window {
			last[tp.Partition] = &ring{limit: spec.Limit}
		}
		if err := read(ctx, cfg, spec, window, false, func(r kafka.Record) error {
			q := last[r.Partition]
			if q.floor.IsZero() {
				q.floor = r.Timestamp
			}
			want, err := spec.wants(r)
			if want {
				q.put(r)
			}
			return err
		}); err != nil {
			return err
		}
		parts := map[int32][]kafka.Record{}
		for id, q := range last {
			parts[id] = q.ordered()
		}
		all := merge(parts)
		all = all[max(0, len(all)-spec.Limit):]
		if !whole && !settled(window, last, all, spec.Limit) {
			continue
		}
		for _, r := range all {
			if err := emit(r); err != nil {
				return err
			}
		}
		return nil
	}
}

// settled reports whether no older record of any partition can be among the last records. For each partition, one of
// these is true: it gave as many records as wanted, it has no more, or its window begins before the oldest record
// found.
func settled(window map[kafka.TopicPartition]extent, last map[int32]*ring, found []kafka.Record, limit int) bool {
	for tp, e := range window {
		q := last[tp.Partition]
		enough := len(q.all) >= limit || e.from == e.start
		older := len(found) >= limit && !q.floor.IsZero() && !q.floor.After(found[0].Timestamp)
		if !enough && !older {
			return false
		}
	}
	return true
}

// ring keeps the last records of one partition.
type ring struct {
	limit int
	next  int
	all   []kafka.Record
	floor time.Time // timestamp of the first record read
}

func (q *ring) put(r kafka.Record) {
	if len(q.all) < q.limit {
		q.all = append(q.all, r)
		return
	}
	q.all[q.next] = r
	q.next = (q.next + 1) % q.limit
}

func (q *ring) ordered() []kafka.Record {
	return append(slices.Clone(q.all[q.next:]), q.all[:q.next]...)
}

// follow hands over the records written after the ranges, until ctx ends. It waits for a topic that was deleted; it
// reads a topic that was created again from its beginning.
func follow(ctx context.Context, cfg kafka.Config, spec ConsumeSpec, ranges map[kafka.TopicPartition]extent, emit func(kafka.Record) error) error {
	next := map[kafka.TopicPartition]extent{}
	for tp, e := range ranges {
		next[tp] = extent{e.start, e.to, endless, e.leader}
	}
	left := spec.Limit
	take := func(r kafka.Record) error {
		next[kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}] = extent{from: r.Offset + 1, to: endless}
		if want, err := spec.wants(r); err != nil || !want {
			return err
		}
		if err := emit(r); err != nil {
			return err
		}
		if left--; left == 0 {
			return errEnough
		}
		return nil
	}
	spec.leapt = func(p int32, to int64) {
		next[kafka.TopicPartition{Topic: spec.Topic, Partition: p}] = extent{from: to, to: endless}
	}
	wait := backoff.Policy{Base: 200 * time.Millisecond, Max: 5 * time.Second, Factor: 2}
	said := ""
	for attempt := 0; ; attempt++ {
		err := read(ctx, cfg, spec, next, true, take)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		known := errors.Is(err, errGone) || errors.Is(err, errAway) || errors.Is(err, errGrown) || errors.Is(err, admin.ErrNoTopic) || errors.Is(err, kafka.ErrSilent)
		if !known {
			return err
		}
		if !errors.Is(err, errGrown) {
			if text := err.Error(); text != said {
				spec.say("%v; waiting for it", err)
				said = text
			}
			if spec.Trouble != nil {
				spec.Trouble(err)
			}
			if !wait.Wait(ctx, attempt) {
				return context.Cause(ctx)
			}
		}
		if errors.Is(err, kafka.ErrSilent) {
			continue
		}
		again, id, failed := rangesOf(ctx, cfg, ConsumeSpec{Topic: spec.Topic, Partitions: spec.Partitions})
		if failed != nil {
			continue // checked again when reading fails
		}
		if id != spec.id {
			clear(next)
		}
		spec.id, spec.partitions = id, len(again)
		for tp, e := range again {
			if _, read := next[tp]; !read {
				next[tp] = extent{e.start, e.start, endless, e.leader}
			}
		}
	}
}

// merge orders the records of several partitions by timestamp, but keeps the order within each partition.
func merge(parts map[int32][]kafka.Record) []kafka.Record {
	var queues [][]kafka.Record
	total := 0
	for _, id := range slices.Sorted(maps.Keys(parts)) {
		queues = append(queues, parts[id])
		total += len(parts[id])
	}
	out := make([]kafka.Record, 0, total)
	for len(out) < total {
		best := -1
		for i, q := range queues {
			if len(q) > 0 && (best < 0 || q[0].Timestamp.Before(queues[best][0].Timestamp)) {
				best = i
			}
		}
		out = append(out, queues[best][0])
		queues[best] = queues[best][1:]
	}
	return out
}
