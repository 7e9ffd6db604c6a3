package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Position is a position in every partition of a topic. The zero value is the oldest record.
type Position struct {
	kind posKind
	n    int64 // an offset, a number of records, or milliseconds since 1970
}

type posKind int

const (
	posStart posKind = iota
	posEnd
	posOffset   // n
	posFromEnd  // n records before the end
	posAtMillis // the first record with that timestamp or later
	posShift    // n records from the current position
)

// Start is the position of the oldest record.
func Start() Position { return Position{} }

// End is the position of the next record.
func End() Position { return Position{kind: posEnd} }

// At is the position of the first record whose timestamp is t or later.
func At(t time.Time) Position { return Position{kind: posAtMillis, n: t.UnixMilli()} }

// ErrPosition means that a text is not a position.
var ErrPosition = errors.New("is no position: start, end, an offset, -N from the end, or @TIME (2026-01-02, 2026-01-02T15:04:05Z, @-1h) is expected")

// ParsePosition parses a position. The forms are known from other tools:
//
//	start beginning earliest oldest     the oldest record
//	end latest newest                   where the next record will be
//	42                                  offset 42
//	-5                                  five records before the end, of each partition
//	@2026-01-02T15:04:05Z @15:04 @-90m  the first record of that time or later
//	s@1700000000000 e@1700000000000     the same in milliseconds since 1970
//	shift:-3 shift:+3                   records from a group's committed offset
//
// Times without an offset are local. Relative times count from now.
func ParsePosition(text string, now time.Time) (Position, error) {
	bad := func() (Position, error) { return Position{}, fmt.Errorf("%q %w", text, ErrPosition) }
	switch strings.ToLower(text) {
	case "start", "beginning", "earliest", "oldest", "first":
		return Start(), nil
	case "end", "latest", "newest", "last":
		return End(), nil
	}
	if shift, ok := strings.CutPrefix(text, "shift:"); ok {
		n, err := strconv.ParseInt(shift, 10, 64)
		if err != nil {
			return bad()
		}
		return Position{posShift, n}, nil
	}
	for _, prefix := range []string{"s@", "e@"} {
		if ms, ok := strings.CutPrefix(text, prefix); ok {
			n, err := strconv.ParseInt(ms, 10, 64)
			if err != nil || n < 0 {
				return bad()
			}
			return Position{posAtMillis, n}, nil
		}
	}
	if at, ok := strings.CutPrefix(text, "@"); ok {
		t, ok := parseTime(at, now)
		if !ok || t.UnixMilli() < 0 {
			return bad()
		}
		return At(t), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || text[0] == '+':
		return bad()
	case text[0] == '-':
		return Position{posFromEnd, -n}, nil
	}
	return Position{posOffset, n}, nil
}

// parseTime parses a time of day, a date, both, seconds or milliseconds since 1970, or a duration before now.
func parseTime(text string, now time.Time) (time.Time, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		if n >= 100_000_000_000 { // seconds until the year 5138; milliseconds since 1973
			return time.UnixMilli(n), true
		}
		return time.Unix(n, 0), true
	}
	if back, ok := strings.CutPrefix(text, "-"); ok {
		if days, isDays := strings.CutSuffix(back, "d"); isDays {
			n, err := strconv.ParseFloat(days, 64)
			return now.Add(-time.Duration(n * 24 * float64(time.Hour))), err == nil && n >= 0 && n < 100_000
		}
		d, err := time.ParseDuration(back)
		return now.Add(-d), err == nil && d >= 0
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", readable.TimeLayout, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, true
		}
	}
	for _, layout := range []string{time.TimeOnly, "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), 0, now.Location()), true
		}
	}
	return time.Time{}, false
}

// Relative reports whether the position counts from a group's committed offset.
func (p Position) Relative() bool { return p.kind == posShift }

func (p Position) String() string {
	switch p.kind {
	case posStart:
		return "start"
	case posEnd:
		return "end"
	case posFromEnd:
		return fmt.Sprintf("%d before the end", p.n)
	case posAtMillis:
		return "@" + time.UnixMilli(p.n).UTC().Format(time.RFC3339Nano)
	case posShift:
		return fmt.Sprintf("shift:%+d", p.n)
	default:
		return fmt.Sprintf("offset %d", p.n)
	}
}

// placedAt is a position in one partition.
type placedAt struct {
	start, end int64 // range of offsets in the partition
	at         int64 // within that range
}

// in returns the offset of p in a partition that holds [start, end). timed is the offset of its first record at the
// wanted time (negative: none), current the current offset.
func (p Position) in(start, end, timed, current int64) int64 {
	at := start
	switch p.kind {
	case posEnd:
		at = end
	case posOffset:
		at = p.n
	case posFromEnd:
		at = end - min(p.n, end)
	case posAtMillis:
		if at = timed; timed < 0 {
			at = end
		}
	case posShift:
		at = current + p.n
	}
	return min(max(at, start), end)
}

// placeAll places a position in the named partitions of a topic, or in all.
func placeAll(ctx context.Context, a *kafka.Admin, name string, partitions []int32, p Position) (map[kafka.TopicPartition]placedAt, error) {
	d, err := PartitionsOf(ctx, a, name, partitions)
	if err != nil {
		return nil, err
	}
	return placeIn(ctx, a, kadm.TopicDetails{name: d}, p, nil)
}

// PartitionsOf describes a topic, reduced to the named partitions; all if none are named. Each has a leader. It returns
// ErrNoTopic if the topic does not exist.
func PartitionsOf(ctx context.Context, a *kafka.Admin, name string, partitions []int32) (kadm.TopicDetail, error) {
	topics, err := existing(ctx, a, name)
	if err != nil {
		return kadm.TopicDetail{}, err
	}
	d := topics[name]
	for _, p := range partitions {
		if _, ok := d.Partitions[p]; !ok {
			return d, fmt.Errorf("%s: there is no partition %d, it has %d", name, p, len(d.Partitions))
		}
	}
	for p, detail := range d.Partitions {
		switch {
		case len(partitions) > 0 && !slices.Contains(partitions, p):
			delete(d.Partitions, p)
		case detail.Leader < 0:
			return d, fmt.Errorf("%s: partition %d has no leader", name, p)
		}
	}
	return d, nil
}

// placeIn places a position in the partitions of listed topics. current holds the current offsets, for relative
// positions.
func placeIn(ctx context.Context, a *kafka.Admin, topics kadm.TopicDetails, p Position, current map[kafka.TopicPartition]int64) (map[kafka.TopicPartition]placedAt, error) {
	all, err := spans(ctx, a.Client(), topics)
	if err != nil {
		return nil, err
	}
	var timed map[kafka.TopicPartition]int64
	if p.kind == posAtMillis {
		if timed, err = offsetsAt(ctx, a.Client(), topics, p.n, false); err != nil {
			return nil, fmt.Errorf("find %s: %w", p, err)
		}
	}
	out := map[kafka.TopicPartition]placedAt{}
	for name, d := range topics {
		for id := range d.Partitions {
			tp := kafka.TopicPartition{Topic: name, Partition: id}
			s, found := all[tp]
			if !found {
				return nil, fmt.Errorf("%s: partition %d does not tell its offsets", name, id)
			}
			now := s.Start
			if c, ok := current[tp]; ok {
				now = c
			}
			t, found := timed[tp]
			if !found {
				t = -1
			}
			out[tp] = placedAt{s.Start, s.End, p.in(s.Start, s.End, t, now)}
		}
	}
	return out, nil
}

// Extent is what one partition holds for readers.
type Extent struct {
	Leader     int32
	Start, End int64   // from Start up to, but without, End
	Written    int64   // end of the log; beyond End while a transaction is open, for readers of committed records
	At         []int64 // one offset for each position of Locate, between Start and End
}

// Locate returns the extents of the partitions of a topic, with the places of positions in them. With committed, they
// end where the oldest open transaction begins. It sends all its requests at once.
func Locate(ctx context.Context, a *kafka.Admin, d kadm.TopicDetail, committed bool, positions ...Position) (map[int32]Extent, error) {
	type list struct {
		at        int64
		committed bool
		what      string
		offsets   map[kafka.TopicPartition]int64
		err       error
	}
	lists := []*list{
		{at: atStart, what: "list start offsets"}, {at: atEnd, committed: committed, what: "list end offsets"}, {at: atEnd, what: "list end offsets"},
	}
	timed := map[int]*list{}
	for i, p := range positions {
		if p.kind == posAtMillis {
			timed[i] = &list{at: p.n, committed: committed, what: "find " + p.String()}
			lists = append(lists, timed[i])
		}
	}
	topics := kadm.TopicDetails{d.Topic: d}
	var all sync.WaitGroup
	for _, l := range lists {
		all.Go(func() { l.offsets, l.err = offsetsAt(ctx, a.Client(), topics, l.at, l.committed) })
	}
	all.Wait()
	for _, l := range lists {
		if l.err != nil {
			return nil, fmt.Errorf("%s: %w", l.what, l.err)
		}
	}
	out := map[int32]Extent{}
	for id, detail := range d.Partitions {
		tp := kafka.TopicPartition{Topic: d.Topic, Partition: id}
		start, found := lists[0].offsets[tp]
		end, ends := lists[1].offsets[tp]
		if !found || !ends {
			return nil, fmt.Errorf("%s: partition %d does not tell its offsets", d.Topic, id)
		}
		e := Extent{Leader: detail.Leader, Start: start, End: end, Written: end}
		if written, found := lists[2].offsets[tp]; found {
			e.Written = max(written, end)
		}
		for i, p := range positions {
			at := int64(-1)
			if l := timed[i]; l != nil {
				if answered, found := l.offsets[tp]; found {
					at = answered
				}
			}
			e.At = append(e.At, p.in(start, end, at, start))
		}
		out[id] = e
	}
	return out, nil
}
