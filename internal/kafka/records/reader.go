package records

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/inflate"
)

// Query selects the records that a Reader reads.
type Query struct {
	Topic      string
	Partitions []int32         // empty: all; each must exist
	From       *admin.Position // nil: the oldest record
	Until      *admin.Position // nil: the end of the log when the reader is opened

	Uncommitted bool // also records of transactions that are open or were aborted

	Newest bool    // read from the end, piece by piece
	Piece  int64   // with Newest: bytes of a piece of one partition; 0: LargePiece
	Follow bool    // continue with records that are written later; not with Until or Newest
	Sample *Sample // while following: sample a topic that is too fast; nil: read everything
	Frugal bool    // fetch little ahead: saves memory at the cost of a tenth of the speed

	// Offsets is a client of the same cluster that lists the offsets. Its connections are then used again: the reader's own
	// client opens one to find the cluster and one to each leader. Nil: the reader's own client, with one more to each leader.
	// Close may wait for a call of Offsets, at most as long as the request timeout of that client.
	Offsets *kafka.Admin
}

// Span is a range of offsets of a partition: from From up to, but without, To.
type Span struct{ From, To int64 }

// Batch is what one call of Reader.Next read. It may have no records: offsets need not hold any.
type Batch struct {
	Records []kafka.Record // in offset order within each partition
	Piece   bool           // with Newest: the piece that these records belong to is complete
	Skipped int64          // offsets that a sample left out since the batch before
	Notes   []string       // texts for the user, such as offsets that were deleted before they were read
	Trouble error          // while following: why no records arrive; the next call waits and retries
	Took    time.Duration  // round trip of the fetch

	progress bool // a partition moved on
}

// Reader reads spans of one topic with one client. It asks for the offsets once and then fetches from the leaders of the
// partitions, at most one request to each at a time; the answer that follows is fetched while the caller works on the
// last one. It never waits for later records unless it follows, even if offsets hold no records. Its methods are for one
// goroutine. Close it.
type Reader struct {
	q        Query
	cfg      kafka.Config
	client   *kafka.Admin
	inflater *inflate.Decompressor
	ahead    fetchAhead

	line    context.Context // of the client and of the fetches: they outlive the call of Next that began them
	end     context.CancelFunc
	work    sync.WaitGroup
	answers chan answer
	busy    map[int32]bool // leaders with a fetch that was not taken yet

	id         [16]byte // of the topic
	partitions int      // number of partitions that were found
	extents    map[int32]admin.Extent
	parts      map[int32]*part
	order      []*part // of the partitions in a fetch: those that got nothing last time come first
	pointed    int     // counts changes of direction; answers to earlier fetches are dropped
	following  bool

	notes   []string  // for the next batch
	heard   time.Time // when a leader last answered
	last    error     // the last reason why records did not arrive
	delayed bool      // the last answer was an error that may pass
	stale   bool      // leaders must be asked for
	cut     bool      // a position is outside of its log
	pieced  bool      // a piece ended because the rest of it was deleted
	looked  time.Time // when the topic was last compared with the one that is read
	failed  error     // what the next call returns: the records before it came first
	trouble error     // what the next call must recover from
	retries int       // recoveries since records last arrived
	said    string    // the last trouble that was noted
	sample  sampling
}

// part is one partition of a Reader.
type part struct {
	id, leader int32
	span       Span    // what remains
	at, to     int64   // next offset to fetch, and the end of what is read now: of the span, or of a piece of it
	stored     float64 // bytes that one offset takes in the log; 0: unknown
	batch      int     // bytes of the largest batch so far
	empty      int     // answers without anything, in a row

	from, piece    int64 // with Newest: first offset of the piece that is read now, and the size of the next one
	bytes, records int64 // of the piece
}

func (p *part) open() bool { return p.at < p.to }

// Sizes of the pieces that a reader with Newest reads of a partition. The first piece shows the size of records.
const (
	SmallPiece = 1 << 20 // bytes, if all records are wanted
	LargePiece = 8 << 20 // bytes, if records are searched
	firstPiece = 1       // offsets
	pieceGrow  = 16
	emptyGrow  = 64       // factor after a piece without records
	pieceMost  = 10 << 20 // offsets
)

// endless is the end of a span without an end.
const endless = math.MaxInt64

// ErrEnd means that a Reader has read everything.
var ErrEnd = errors.New("everything was read")

// Errors that end reading. errAway: the topic was deleted, or the broker has just started.
var (
	errAway  = errors.New("the broker does not know the topic now")
	errGone  = errors.New("the topic was created again")
	errGrown = errors.New("the topic has more partitions")
)

func (q Query) check() error {
	switch {
	case q.From != nil && q.From.Relative(), q.Until != nil && q.Until.Relative():
		return errors.New("shift goes by where a group stands, and consume has none")
	case q.Follow && (q.Until != nil || q.Newest):
		return errors.New("it is to follow and to end")
	}
	return nil
}

// Open finds the offsets to read. It fails if the topic does not exist (admin.ErrNoTopic), or if the cluster does not
// answer within the request timeout.
func Open(ctx context.Context, cfg kafka.Config, q Query) (*Reader, error) {
	if err := q.check(); err != nil {
		return nil, fmt.Errorf("consume %s: %w", q.Topic, err)
	}
	r := &Reader{q: q, cfg: cfg, ahead: q.fetchAhead(), answers: make(chan answer), busy: map[int32]bool{}}
	r.inflater = inflate.New(readMaxDecompress, r.ahead.inflated)
	r.line, r.end = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	if r.client, err = kafka.NewAdminWithin(r.line, cfg, kgo.WithHooks(r.inflater), kgo.MetadataMinAge(metadataPause)); err != nil {
		r.end()
		return nil, fmt.Errorf("consume %s: %w", q.Topic, err)
	}
	l, err := call(ctx, r, cfg.RequestTimeout, r.locate)
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("consume %w", err)
	}
	r.found(l)
	r.heldBack()
	spans := r.Spans()
	if q.Follow {
		for p, s := range spans {
			spans[p] = Span{s.From, endless}
		}
	}
	r.point(spans, q.Follow)
	return r, nil
}

// metadataPause is the shortest time between two listings of the cluster by the library.
const metadataPause = 250 * time.Millisecond

// Close ends reading. It does not wait for a broker that hangs, but see Query.Offsets. It may be called more than once.
func (r *Reader) Close() {
	r.end()
	r.client.Close()
	r.work.Wait()
}

// Spans returns the offsets that the query selected when the reader was opened.
func (r *Reader) Spans() map[int32]Span {
	out := make(map[int32]Span, len(r.extents))
	for p, e := range r.extents {
		out[p] = Span{e.At[0], max(e.At[0], e.At[1])}
	}
	return out
}

// Rest returns what remains to be read after the records that Next returned. With Newest a piece remains until it is
// complete.
func (r *Reader) Rest() map[int32]Span {
	out := make(map[int32]Span, len(r.parts))
	for p, part := range r.parts {
		out[p] = part.span
	}
	return out
}

// Seek points the reader at other spans of the partitions that it was opened for. Offsets that the log does not have are
// left out.
func (r *Reader) Seek(spans map[int32]Span) {
	in := map[int32]Span{}
	for p, s := range spans {
		if e, known := r.extents[p]; known {
			from := max(e.Start, s.From)
			in[p] = Span{from, max(from, min(e.End, s.To))}
		}
	}
	r.point(in, false)
}

// Follow points the reader at the records written since it was opened. From then on Next waits for records, also while
// brokers are unavailable or the topic does not exist; it reads a topic that was created again from its beginning.
func (r *Reader) Follow() {
	spans := map[int32]Span{}
	for p, e := range r.extents {
		spans[p] = Span{e.End, endless}
	}
	r.point(spans, true)
}

func (r *Reader) point(spans map[int32]Span, follow bool) {
	before := r.parts
	r.pointed++
	r.parts, r.order, r.following = map[int32]*part{}, nil, follow
	for _, id := range slices.Sorted(maps.Keys(spans)) {
		p := r.part(id, spans[id])
		if was := before[id]; was != nil {
			p.stored, p.batch, p.leader = was.stored, was.batch, was.leader
		}
	}
	r.sample = sampling{window: time.Now()}
	r.pieces()
}

// part adds a partition.
func (r *Reader) part(id int32, s Span) *part {
	p := &part{id: id, leader: r.extents[id].Leader, span: s, at: s.From, to: s.To, piece: firstPiece}
	r.parts[id] = p
	r.order = append(r.order, p)
	return p
}

// backward reports whether the reader reads pieces from the end.
func (r *Reader) backward() bool { return r.q.Newest && !r.following }

// pieces begins the next piece of each partition.
func (r *Reader) pieces() {
	if !r.backward() {
		return
	}
	for _, p := range r.parts {
		p.from = max(p.span.From, p.span.To-p.piece)
		p.at, p.to = p.from, p.span.To
		p.bytes, p.records = 0, 0
	}
}

// finish ends the pieces and sets the sizes of the next ones by what these contained.
func (r *Reader) finish() {
	for _, p := range r.parts {
		if p.span.From >= p.span.To {
			continue
		}
		read := max(p.piece, p.to-p.from)
		p.span.To = max(p.from, p.span.From)
		if p.records == 0 {
			p.piece = min(read*emptyGrow, pieceMost)
			continue
		}
		most := cmp.Or(r.q.Piece, LargePiece) / max(1, p.bytes/p.records)
		p.piece = min(max(1, most), max(64, read*pieceGrow), pieceMost)
	}
	r.pieces()
}

func (r *Reader) open() bool {
	return r.following || slices.ContainsFunc(r.order, (*part).open)
}

// located is what the cluster says about a topic.
type located struct {
	topic   kadm.TopicDetail
	extents map[int32]admin.Extent
}

func (r *Reader) locate(ctx context.Context) (located, error) {
	d, err := admin.PartitionsOf(ctx, r.client, r.q.Topic, r.q.Partitions)
	if err != nil {
		return located{}, err
	}
	positions := []admin.Position{admin.Start(), admin.End()}
	if r.q.From != nil {
		positions[0] = *r.q.From
	}
	if r.q.Until != nil {
		positions[1] = *r.q.Until
	}
	extents, err := admin.Locate(ctx, cmp.Or(r.q.Offsets, r.client), d, !r.q.Uncommitted, positions...)
	return located{d, extents}, err
}

func (r *Reader) found(l located) {
	r.id, r.partitions, r.extents = l.topic.ID, len(l.topic.Partitions), l.extents
}

// heldBack notes where an open transaction hides later records from readers.
func (r *Reader) heldBack() {
	parts, held, first := 0, int64(0), int32(math.MaxInt32)
	for p, e := range r.extents {
		if n := e.Written - e.End; n > 0 {
			parts, held, first = parts+1, held+n, min(first, p)
		}
	}
	if parts > 0 {
		r.note("partition %d: an open transaction begins at offset %d; %d offsets in %d of the partitions are held back until it ends", first, r.extents[first].End, held, parts)
	}
}

func (r *Reader) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// call runs ask for at most the given time, and ends earlier with ctx. The library waits for a broker that hangs
// whatever the context of a request says; ask then ends when the reader is closed. ask must not change the reader.
func call[T any](ctx context.Context, r *Reader, limit time.Duration, ask func(context.Context) (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan result, 1)
	r.work.Go(func() {
		v, err := ask(ctx)
		done <- result{v, err}
	})
	select {
	case got := <-done:
		return got.v, got.err
	case <-ctx.Done():
	}
	late := time.NewTimer(callGrace)
	defer late.Stop()
	select {
	case got := <-done:
		if got.err != nil {
			got.err = fmt.Errorf("%w: %w", ctx.Err(), got.err)
		}
		return got.v, got.err
	case <-late.C:
		var none T
		return none, ctx.Err()
	}
}

// callGrace is how long call waits for the reason why there was no answer in time.
const callGrace = 100 * time.Millisecond
