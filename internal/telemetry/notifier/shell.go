package notifier

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/alerts"
	"github.com/smartlb/smartlb/internal/telemetry/rule"
)

const (
	readWait    = 5 * time.Second  // limit for records that the reading of the log still waits for
	commitAgain = 30 * time.Second // how often an unchanged state is committed
	leaveWait   = 2 * time.Second  // for the last commit
)

// shell handles one membership in the group. The group calls it from one goroutine at a time.
type shell struct {
	n         *Notifier
	group     *kafka.Group
	parts     map[int32]*part
	live      bool
	heard     time.Time // last record or assignment
	committed time.Time
	marks     marks // as committed
	moved     bool  // records were read since the last commit
}

// part is one partition of the topic.
type part struct {
	next  int64 // next offset to read
	known int64 // records before it are from before the marks
	end   int64 // end of the log at the assignment
	marks marks
}

var _ kafka.GroupHandler = (*shell)(nil)

func newShell(n *Notifier, group *kafka.Group) *shell {
	return &shell{n: n, group: group, parts: map[int32]*part{}}
}

// Assigned begins with the alerts of the last 30 days. Until they are read, this node does not send.
func (s *shell) Assigned(ctx context.Context, positions map[kafka.TopicPartition]kafka.Position) (map[kafka.TopicPartition]int64, error) {
	admin, err := kafka.NewAdminWithin(ctx, s.n.cfg.Kafka)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	first, err := admin.OffsetsAt(ctx, s.n.cfg.Now().Add(-alerts.Kept), event.TopicAlerts)
	if err != nil {
		return nil, err
	}
	seek := map[kafka.TopicPartition]int64{}
	for tp, pos := range positions {
		p := &part{next: pos.Start, known: pos.Committed, end: pos.End, marks: parseMarks(pos.Metadata)}
		if at, ok := first[tp]; ok {
			p.next = min(max(at, pos.Start), pos.End)
		}
		switch {
		case pos.Committed < 0: // no node ever sent: what was is past, and what fires is new
			p.known, p.marks = pos.End, marks{}
		case pos.Reset: // another log
			p.known, p.marks = 0, marks{}
		}
		s.parts[tp.Partition] = p
		seek[tp] = p.next
	}
	silences := s.n.currentSilences()
	s.n.setSender(time.Time{})
	for _, w := range s.n.workers {
		w.pause(flightWait) // if this node continued to send
		w.begin(silences)
	}
	s.live, s.heard, s.marks = false, s.n.cfg.Now(), nil
	return seek, nil
}

// Revoked ends sending, and commits what was delivered. After a loss without notice, this node continues to send.
func (s *shell) Revoked(ctx context.Context, _ []kafka.TopicPartition, lost bool) {
	if len(s.parts) == 0 {
		return
	}
	if lost && s.live {
		s.n.log.Warn("this node lost its place in the group, and continues to send the alerts that it knows")
		s.n.orphan()
		clear(s.parts)
		s.live = false
		return
	}
	for _, w := range s.n.workers {
		w.pause(flightWait)
	}
	if s.live {
		soon, cancel := context.WithTimeout(ctx, leaveWait)
		s.commit(soon)
		cancel()
	}
	for _, w := range s.n.workers {
		w.end()
	}
	clear(s.parts)
	if s.live {
		s.n.log.Info("this node no longer sends alerts")
	}
	s.live = false
	s.n.setSender(time.Time{})
}

// Batch applies records. Once the log was read to its end, the workers send.
func (s *shell) Batch(ctx context.Context, records []kafka.Record) {
	if len(s.parts) == 0 {
		return
	}
	now := s.n.cfg.Now()
	for i := range records {
		s.apply(&records[i], now)
	}
	if !s.live && s.read(now) {
		s.live = true
		s.n.setSender(now)
		s.n.log.Info("this node sends alerts", "receivers", len(s.n.workers))
		for _, w := range s.n.workers {
			w.start()
		}
	}
	if s.live {
		s.commitChanges(ctx, now)
	}
}

func (s *shell) apply(r *kafka.Record, now time.Time) {
	p := s.parts[r.Partition]
	if p == nil || r.Offset < p.next {
		return
	}
	p.next, s.heard, s.moved = r.Offset+1, now, true
	a, err := event.DecodeAlert(r.Value)
	if err != nil {
		return
	}
	if by := s.n.cfg.Kafka.Verify(*r); by.Refused() || !rule.Believable(a, now) || a.Fingerprint != rule.Fingerprint(a.RuleID, a.Labels) {
		return // not written by an analyzer; the list of alerts counts such records
	}
	for _, w := range s.n.workers {
		w.take(a, r.Offset < p.known, p.marks[w.c.Name])
	}
}

// read reports whether the log was read to its end. The wait can end without records: the last ones may be control
// records, which are not delivered.
func (s *shell) read(now time.Time) bool {
	for _, p := range s.parts {
		if p.next < p.end && now.Sub(s.heard) < readWait {
			return false
		}
	}
	return true
}

func (s *shell) commitChanges(ctx context.Context, now time.Time) {
	if s.moved || now.Sub(s.committed) >= commitAgain || !s.currentMarks().same(s.marks) {
		s.commit(ctx)
	}
}

func (s *shell) currentMarks() marks {
	out := marks{}
	for _, w := range s.n.workers {
		out[w.c.Name] = w.mark()
	}
	return out
}

// commit stores the position with the marks. After an error, the next call repeats it.
func (s *shell) commit(ctx context.Context) {
	current := s.currentMarks()
	text := current.encode()
	commits := map[kafka.TopicPartition]kafka.Commit{}
	for number, p := range s.parts {
		commits[kafka.TopicPartition{Topic: event.TopicAlerts, Partition: number}] = kafka.Commit{Offset: p.next, Metadata: text}
	}
	if err := s.group.Commit(ctx, commits); err != nil {
		s.n.log.Debug("notifier commit", "error", err)
		return
	}
	s.marks, s.committed, s.moved = current, s.n.cfg.Now(), false
}
