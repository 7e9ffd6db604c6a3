package kafka

import (
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"
)

// Skips counts and names records that were skipped because they could not be handled. One such record must not stop a
// node, neither now nor at its next start. Its zero value is ready; a nil *Skips only logs.
type Skips struct {
	mu     sync.Mutex
	topics map[string]skipped
}

// skipped counts the skipped records of one topic. Only topics that smartlb reads are counted, so there are few.
type skipped struct {
	count  uint64
	logged time.Time
	quiet  uint64 // since the last log line
}

// skipLogEvery is the shortest time between two log lines about a topic's skipped records: a hostile producer can send
// thousands of them per second.
const skipLogEvery = 10 * time.Second

// Add counts a record, and logs it unless a record of its topic was logged less than skipLogEvery ago.
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

// Counts returns the number of skipped records by topic.
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

// Hand calls handle with a batch. If handle panics, Hand passes the records again one by one, and skips and counts those
// that panic again (Config.Skips). Handlers must tolerate receiving a record twice.
func Hand(cfg Config, log *slog.Logger, batch []Record, handle func([]Record)) {
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
	case !named: // the handler did not process the record the second time
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
