package shares

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/ratelimit"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

const (
	interval  = time.Second
	history   = 10 * time.Second // of the topic that is read first
	maxSkew   = time.Minute      // between the clocks of nodes; a signature that differs by more is a copy
	maxRecord = 64 << 10         // bytes; a record of 100 limits has less
	lostAfter = 10 * time.Second // without contact, the log says so
)

// Sender queues a record without blocking and reports whether it was queued.
type Sender interface{ Send(r kafka.Record) bool }

// Config of a Sharer.
type Config struct {
	Node   string
	Kafka  kafka.Config
	Sender Sender
	Limits func() map[ratelimit.ID]*ratelimit.Limit // of the current configuration; those without Fleet are ignored
	Now    func() int64                             // process clock
	Log    *slog.Logger
}

// Sharer agrees on the shares of this process and sets them. While no limit has the scope fleet, it neither sends nor reads.
// Its methods are safe for concurrent use.
type Sharer struct {
	cfg     Config
	changed chan struct{}

	mu      sync.Mutex // guards the fields below
	book    *Book
	offered map[ratelimit.ID]uint64
	at      int64 // when offered was read
	logged  string
}

// New returns a sharer that works while Run runs.
func New(cfg Config) *Sharer {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	return &Sharer{cfg: cfg, changed: make(chan struct{}, 1), book: NewBook(cfg.Node, hex.EncodeToString(id[:])), offered: map[ratelimit.ID]uint64{}}
}

// Changed says that the configuration changed. It does not block.
func (s *Sharer) Changed() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Agreed reports whether the shares are agreed with the other processes.
func (s *Sharer) Agreed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book.inContact(s.cfg.Now())
}

// Shared returns the limits that all nodes share.
func Shared(all map[ratelimit.ID]*ratelimit.Limit) map[ratelimit.ID]*ratelimit.Limit {
	out := map[ratelimit.ID]*ratelimit.Limit{}
	for id, l := range all {
		if l.Fleet {
			out[id] = l
		}
	}
	return out
}

// Run sends and reads until ctx ends. It waits for brokers that are unavailable.
func (s *Sharer) Run(ctx context.Context) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if len(Shared(s.cfg.Limits())) > 0 {
			if err := s.share(ctx, ticker.C); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.changed:
		}
	}
}

// share sends and reads until ctx ends or no limit is shared any more.
func (s *Sharer) share(ctx context.Context, tick <-chan time.Time) error {
	read := make(chan struct{}, 1)
	tail, err := kafka.NewTail(s.cfg.Kafka, kafka.TailConfig{
		Topics: []string{event.TopicRateLimits}, From: kafka.FromAgo(history), OnCaughtUp: func() { read <- struct{}{} },
	}, s.cfg.Log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var reader sync.WaitGroup
	reader.Go(func() { _ = tail.Run(ctx, s.take) }) // it returns nil
	defer reader.Wait()
	defer cancel()
	defer s.leave()
	began := s.cfg.Now()
	s.set()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.changed:
			if s.set() == 0 {
				return nil
			}
			continue
		case <-read: // who is there is known now
		case <-tick:
		}
		s.send()
		if s.set() == 0 {
			return nil
		}
		s.note(began)
	}
}

// take handles records of the topic.
func (s *Sharer) take(batch []kafka.Record) {
	s.mu.Lock()
	for _, r := range batch {
		by := s.cfg.Kafka.Verify(r)
		if len(r.Value) > maxRecord || by.Refused() || by.State == sign.Signed && time.Since(by.At).Abs() > maxSkew {
			continue
		}
		if m, err := event.DecodeRateLimits(r.Value); err == nil {
			s.book.Take(m, s.cfg.Now())
		}
	}
	s.mu.Unlock()
	s.set()
}

// send sends the next record.
func (s *Sharer) send() {
	s.mu.Lock()
	now := s.cfg.Now()
	r := s.book.Next(s.rates(now), now)
	s.mu.Unlock()
	s.publish(r)
}

// leave frees the shares of this process.
func (s *Sharer) leave() {
	s.mu.Lock()
	r := s.book.Leave()
	s.mu.Unlock()
	s.publish(r)
}

func (s *Sharer) publish(r event.RateLimits) {
	r.Timestamp = time.Now().UTC().Truncate(time.Millisecond)
	s.cfg.Sender.Send(kafka.Record{Topic: event.TopicRateLimits, Key: []byte(s.cfg.Node), Value: r.AppendJSON(nil)})
}

// rates returns the requests per second of each limit since the last call.
func (s *Sharer) rates(now int64) map[string]float64 {
	out, offered := map[string]float64{}, map[ratelimit.ID]uint64{}
	seconds := max(float64(now-s.at)/1e9, .1)
	for id, l := range Shared(s.cfg.Limits()) {
		n := l.Offered()
		before, known := s.offered[id]
		if !known {
			before = n
		}
		offered[id], out[id.String()] = n, float64(n-before)/seconds
	}
	s.offered, s.at = offered, now
	return out
}

// set sets the shares of the current limits, and returns their number.
func (s *Sharer) set() int {
	limits, known := Shared(s.cfg.Limits()), map[string]bool{}
	for id := range limits {
		known[id.String()] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.book.SetLimits(known)
	now := s.cfg.Now()
	for id, l := range limits {
		l.SetShare(s.book.Share(id.String(), now))
	}
	return len(limits)
}

// Messages about the agreement.
const (
	isShared  = "rate limits are shared with the other nodes"
	notShared = "rate limits are not shared: this node allows an equal part of each limit with the scope fleet"
)

// note logs that the agreement begins or ends. began is when this process began to send.
func (s *Sharer) note(began int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	switch {
	case s.book.inContact(now) && s.logged != isShared:
		s.logged = isShared
		s.cfg.Log.Info(isShared, "processes", s.book.count())
	case now-max(s.book.contact, began) > int64(lostAfter) && s.logged != notShared:
		s.logged = notShared
		s.cfg.Log.Warn(notShared, "processes", s.book.count(), "topic", event.TopicRateLimits)
	}
}
