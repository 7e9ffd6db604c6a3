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

// Config defines the cluster to read.
type Config struct {
	Kafka kafka.Config
	Mask  mask.Rules // rules for hidden content
	Log   *slog.Logger
}

// shown returns the masked value of a record of topic.
func (c Config) shown(topic string, value []byte) []byte {
	if t, hides := c.Mask.Of(topic); hides {
		return t.Value(value)
	}
	return value
}

// admin makes a client for the requests before a reader starts. It waits for a broker that hangs until ctx ends, not
// until the request timeout.
func (c Config) admin(ctx context.Context) (*kafka.Admin, error) {
	return kafka.NewAdminWithin(ctx, c.Kafka)
}

// Stream holds one topic's latest entries and receives new entries. Its methods are safe for concurrent use.
type Stream[T any] struct {
	*watch
	decode func(kafka.Record) (T, bool)
	at     func(*T) time.Time
	keep   int

	mu     sync.Mutex
	ring   []dated[T] // oldest first
	bytes  int        // size of its messages
	jumble bool       // partitions were read one after the other: order is needed
	subs   map[*subscriber[T]]struct{}
}

// dated is an entry with the time that orders it: its own time, but at most the time when it was read. Otherwise an
// entry dated 2099 would stay the latest forever.
type dated[T any] struct {
	entry T
	at    time.Time
	size  int // bytes of the message
}

// maxRing limits the bytes of the messages of a ring's entries: any producer may write messages of 10 MB.
const maxRing = 64 << 20

type subscriber[T any] struct {
	match   func(*T) bool
	limit   int
	begun   bool // it received the existing entries; guarded by the stream's lock
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
	if len(s.ring) > 4*s.keep || s.bytes > maxRing { // cut rarely, not at each record
		s.cut()
	}
	if past { // existing entries are not new: seed passes them on
		return
	}
	for sub := range s.subs {
		sub.take(fresh)
	}
}

// cut keeps the latest entries, with at most half of the permitted bytes.
func (s *Stream[T]) cut() {
	s.order()
	from, bytes := len(s.ring), 0
	for from > 0 && len(s.ring)-from < s.keep && (bytes+s.ring[from-1].size <= maxRing/2 || from == len(s.ring)) {
		from--
		bytes += s.ring[from].size
	}
	s.ring, s.bytes = append([]dated[T](nil), s.ring[from:]...), bytes
}

// seed passes the latest entries of the log to waiting subscribers.
func (s *Stream[T]) seed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range s.subs {
		s.begin(sub)
	}
}

// begin gives a subscriber its first entries, once. The caller holds mu.
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

// Recent returns the latest n entries that match, latest first. The error is ErrAway if Kafka did not answer.
func (s *Stream[T]) Recent(ctx context.Context, n int, match func(*T) bool) ([]T, error) {
	defer s.use()()
	if err := s.await(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest(n, match), nil
}

// order sorts the entries of several partitions by time.
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

// Subscription is one user of a stream, such as a page.
type Subscription[T any] struct {
	s       *Stream[T]
	sub     *subscriber[T]
	release func()
}

// Subscribe subscribes to new entries that match. At most limit entries wait to be taken, the latest. The first entries
// are the latest existing ones, as soon as the log was read to its end. The caller must call Close.
func (s *Stream[T]) Subscribe(limit int, match func(*T) bool) *Subscription[T] {
	c := &Subscription[T]{s: s, sub: &subscriber[T]{match: match, limit: limit}, release: s.use()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.arrived() { // otherwise the entries so far, or those of an earlier reader, would come again with the rest
		s.begin(c.sub)
	}
	s.subs[c.sub] = struct{}{}
	return c
}

// Take returns the entries since the last call, oldest first, and how many were skipped.
func (c *Subscription[T]) Take() (entries []T, skipped int) {
	c.sub.mu.Lock()
	defer c.sub.mu.Unlock()
	entries, skipped = c.sub.pending, c.sub.skipped
	c.sub.pending, c.sub.skipped = nil, 0
	return entries, skipped
}

// Close ends the subscription.
func (c *Subscription[T]) Close() {
	c.s.mu.Lock()
	delete(c.s.subs, c.sub)
	c.s.mu.Unlock()
	c.release()
}

// Connected reports whether Kafka answers.
func (c *Subscription[T]) Connected() bool { return c.s.Connected() }
