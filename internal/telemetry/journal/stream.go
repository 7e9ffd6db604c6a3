package journal

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/mask"
)

// Config says which cluster is read.
type Config struct {
	Kafka kafka.Config
	Mask  mask.Rules // what is hidden from those who look
	Log   *slog.Logger
}

// shown gives a value of a topic as it may be shown.
func (c Config) shown(topic string, value []byte) []byte {
	if t, hides := c.Mask.Of(topic); hides {
		return t.Value(value)
	}
	return value
}

// admin makes a client for the questions before a reader: a broker that hangs
// is waited for as long as ctx lasts, not as long as a request may take.
func (c Config) admin(ctx context.Context) (*kafka.Admin, error) {
	return kafka.NewAdminWithin(ctx, c.Kafka)
}

// Stream is one topic's newest entries, and the new ones as they come. Its
// methods are safe for concurrent use.
type Stream[T any] struct {
	*watch
	decode func(kafka.Record) (T, bool)
	at     func(*T) time.Time
	keep   int

	mu     sync.Mutex
	ring   []dated[T] // oldest first
	bytes  int        // of its messages
	jumble bool       // partitions were read one after the other
	subs   map[*subscriber[T]]struct{}
}

// dated is an entry with the time by which it is ordered: its own, but never
// later than when it was read. One of 2099 would stay the newest for ever.
type dated[T any] struct {
	entry T
	at    time.Time
	size  int // bytes of the message
}

// maxRing bounds the bytes of the messages behind a ring's entries: anybody may
// write messages of 10 MB.
const maxRing = 64 << 20

type subscriber[T any] struct {
	match   func(*T) bool
	limit   int
	begun   bool // it was given the past; guarded by the stream's lock
	mu      sync.Mutex
	pending []T
	skipped int
}

func newStream[T any](cfg Config, topic string, keep int, decode func(kafka.Record) (T, bool), at func(*T) time.Time) *Stream[T] {
	show := func(r kafka.Record) (T, bool) {
		r.Value = cfg.shown(topic, r.Value)
		return decode(r)
	}
	s := &Stream[T]{decode: show, at: at, keep: keep, subs: map[*subscriber[T]]struct{}{}}
	s.watch = (&watch{kafka: cfg.Kafka, log: cfg.Log, topic: topic, begin: s.forget, handle: s.handle, arrive: s.seed}).init()
	s.plan = func(ctx context.Context) (kafka.TailConfig, error) {
		admin, err := cfg.admin(ctx)
		if err != nil {
			return kafka.TailConfig{}, err
		}
		defer admin.Close()
		ends, err := admin.EndOffsets(ctx, topic)
		if err != nil {
			return kafka.TailConfig{}, err
		}
		tc := kafka.TailConfig{Topics: []string{topic}, Positions: map[kafka.TopicPartition]int64{}}
		for tp, end := range ends {
			tc.Positions[tp] = max(0, end-int64(keep))
		}
		return tc, nil
	}
	return s
}

func (s *Stream[T]) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring, s.bytes = nil, 0
}

func (s *Stream[T]) handle(batch []kafka.Record) {
	fresh, sizes := make([]T, 0, len(batch)), make([]int, 0, len(batch))
	for _, r := range batch {
		if v, ok := s.decode(r); ok {
			fresh, sizes = append(fresh, v), append(sizes, len(r.Value))
		}
	}
	past, now := !s.watch.arrived(), time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range fresh {
		at := s.at(&fresh[i])
		if at.After(now) {
			at = now
		}
		s.ring = append(s.ring, dated[T]{fresh[i], at, sizes[i]})
		s.bytes += sizes[i]
	}
	s.jumble = true
	if len(s.ring) > 4*s.keep || s.bytes > maxRing { // cut seldom, not at each record
		s.cut()
	}
	if past { // what was there before anybody looked is no news: see seed
		return
	}
	for sub := range s.subs {
		sub.take(fresh)
	}
}

// cut keeps the newest entries, half as many bytes as there may be.
func (s *Stream[T]) cut() {
	s.order()
	from, bytes := len(s.ring), 0
	for from > 0 && len(s.ring)-from < s.keep && (bytes+s.ring[from-1].size <= maxRing/2 || from == len(s.ring)) {
		from--
		bytes += s.ring[from].size
	}
	s.ring, s.bytes = append([]dated[T](nil), s.ring[from:]...), bytes
}

// seed gives those who wait the newest of what was in the log.
func (s *Stream[T]) seed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range s.subs {
		s.begin(sub)
	}
}

// begin gives a subscriber what it sees first, once. The caller holds mu.
func (s *Stream[T]) begin(sub *subscriber[T]) {
	if sub.begun {
		return
	}
	sub.begun = true
	newest := s.newest(sub.limit, sub.match)
	slices.Reverse(newest)
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.pending = newest
}

func (s *subscriber[T]) take(fresh []T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range fresh {
		if s.match == nil || s.match(&fresh[i]) {
			s.pending = append(s.pending, fresh[i])
		}
	}
	if extra := len(s.pending) - s.limit; extra > 0 {
		s.skipped += extra
		s.pending = append(s.pending[:0], s.pending[extra:]...)
	}
}

// Recent gives the newest n entries that match, newest first. The error is
// ErrAway where Kafka did not answer.
func (s *Stream[T]) Recent(ctx context.Context, n int, match func(*T) bool) ([]T, error) {
	defer s.use()()
	if err := s.await(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest(n, match), nil
}

// order puts the entries of several partitions in the order of their times.
func (s *Stream[T]) order() {
	if s.jumble {
		slices.SortStableFunc(s.ring, func(a, b dated[T]) int { return a.at.Compare(b.at) })
		s.jumble = false
	}
}

func (s *Stream[T]) newest(n int, match func(*T) bool) []T {
	s.order()
	out := make([]T, 0, min(n, len(s.ring)))
	for i := len(s.ring) - 1; i >= 0 && len(out) < n; i-- {
		if match == nil || match(&s.ring[i].entry) {
			out = append(out, s.ring[i].entry)
		}
	}
	return out
}

// Subscription is a page that follows.
type Subscription[T any] struct {
	s       *Stream[T]
	sub     *subscriber[T]
	release func()
}

// Subscribe follows new entries that match; at most limit wait to be taken,
// the newest. It begins with the newest that are there, as soon as the log was
// read to its end. Close must be called.
func (s *Stream[T]) Subscribe(limit int, match func(*T) bool) *Subscription[T] {
	c := &Subscription[T]{s: s, sub: &subscriber[T]{match: match, limit: limit}, release: s.use()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.arrived() { // what was read so far, or is left of another time, comes again with the rest
		s.begin(c.sub)
	}
	s.subs[c.sub] = struct{}{}
	return c
}

// Take gives what came since the last call, oldest first, and how many more
// there were.
func (c *Subscription[T]) Take() (entries []T, skipped int) {
	c.sub.mu.Lock()
	defer c.sub.mu.Unlock()
	entries, skipped = c.sub.pending, c.sub.skipped
	c.sub.pending, c.sub.skipped = nil, 0
	return entries, skipped
}

// Close ends it.
func (c *Subscription[T]) Close() {
	c.s.mu.Lock()
	delete(c.s.subs, c.sub)
	c.s.mu.Unlock()
	c.release()
}

// Connected says whether Kafka answers.
func (c *Subscription[T]) Connected() bool { return c.s.Connected() }
