package kafka

import (
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"
)

// Skips counts and names records that were passed over because nothing could
// be made of them: one such record must not stop a node, and not at its next
// start either. Its zero value is ready; a nil *Skips only logs.
type Skips struct {
	mu     sync.Mutex
	topics map[string]skipped
}

// skipped is what was passed over of one topic. Topics are those that we read,
// so there are few.
type skipped struct {
	count  uint64
	logged time.Time
	quiet  uint64 // since the last line in the log
}

// skipLogEvery is how often a topic's skipped records are logged: a hostile
// writer can send thousands of them per second.
const skipLogEvery = 10 * time.Second

// Add counts a record and names it in the log, unless its topic was named a
// moment ago.
func (s *Skips) Add(r Record, reason string, log *slog.Logger) {
	const maxReason = 500
	reason = reason[:min(len(reason), maxReason)]
	quiet, now := uint64(0), time.Now()
	if s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		t := s.topics[r.Topic]
		t.count++
		if !t.logged.IsZero() && now.Sub(t.logged) < skipLogEvery {
			t.quiet++
			s.topics[r.Topic] = t
			return
		}
		quiet, t.quiet, t.logged = t.quiet, 0, now
		if s.topics == nil {
			s.topics = map[string]skipped{}
		}
		s.topics[r.Topic] = t
	}
	log.Warn("record skipped", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "reason", reason, "more_before", quiet)
}

// Counts gives the number of skipped records by topic.
func (s *Skips) Counts() map[string]uint64 {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]uint64, len(s.topics))
	for topic, t := range maps.All(s.topics) {
		out[topic] = t.count
	}
	return out
}

// hand calls handle with a batch. Where it panics, the records are handed over
// again one by one, and those with which it panics again are skipped: handlers
// take a record twice without harm.
func hand(cfg Config, log *slog.Logger, batch []Record, handle func([]Record)) {
	whole := survive(func() { handle(batch) })
	if whole == nil {
		return
	}
	named := false
	for i := range batch {
		if reason := survive(func() { handle(batch[i : i+1 : i+1]) }); reason != nil {
			cfg.Skips.Add(batch[i], reason.Error(), log)
			named = true
		}
	}
	switch {
	case len(batch) == 0:
		log.Error("a handler of records panicked between two batches", "error", whole)
	case !named: // the handler left the record out the second time
		cfg.Skips.Add(batch[0], fmt.Sprintf("one of %d records from here: %v", len(batch), whole), log)
	}
}

func survive(f func()) (reason error) {
	defer func() {
		if p := recover(); p != nil {
			reason = fmt.Errorf("panic: %v", p)
		}
	}()
	f()
	return nil
}
