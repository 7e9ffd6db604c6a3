package browse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/filter"
	"github.com/smartlb/smartlb/internal/kafka/ops"
)

// Query says which messages of a topic are looked for. Make one with
// ParseQuery.
type Query struct {
	Topic      string
	Partitions []int32         // none: all
	From       *ops.Position   // nil: the oldest
	Until      *ops.Position   // nil: the end as it is when the search begins
	Newest     bool            // the newest first
	At         map[int32]int64 // where an earlier search of the same query ended
	Limit      int
	Bytes      int64
	Time       time.Duration
	Preview    int // bytes of key and value that a message carries

	matcher *filter.Matcher
}

// Progress is how far a search is.
type Progress struct {
	Records   int64   `json:"records"` // looked at
	Bytes     int64   `json:"bytes"`   // of their keys, values and headers
	Matches   int64   `json:"matches"`
	Share     float64 `json:"share"` // of the offsets to look at, 0..1
	Rate      float64 `json:"rate"`  // records a second since it began
	ElapsedMs int64   `json:"elapsedMs"`
	Next      string  `json:"next,omitempty"` // at= of a search that goes on from here; empty: there is nothing left
}

// Reasons why a search ended.
const (
	EndOfLog = "end"   // everything was looked at
	EndLimit = "limit" // the limit of matches is reached
	EndBytes = "bytes" // the budget of bytes is used up
	EndTime  = "time"  // the budget of time is
)

// End is how a search ended.
type End struct {
	Progress     Progress `json:"progress"`
	Reason       string   `json:"reason"`
	Limit        int      `json:"limit"`
	BudgetBytes  int64    `json:"budgetBytes"`
	BudgetMs     int64    `json:"budgetMs"`
	Undecided    int64    `json:"undecided"`              // records of which the expression was neither true nor false
	UndecidedWhy string   `json:"undecidedWhy,omitempty"` // of the first of them
	Notes        []string `json:"notes"`
}

// Found is told what a search finds. When it is told of progress it has been
// given every match before Progress.Next, so whoever stops, or loses the
// connection, goes on from there. An error of either ends the search.
type Found interface {
	Matches([]Message) error
	Progress(Progress) error
}

// Errors that end a scan from within.
var (
	errBytes = errors.New("the budget of bytes is used up")
	errTime  = errors.New("the budget of time is used up")
	errLimit = errors.New("the limit of matches is reached")
)

// maxSearches bounds what searches take of memory and of the broker together.
// Those who ask are bounded before, each and in all (api.Limits); this is the
// last resort, and what live streams and redrives look for comes on top of it.
const maxSearches = 12

// ErrBusy means that as many searches are under way as may be.
var ErrBusy = fmt.Errorf("%d searches are already in progress", maxSearches)

// Search looks through a topic and hands over what matches as it comes: from
// the oldest message on as they are read, or the newest first across
// partitions by timestamp. It ends at the limit, with its budget or with the
// log, never waits for more, and joins no consumer group. A nil error comes
// with a full End; before any other, what was found and how far it came are
// told.
func (b *Browser) Search(ctx context.Context, q Query, out Found) (End, error) {
	leave, err := b.enter()
	if err != nil {
		return End{}, err
	}
	defer leave()
	s := &scan{b: b, q: q, out: out, notes: []string{}, veil: b.veil(q.Topic)}
	reason, err := s.run(ctx)
	if err != nil {
		if s.records > 0 && ctx.Err() == nil {
			_ = s.tell()
		}
		return End{}, err
	}
	if err := s.flush(); err != nil {
		return End{}, err
	}
	end := End{Progress: s.progress(), Reason: reason, Limit: q.Limit, BudgetBytes: q.Bytes, BudgetMs: q.Time.Milliseconds(), Notes: s.notes}
	end.Undecided, end.UndecidedWhy = q.matcher.Undecided()
	end.Notes = append(end.Notes, q.matcher.Notes()...)
	return end, nil
}

// enter counts a search until leave is called; ErrBusy where there are as many
// as may be.
func (b *Browser) enter() (leave func(), err error) {
	if b.searches.Add(1) > maxSearches {
		b.searches.Add(-1)
		return nil, ErrBusy
	}
	return func() { b.searches.Add(-1) }, nil
}

// run looks through the topic until the log, the limit or the budget ends it,
// and says which.
func (s *scan) run(ctx context.Context) (reason string, err error) {
	b, q := s.b, s.q
	s.began = time.Now()
	s.flushed, s.told = s.began, s.began
	ctx, cancel := context.WithTimeoutCause(ctx, q.Time, errTime)
	defer cancel()
	spans, err := ops.Spans(ctx, b.reading(), ops.ConsumeSpec{Topic: q.Topic, Partitions: q.Partitions, Beginning: q.From == nil, From: q.From, Until: q.Until})
	if err != nil {
		return "", b.explained(err)
	}
	s.begin(spans)
	if q.Newest {
		err = s.backward(ctx)
	} else {
		err = s.forward(ctx)
	}
	switch {
	case err == nil:
		return EndOfLog, nil
	case errors.Is(err, errLimit):
		return EndLimit, nil
	case errors.Is(err, errBytes):
		return EndBytes, nil
	case errors.Is(err, errTime), errors.Is(context.Cause(ctx), errTime):
		return EndTime, nil
	}
	return "", b.explained(err)
}

// scan is one search under way.
type scan struct {
	b     *Browser
	q     Query
	out   Found
	began time.Time
	notes []string
	whole func(bare, shown kafka.Record) error // takes what matches whole, in place of out
	veil  veil

	open    map[int32]ops.Span // what is still to be looked at
	sides   map[int32]*side    // of a search for the newest
	offsets int64              // in all
	records int64
	bytes   int64
	large   int64 // bytes of large values since garbage was collected
	found   int64
	ready   []Message // found and not handed over
	size    int       // of those
	flushed time.Time
	told    time.Time
}

func (s *scan) begin(spans map[int32]ops.Span) {
	for p, span := range spans {
		s.offsets += span.To - span.From
		at, resumed := s.q.At[p]
		switch {
		case !resumed:
		case s.q.Newest:
			span.To = min(span.To, max(at, span.From))
		default:
			span.From = max(span.From, min(at, span.To))
		}
		spans[p] = span
	}
	s.open = spans
}

// rest is what another search has to look at: what is open, and from the last
// message on that was found and not yet given.
func (s *scan) rest() map[int32]ops.Span {
	rest := maps.Clone(s.open)
	for p, d := range s.sides {
		span := rest[p]
		span.To = max(span.To, d.forgot)
		if n := len(d.pending); n > 0 {
			span.To = max(span.To, d.pending[n-1].Offset+1)
		}
		rest[p] = span
	}
	return rest
}

func left(spans map[int32]ops.Span) (n int64) {
	for _, span := range spans {
		n += span.To - span.From
	}
	return n
}

// next says where another search goes on, empty where nothing is left.
func (s *scan) next(rest map[int32]ops.Span) string {
	if left(rest) == 0 {
		return ""
	}
	var parts []string
	for _, p := range slices.Sorted(maps.Keys(rest)) {
		at := rest[p].From
		if s.q.Newest {
			at = rest[p].To
		}
		parts = append(parts, fmt.Sprintf("%d:%d", p, at))
	}
	return strings.Join(parts, ",")
}

func (s *scan) progress() Progress {
	rest := s.rest()
	p := Progress{Records: s.records, Bytes: s.bytes, Matches: s.found, Share: 1, ElapsedMs: time.Since(s.began).Milliseconds(), Next: s.next(rest)}
	if s.offsets > 0 {
		p.Share = float64(s.offsets-left(rest)) / float64(s.offsets)
	}
	if sec := time.Since(s.began).Seconds(); sec > 0 {
		p.Rate = float64(s.records) / sec
	}
	return p
}

// How often a page hears of a search, and how much at once.
const (
	tellEvery  = 250 * time.Millisecond
	flushEvery = 100 * time.Millisecond
	flushCount = 100
	flushBytes = 256 << 10
	clockEvery = 128 // records between two looks at the clock
)

// Values of many megabytes become garbage at once, each with its compressed
// form, and the collector waits until the heap has doubled: a hundred megabytes
// too many for a console. Collecting by hand after so many bytes of them costs
// some milliseconds; a search through values of 10 MB peaked at 187 MiB without
// it and at 115 with it.
const (
	largeValue   = 1 << 20
	largeGarbage = 8 << 20
)

// each counts a record against the budgets, before anything else is done with
// it.
func (s *scan) each(r kafka.Record) error {
	s.records++
	size := int64(sizeOf(r))
	s.bytes += size
	if size > largeValue {
		if s.large += size; s.large > largeGarbage {
			s.large = 0
			runtime.GC()
		}
	}
	if s.bytes > s.q.Bytes && s.records > 1 {
		return errBytes
	}
	if s.records%clockEvery == 0 {
		return s.tick()
	}
	return nil
}

func sizeOf(r kafka.Record) int {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

// tick hands over what waits, when it is time.
func (s *scan) tick() error {
	now := time.Now()
	if now.Sub(s.began) > s.q.Time {
		return errTime
	}
	if len(s.ready) > 0 && now.Sub(s.flushed) > flushEvery {
		if err := s.flush(); err != nil {
			return err
		}
	}
	if now.Sub(s.told) >= s.b.tellEvery {
		return s.tell()
	}
	return nil
}

// tell says how far it is, after all that was found until there.
func (s *scan) tell() error {
	s.told = time.Now()
	if err := s.flush(); err != nil {
		return err
	}
	return s.out.Progress(s.progress())
}

func (s *scan) flush() error {
	s.flushed = time.Now()
	if len(s.ready) == 0 {
		return nil
	}
	err := s.out.Matches(s.ready)
	s.ready, s.size = nil, 0
	return err
}

// give hands a match over; the limit ends the scan.
func (s *scan) give(m Message) error {
	s.found++
	s.ready = append(s.ready, m)
	s.size += len(m.Topic) + textSize(m)
	if len(s.ready) >= flushCount || s.size > flushBytes {
		if err := s.flush(); err != nil {
			return err
		}
	}
	if s.found >= int64(s.q.Limit) {
		return errLimit
	}
	return nil
}

func textSize(m Message) int { return min(m.KeySize, MaxPreview) + min(m.ValueSize, MaxPreview) }

func (s *scan) message(shown kafka.Record) Message { return glimpse(shown, s.q.Preview, s.veil) }

// wants reports whether a record as it may be shown matches: what is hidden
// cannot be found out by searching for it. The error is that of ctx: such a
// record was not looked at.
func (s *scan) wants(ctx context.Context, shown kafka.Record) (bool, error) {
	if s.q.matcher.All() {
		return true, nil
	}
	began := time.Now()
	yes, err := s.q.matcher.Match(ctx, filterRecord(shown))
	pace(ctx, time.Since(began))
	return yes, err
}

func filterRecord(r kafka.Record) filter.Record {
	out := filter.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}
	if len(r.Headers) > 0 {
		out.Headers = make([]filter.Header, len(r.Headers))
		for i, h := range r.Headers {
			out.Headers[i] = filter.Header(h)
		}
	}
	return out
}

// spec is a reading of some spans that counts and tells. read is given every
// record that is within the budget.
func (s *scan) spec(spans map[int32]ops.Span, read func(kafka.Record) error) ops.ConsumeSpec {
	return ops.ConsumeSpec{
		Topic: s.q.Topic, Spans: spans, Frugal: true,
		Each: func(r kafka.Record) error {
			if err := s.each(r); err != nil {
				return err
			}
			return read(r)
		},
		Where: func(kafka.Record) (bool, error) { return false, nil }, // Each has it already
		Say: func(text string) {
			if len(s.notes) < maxNotes && !slices.Contains(s.notes, text) {
				s.notes = append(s.notes, text)
			}
		},
	}
}

const maxNotes = 20

func nothing(kafka.Record) error { return nil }

// forward reads each partition from its beginning.
func (s *scan) forward(ctx context.Context) error {
	if left(s.open) == 0 {
		return nil
	}
	spec := s.spec(maps.Clone(s.open), func(r kafka.Record) error {
		shown := s.veil.over(r)
		wanted, err := s.wants(ctx, shown)
		if err != nil {
			return err
		}
		span := s.open[r.Partition]
		span.From = min(r.Offset+1, span.To)
		s.open[r.Partition] = span
		if !wanted {
			return nil
		}
		if s.whole != nil {
			if err := s.whole(r, shown); err != nil {
				return err
			}
			if s.found++; s.found >= int64(s.q.Limit) {
				return errLimit
			}
			return nil
		}
		return s.give(s.message(shown))
	})
	spec.Progress = func(int64, int64) { _ = s.tick() } // what it says comes again from each
	if err := ops.Consume(ctx, s.b.reading(), spec, nothing); err != nil {
		return err
	}
	for p, span := range s.open { // the last offsets may hold no records
		s.open[p] = ops.Span{From: span.To, To: span.To}
	}
	return nil
}

// ParseAt reads what Progress.Next says.
func ParseAt(text string) (map[int32]int64, error) {
	if text == "" {
		return nil, nil
	}
	out := map[int32]int64{}
	for part := range strings.SplitSeq(text, ",") {
		p, at, ok := strings.Cut(part, ":")
		partition, err := strconv.ParseInt(p, 10, 32)
		offset, err2 := strconv.ParseInt(at, 10, 64)
		if !ok || err != nil || err2 != nil || partition < 0 || offset < 0 {
			return nil, fmt.Errorf("%q is not PARTITION:OFFSET", part)
		}
		out[int32(partition)] = offset
	}
	return out, nil
}
