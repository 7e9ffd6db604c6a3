package records

import (
	"maps"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
)

// Latest puts what is wanted of a topic in order, the newest first by timestamp across partitions, from the batches of a
// Reader with Newest. A value is given when no partition can hold a newer record: it must not be older than the oldest record
// read of each partition that remains. It holds about twice the limit of values. Values are of type T, so that callers
// need not keep whole records.
type Latest[T any] struct {
	limit int // values still to give
	sides map[int32]*side[T]
}

// side is one partition.
type side[T any] struct {
	fresh, pending []value[T] // of the piece that is being read, and of the pieces before it; the newest last
	begun          bool       // the piece has a record
	floor          time.Time  // timestamp of the oldest record that was read
	floored        bool
	forgot         int64 // offset after the latest value that was dropped because it was too old
}

type value[T any] struct {
	partition int32
	offset    int64
	at        time.Time
	v         T
}

// NewLatest gives at most limit values.
func NewLatest[T any](limit int) *Latest[T] {
	return &Latest[T]{limit: limit, sides: map[int32]*side[T]{}}
}

func (l *Latest[T]) side(partition int32) *side[T] {
	s := l.sides[partition]
	if s == nil {
		s = &side[T]{}
		l.sides[partition] = s
	}
	return s
}

// Saw notes a record that was read, wanted or not.
func (l *Latest[T]) Saw(r kafka.Record) {
	s := l.side(r.Partition)
	if !s.begun {
		s.begun, s.floor, s.floored = true, r.Timestamp, true
	}
}

// Add adds the value of a record that is wanted.
func (l *Latest[T]) Add(r kafka.Record, v T) {
	s := l.side(r.Partition)
	s.fresh = append(s.fresh, value[T]{r.Partition, r.Offset, r.Timestamp, v})
	if n := len(s.fresh); n > 2*l.limit { // enough newer values exist
		s.fresh = s.forget(s.fresh, n-l.limit)
	}
}

// forget drops the oldest n values.
func (s *side[T]) forget(list []value[T], n int) []value[T] {
	if n <= 0 {
		return list
	}
	s.forgot = max(s.forgot, list[n-1].offset+1)
	return append([]value[T](nil), list[n:]...)
}

// Settle gives, newest first, the values that no newer record can precede. rest is what remains to be read after a
// complete piece. If the piece is not complete, it gives all values so that they are not lost. An error of give ends it
// and is returned; after limit values it gives no more.
func (l *Latest[T]) Settle(rest map[int32]Span, complete bool, give func(T) error) error {
	for _, s := range l.sides {
		s.pending, s.fresh, s.begun = append(s.fresh, s.pending...), nil, false
	}
	floor, sure := l.floor(rest)
	for l.limit > 0 {
		var best *side[T]
		for _, s := range l.sides {
			if n := len(s.pending); n > 0 && (best == nil || newer(s.pending[n-1], best.pending[len(best.pending)-1])) {
				best = s
			}
		}
		if best == nil {
			return nil
		}
		v := best.pending[len(best.pending)-1]
		if complete && (!sure || v.at.Before(floor)) {
			l.trim()
			return nil
		}
		best.pending = best.pending[:len(best.pending)-1]
		l.limit--
		if err := give(v.v); err != nil {
			return err
		}
	}
	return nil
}

// floor returns the time after which all records were read.
func (l *Latest[T]) floor(rest map[int32]Span) (at time.Time, sure bool) {
	for p, span := range rest {
		if span.From >= span.To {
			continue
		}
		s := l.side(p)
		if !s.floored {
			return at, false
		}
		if s.floor.After(at) {
			at = s.floor
		}
	}
	return at, true
}

func newer[T any](a, b value[T]) bool {
	if c := a.at.Compare(b.at); c != 0 {
		return c > 0
	}
	return a.partition > b.partition
}

// trim drops values that cannot be within the limit any more.
func (l *Latest[T]) trim() {
	var times []time.Time
	for _, s := range l.sides {
		for _, v := range s.pending {
			times = append(times, v.at)
		}
	}
	if len(times) <= 2*l.limit {
		return
	}
	slices.SortFunc(times, func(a, b time.Time) int { return b.Compare(a) })
	oldest := times[l.limit-1]
	for _, s := range l.sides {
		i := slices.IndexFunc(s.pending, func(v value[T]) bool { return !v.at.Before(oldest) })
		if i < 0 {
			i = len(s.pending)
		}
		s.pending = s.forget(s.pending, i)
	}
}

// Rest returns what another search has to read to give the values that this one did not: rest, and the offsets from the
// last value that was not given on.
func (l *Latest[T]) Rest(rest map[int32]Span) map[int32]Span {
	out := maps.Clone(rest)
	for p, s := range l.sides {
		span := out[p]
		span.To = max(span.To, s.forgot)
		if n := len(s.pending); n > 0 {
			span.To = max(span.To, s.pending[n-1].offset+1)
		}
		out[p] = span
	}
	return out
}
