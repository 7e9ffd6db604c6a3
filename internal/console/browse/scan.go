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
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/filter"
	"github.com/smartlb/smartlb/internal/kafka/records"
)

// Query selects messages of a topic. Create it with ParseQuery.
type Query struct {
	Topic      string
	Partitions []int32         // empty: all
	From       *admin.Position // nil: the oldest message
	Until      *admin.Position // nil: the end of the log when the search begins
	Newest     bool            // latest first
	At         map[int32]int64 // where an earlier search for the same query ended
	Limit      int
	Bytes      int64
	Time       time.Duration
	Preview    int // bytes of key and of value in each result

	matcher *filter.Matcher
}

// Progress is the progress of a search.
type Progress struct {
	Records   int64   `json:"records"` // records read
	Bytes     int64   `json:"bytes"`   // bytes of their keys, values and headers
	Matches   int64   `json:"matches"`
	Share     float64 `json:"share"` // share of the offsets that were read, 0..1
	Rate      float64 `json:"rate"`  // records per second since the start
	ElapsedMs int64   `json:"elapsedMs"`
	Next      string  `json:"next,omitempty"` // at= of a search that continues from here; empty: nothing remains
}

// Reasons why a search ended.
const (
	EndOfLog = "end"   // the search read everything
	EndLimit = "limit" // the search found the requested number of messages
	EndBytes = "bytes" // the budget of bytes is used up
	EndTime  = "time"  // the budget of time is used up
)

// End is the result of a search that ended.
type End struct {
	Progress     Progress `json:"progress"`
	Reason       string   `json:"reason"`
	Limit        int      `json:"limit"`
	BudgetBytes  int64    `json:"budgetBytes"`
	BudgetMs     int64    `json:"budgetMs"`
	Undecided    int64    `json:"undecided"`              // records for which the expression was neither true nor false
	UndecidedWhy string   `json:"undecidedWhy,omitempty"` // the reason for the first such record
	Notes        []string `json:"notes"`
}

// Found receives the results of a search. Before a call of Progress, it has received every match before Progress.Next.
// So a caller that stops or loses the connection can continue from there. An error of either method ends the search.
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

// maxSearches limits the memory and the broker's work that all searches use. api.Limits has already limited the
// clients, each and in total; this is the last limit. It also counts the searches of live streams and redrives.
const maxSearches = 12

// ErrBusy means that maxSearches searches are in progress.
var ErrBusy = fmt.Errorf("%d searches are already in progress", maxSearches)

// Search searches a topic and passes each match to out as it finds it: oldest first, or with Newest the latest first by
// timestamp across partitions. It ends at the limit, at the budget or at the end of the log. It does not wait for new
// messages and joins no consumer group. With a nil error, End is complete. Before it returns another error, it passes
// the matches so far and the progress to out.
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

// enter counts a search until leave is called. It returns ErrBusy at maxSearches.
func (b *Browser) enter() (leave func(), err error) {
	if b.searches.Add(1) > maxSearches {
		b.searches.Add(-1)
		return nil, ErrBusy
	}
	return func() { b.searches.Add(-1) }, nil
}

// run searches until the log, the limit or the budget ends the search. It returns which.
func (s *scan) run(ctx context.Context) (reason string, err error) {
	b, q := s.b, s.q
	s.began = time.Now()
	s.flushed, s.reportedAt = s.began, s.began
	ctx, cancel := context.WithTimeoutCause(ctx, q.Time, errTime)
	defer cancel()
	read := records.Query{Topic: q.Topic, Partitions: q.Partitions, From: q.From, Until: q.Until, Newest: q.Newest, Frugal: true, Offsets: b.cfg.Admin}
	if q.matcher.All() {
		read.Piece = records.SmallPiece
	}
	if s.reader, err = records.Open(ctx, b.reading(), read); err != nil {
		return "", b.explained(err)
	}
	defer s.reader.Close()
	s.begin(s.reader.Spans())
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

// scan is one search in progress.
type scan struct {
	b     *Browser
	q     Query
	out   Found
	began time.Time
	notes []string
	whole func(bare, shown kafka.Record) error // receives whole matches instead of out
	veil  veil

	reader     *records.Reader
	open       map[int32]records.Span   // remaining offsets
	latest     *records.Latest[Message] // set if the query has Newest
	offsets    int64                    // total to read
	records    int64
	bytes      int64
	large      int64 // bytes of large values since the latest garbage collection
	found      int64
	ready      []Message // matches not yet passed on
	size       int       // bytes of ready
	flushed    time.Time
	reportedAt time.Time
}

func (s *scan) begin(spans map[int32]records.Span) {
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
	if len(s.q.At) > 0 {
		s.reader.Seek(spans)
	}
}

// rest returns the offsets that another search has to read: the remaining offsets, and those from the last pending
// match on.
func (s *scan) rest() map[int32]records.Span {
	if s.latest != nil {
		return s.latest.Rest(s.open)
	}
	return maps.Clone(s.open)
}

func left(spans map[int32]records.Span) (n int64) {
	for _, span := range spans {
		n += span.To - span.From
	}
	return n
}

// next returns where another search continues; empty: nothing remains.
func (s *scan) next(rest map[int32]records.Span) string {
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

// Intervals and sizes of the events of a search.
const (
	tellEvery  = 250 * time.Millisecond
	flushEvery = 100 * time.Millisecond
	flushCount = 100
	flushBytes = 256 << 10
	clockEvery = 128 // records between two reads of the clock
)

// Values of many megabytes become garbage immediately, each with its compressed form. The collector waits until the
// heap has doubled, which costs a console 100 MB. An explicit collection after largeGarbage bytes of such values takes
// some milliseconds. A search through values of 10 MB peaked at 187 MiB without it and at 115 MiB with it.
const (
	largeValue   = 1 << 20
	largeGarbage = 8 << 20
)

// each counts a record against the budgets before any other work on it.
func (s *scan) each(r kafka.Record) error {
	s.records++
	size := int64(r.Size())
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

// tick passes on pending matches and progress if they are due.
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
	if now.Sub(s.reportedAt) >= s.b.tellEvery {
		return s.tell()
	}
	return nil
}

// tell passes on all matches so far, then the progress.
func (s *scan) tell() error {
	s.reportedAt = time.Now()
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

// give passes on a match. At the limit it ends the scan with errLimit.
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

func (s *scan) message(shown kafka.Record) Message { return previewOf(shown, s.q.Preview, s.veil) }

// wants reports whether a masked record matches, so that a search cannot reveal hidden content. Its error is that of
// ctx: then the record was not checked.
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

const maxNotes = 20

// read returns the next records, and keeps the notes that came with them.
func (s *scan) read(ctx context.Context) (records.Batch, error) {
	b, err := s.reader.Next(ctx)
	for _, text := range b.Notes {
		if len(s.notes) < maxNotes && !slices.Contains(s.notes, text) {
			s.notes = append(s.notes, text)
		}
	}
	return b, err
}

// forward reads each partition from its first remaining offset.
func (s *scan) forward(ctx context.Context) error {
	for {
		b, err := s.read(ctx)
		if err != nil && !errors.Is(err, records.ErrEnd) {
			return err
		}
		for _, r := range b.Records {
			if err := s.find(ctx, r); err != nil {
				return err
			}
		}
		s.open = s.reader.Rest() // also behind offsets that hold no records
		if err != nil {
			return nil
		}
		if err := s.tick(); err != nil {
			return err
		}
	}
}

// find passes on a record if it matches.
func (s *scan) find(ctx context.Context, r kafka.Record) error {
	if err := s.each(r); err != nil {
		return err
	}
	shown := s.veil.over(r)
	wanted, err := s.wants(ctx, shown)
	if err != nil {
		return err
	}
	span := s.open[r.Partition]
	span.From = min(r.Offset+1, span.To)
	s.open[r.Partition] = span
	switch {
	case !wanted:
		return nil
	case s.whole == nil:
		return s.give(s.message(shown))
	}
	if err := s.whole(r, shown); err != nil {
		return err
	}
	if s.found++; s.found >= int64(s.q.Limit) {
		return errLimit
	}
	return nil
}

// backward reads pieces from the ends of the partitions.
func (s *scan) backward(ctx context.Context) error {
	s.latest = records.NewLatest[Message](s.q.Limit)
	for {
		b, err := s.read(ctx)
		end := errors.Is(err, records.ErrEnd)
		if err == nil {
			err = s.collect(ctx, b.Records)
		}
		complete := err == nil && b.Piece || end
		if complete {
			s.open = s.reader.Rest()
		}
		if complete || err != nil {
			if gave := s.latest.Settle(s.open, complete, s.give); gave != nil {
				return gave
			}
		}
		if end {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// collect adds the records of a piece that match.
func (s *scan) collect(ctx context.Context, list []kafka.Record) error {
	for _, r := range list {
		if err := s.each(r); err != nil {
			return err
		}
		s.latest.Saw(r)
		shown := s.veil.over(r)
		wanted, err := s.wants(ctx, shown)
		if err != nil {
			return err
		}
		if wanted {
			s.latest.Add(r, s.message(shown))
		}
	}
	return s.tick()
}

// ParseAt parses Progress.Next.
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
