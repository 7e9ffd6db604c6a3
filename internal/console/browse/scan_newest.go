package browse

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/records"
)

// Sizes of the pieces that a search with Newest reads. The first piece shows the size of records.
const (
	firstPiece = 1       // records
	smallPiece = 1 << 20 // bytes, if all records match
	pieceGrow  = 4
	largePiece = 8 << 20  // bytes of one partition, if records are searched
	emptyGrow  = 64       // factor after a piece without records
	pieceMost  = 10 << 20 // records
)

// side is one partition of a search with Newest.
type side struct {
	piece   int64     // size of the next piece in offsets
	bytes   int64     // bytes read from the latest piece
	records int64     // records read from the latest piece
	floor   time.Time // timestamp of the oldest record that was read; zero: none
	floored bool
	pending []Message // matches not yet passed on, latest last
	forgot  int64     // offset after the latest match that was dropped because it was too old
}

// forget drops the oldest n pending matches.
func (d *side) forget(n int) {
	if n > 0 {
		d.forgot = max(d.forgot, d.pending[n-1].Offset+1)
		d.pending = append([]Message(nil), d.pending[n:]...)
	}
}

// backward reads pieces from the ends of the partitions. It passes on a match when no partition can hold a later
// record: the match must be later than the oldest record read from each partition that is not complete.
func (s *scan) backward(ctx context.Context) error {
	s.sides = map[int32]*side{}
	for p := range s.open {
		s.sides[p] = &side{piece: firstPiece}
	}
	for {
		window := map[int32]records.Span{}
		for p, span := range s.open {
			if span.From < span.To {
				window[p] = records.Span{From: max(span.From, span.To-s.sides[p].piece), To: span.To}
			}
		}
		err := s.piece(ctx, window)
		for p, w := range window {
			if err == nil {
				s.open[p] = records.Span{From: s.open[p].From, To: w.From}
			}
		}
		if gave := s.settle(err == nil); gave != nil || err != nil {
			return cmp.Or(gave, err)
		}
		if left(s.open) == 0 {
			return nil
		}
		for p := range window {
			s.sides[p].grow(s.q.matcher.All())
		}
	}
}

// piece reads some spans and inserts the matches before the pending matches.
func (s *scan) piece(ctx context.Context, window map[int32]records.Span) error {
	if len(window) == 0 {
		return nil
	}
	found := map[int32]*side{}
	seen := map[int32]bool{}
	spec := s.spec(window, func(r kafka.Record) error {
		d := s.sides[r.Partition]
		d.bytes += int64(sizeOf(r))
		d.records++
		if !seen[r.Partition] {
			seen[r.Partition] = true
			d.floor, d.floored = r.Timestamp, true
		}
		shown := s.veil.over(r)
		wanted, err := s.wants(ctx, shown)
		if err != nil {
			return err
		}
		if wanted {
			if found[r.Partition] == nil {
				found[r.Partition] = &side{}
			}
			f := found[r.Partition]
			if f.pending = append(f.pending, s.message(shown)); len(f.pending) > 2*s.q.Limit {
				f.forget(len(f.pending) - s.q.Limit) // enough later matches exist
			}
		}
		return nil
	})
	spec.Progress = func(int64, int64) { _ = s.tick() }
	err := records.Consume(ctx, s.b.reading(), spec, nothing)
	for p, f := range found {
		d := s.sides[p]
		d.pending, d.forgot = append(f.pending, d.pending...), max(d.forgot, f.forgot)
	}
	return err
}

// grow sets the size of the next piece.
func (d *side) grow(all bool) {
	if d.records == 0 {
		d.piece = min(d.piece*emptyGrow, pieceMost)
		return
	}
	most := int64(largePiece)
	if all {
		most = smallPiece
	}
	size := max(1, d.bytes/d.records)
	d.piece = min(max(1, most/size), max(64, d.piece*pieceGrow*pieceGrow), pieceMost)
	d.bytes, d.records = 0, 0
}

// settle passes on, latest first, each match that no later record can precede. If the piece is incomplete, it passes on
// all matches, so that they are not lost.
func (s *scan) settle(complete bool) error {
	floor, sure := s.floor()
	for {
		var best *side
		for _, d := range s.sides {
			if n := len(d.pending); n > 0 && (best == nil || newer(d.pending[n-1], best.pending[len(best.pending)-1])) {
				best = d
			}
		}
		if best == nil {
			return nil
		}
		m := best.pending[len(best.pending)-1]
		if complete && (!sure || m.Timestamp.Before(floor)) {
			s.trim()
			return nil
		}
		best.pending = best.pending[:len(best.pending)-1]
		if err := s.give(m); err != nil {
			return err
		}
	}
}

// floor returns the time after which all records were read.
func (s *scan) floor() (at time.Time, sure bool) {
	for p, d := range s.sides {
		if span := s.open[p]; span.From == span.To {
			continue
		}
		if !d.floored {
			return at, false
		}
		if d.floor.After(at) {
			at = d.floor
		}
	}
	return at, true
}

func newer(a, b Message) bool {
	if c := a.Timestamp.Compare(b.Timestamp); c != 0 {
		return c > 0
	}
	return a.Partition > b.Partition
}

// trim drops matches that cannot be within the limit any more.
func (s *scan) trim() {
	left, all := s.q.Limit-int(s.found), 0
	for _, d := range s.sides {
		all += len(d.pending)
	}
	if all <= 2*left {
		return
	}
	var times []time.Time
	for _, d := range s.sides {
		for _, m := range d.pending {
			times = append(times, m.Timestamp)
		}
	}
	slices.SortFunc(times, func(a, b time.Time) int { return b.Compare(a) })
	oldest := times[left-1]
	for _, d := range s.sides {
		i := slices.IndexFunc(d.pending, func(m Message) bool { return !m.Timestamp.Before(oldest) })
		if i < 0 {
			i = len(d.pending)
		}
		d.forget(i)
	}
}
