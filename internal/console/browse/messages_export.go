package browse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/records"
)

// Picks are messages by partition and offset.
type Picks map[int32][]int64

// MaxPicks is the highest number of messages in a selection, the same as in a search.
const MaxPicks = MaxLimit

// ParsePicks parses PARTITION:OFFSET, separated by commas.
func ParsePicks(text string) (Picks, error) {
	out, n := Picks{}, 0
	for part := range strings.SplitSeq(text, ",") {
		one, err := ParseAt(part)
		if err != nil {
			return nil, fmt.Errorf("%w: pick: %w", ErrQuery, err)
		}
		for p, o := range one {
			out[p] = append(out[p], o)
			n++
		}
	}
	if n > MaxPicks {
		return nil, fmt.Errorf("%w: pick: %d messages are more than %d", ErrQuery, n, MaxPicks)
	}
	for p := range out {
		slices.Sort(out[p])
		out[p] = slices.Compact(out[p])
	}
	return out, nil
}

// pickGap is the largest gap between two picks that is read, not skipped: to skip it costs a request.
const pickGap = 500

// Picked passes the whole picked records to emit, masked, in the order of each partition. It omits records that no
// longer exist.
func (b *Browser) Picked(ctx context.Context, topic string, picks Picks, emit func(kafka.Record) error) error {
	v := b.veil(topic)
	return b.picked(ctx, topic, picks, func(r kafka.Record) error { return emit(v.over(r)) })
}

func (b *Browser) picked(ctx context.Context, topic string, picks Picks, emit func(kafka.Record) error) error {
	if len(picks) == 0 {
		return nil
	}
	r, err := records.Open(ctx, b.reading(), records.Query{Topic: topic, Partitions: slices.Sorted(maps.Keys(picks)), Offsets: b.cfg.Admin})
	if err != nil {
		return b.explained(err)
	}
	defer r.Close()
	rest := maps.Clone(picks)
	for len(rest) > 0 {
		spans, want := map[int32]records.Span{}, map[int32][]int64{}
		for p, list := range rest {
			n := 1
			for n < len(list) && list[n]-list[n-1] <= pickGap {
				n++
			}
			spans[p], want[p] = records.Span{From: list[0], To: list[n-1] + 1}, list[:n]
			if rest[p] = list[n:]; n == len(list) {
				delete(rest, p)
			}
		}
		r.Seek(spans)
		if err := b.wanted(ctx, r, want, emit); err != nil {
			return err
		}
	}
	return nil
}

// wanted passes the records at some offsets of what a reader reads to emit.
func (b *Browser) wanted(ctx context.Context, r *records.Reader, offsets map[int32][]int64, emit func(kafka.Record) error) error {
	for {
		batch, err := r.Next(ctx)
		if errors.Is(err, records.ErrEnd) {
			return nil
		}
		if err != nil {
			return b.explained(err)
		}
		for _, rec := range batch.Records {
			if _, picked := slices.BinarySearch(offsets[rec.Partition], rec.Offset); !picked {
				continue
			}
			if err := emit(rec); err != nil {
				return err
			}
		}
	}
}

// MaxExport is the highest number of records in an export by query.
const MaxExport = 1_000_000

// Export passes every whole record that a query finds to emit, oldest first. For a query with Newest, it first finds
// the latest records, then passes them in the order of their partitions. It returns the reason why it ended.
func (b *Browser) Export(ctx context.Context, q Query, emit func(kafka.Record) error) (End, error) {
	if !q.Newest {
		return b.export(ctx, q, func(_, shown kafka.Record) error { return emit(shown) })
	}
	v := b.veil(q.Topic)
	return b.export(ctx, q, func(bare, _ kafka.Record) error { return emit(v.over(bare)) })
}

// export passes records unmasked and masked. If q.Newest is set, both are unmasked.
func (b *Browser) export(ctx context.Context, q Query, emit func(bare, shown kafka.Record) error) (End, error) {
	if q.Newest {
		list := &places{}
		end, err := b.Search(ctx, q, list)
		if err != nil {
			return end, err
		}
		return end, b.picked(ctx, q.Topic, list.picks(), func(r kafka.Record) error { return emit(r, r) })
	}
	leave, err := b.enter()
	if err != nil {
		return End{}, err
	}
	defer leave()
	s := &scan{b: b, q: q, out: &places{}, whole: emit, veil: b.veil(q.Topic)}
	reason, err := s.run(ctx)
	return End{Progress: s.progress(), Reason: reason}, err
}

// places stores the positions of matches.
type places struct{ at Picks }

func (p *places) Matches(list []Message) error {
	if p.at == nil {
		p.at = Picks{}
	}
	for _, m := range list {
		p.at[m.Partition] = append(p.at[m.Partition], m.Offset)
	}
	return nil
}

func (p *places) Progress(Progress) error { return nil }

func (p *places) picks() Picks {
	for _, list := range p.at {
		slices.Sort(list)
	}
	return p.at
}
