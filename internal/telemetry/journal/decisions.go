package journal

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Decision is one message of routing-decisions with its position in the log.
type Decision struct {
	event.RoutingDecision
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

// keepDecisions is how many decisions of each partition are read for the first user, and how many are kept.
const keepDecisions = 2000

// Decisions returns the stream of routing-decisions.
func Decisions(cfg Config) *Stream[Decision] {
	return newStream(cfg, event.TopicRoutingDecisions, keepDecisions, decision, func(d *Decision) time.Time { return d.Timestamp })
}

func decision(r kafka.Record) (Decision, bool) {
	d, err := event.DecodeRoutingDecision(r.Value)
	return Decision{d, r.Partition, r.Offset}, err == nil
}

// Filter selects decisions; empty fields accept all.
type Filter struct {
	Service, Instance, Route string
	Reason                   string // lowest-cost, only, ...
	Why                      string // sample, error, retry, ejection, panic
	Kind                     string // decision, change
	Outcome                  string // ok, failed, retried, a status such as 503 or 5xx, or a failure such as timeout
	RequestID                string // prefix of the request id
}

// Match reports whether the filter selects a decision.
func (f Filter) Match(d *Decision) bool {
	return (f.Service == "" || d.ServiceID == f.Service) &&
		(f.Instance == "" || d.InstanceID == f.Instance || d.Change.InstanceID == f.Instance) &&
		(f.Route == "" || d.Route == f.Route) &&
		(f.Reason == "" || d.Reason == f.Reason || d.Change.Reason == f.Reason) &&
		(f.Why == "" || d.Why == f.Why) && (f.Kind == "" || d.Kind == f.Kind) &&
		(f.RequestID == "" || strings.HasPrefix(d.RequestID, f.RequestID)) &&
		(f.Outcome == "" || d.Kind == event.KindDecision && outcome(f.Outcome, d.Outcome))
}

func outcome(want string, o event.Outcome) bool {
	failed := o.Failure != "" || o.Status >= 500 || o.Status == 0
	switch {
	case want == "ok":
		return !failed
	case want == "failed":
		return failed
	case want == "retried":
		return o.Retried
	case len(want) == 3 && strings.HasSuffix(want, "xx"):
		return o.Status/100 == int(want[0]-'0')
	}
	if status, err := strconv.Atoi(want); err == nil {
		return o.Status == status
	}
	return o.Failure == want
}

// Search is the progress and the result of a search for one request.
type Search struct {
	Scanned   int64      `json:"scanned"`   // number of messages read
	Total     int64      `json:"total"`     // number of messages to read
	From      time.Time  `json:"from"`      // start of the searched time span
	Decisions []Decision `json:"decisions"` // the request's attempts, in order
	Done      bool       `json:"done"`
}

const (
	searchNear = 20_000 // messages of each partition that are read first: most searches are for recent requests
	searchMost = 500_000
)

// Find searches for a request's decisions, back to span ago and at most searchMost messages of each partition, the
// latest messages first. It calls progress from time to time. It returns when it has found them or has read all
// messages in range.
func Find(ctx context.Context, cfg Config, id string, span time.Duration, progress func(Search)) (Search, error) {
	from := readable.Moment(time.Now().Add(-span))
	s := Search{From: from, Decisions: []Decision{}}
	admin, err := cfg.admin(ctx)
	if err != nil {
		return s, err
	}
	defer admin.Close()
	ends, err := admin.EndOffsets(ctx, event.TopicRoutingDecisions)
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrAway, err)
	}
	starts, err := admin.StartOffsets(ctx, event.TopicRoutingDecisions)
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrAway, err)
	}
	after, err := admin.OffsetsAt(ctx, from, event.TopicRoutingDecisions)
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrAway, err)
	}
	near, far := map[kafka.TopicPartition][2]int64{}, map[kafka.TopicPartition][2]int64{}
	for tp, end := range ends {
		first := min(end, max(starts[tp], after[tp], end-searchMost))
		middle := max(first, end-searchNear)
		near[tp], far[tp] = [2]int64{middle, end}, [2]int64{first, middle}
		s.Total += end - first
	}
	wanted := []byte(id)
	if strings.ContainsFunc(id, escaped) {
		wanted = nil // the id may be written in several forms: each message is decoded
	}
	for _, part := range []map[kafka.TopicPartition][2]int64{near, far} {
		err := scan(ctx, cfg, event.TopicRoutingDecisions, part, func(r kafka.Record) {
			s.Scanned++
			r.Value = cfg.shown(r.Topic, r.Value) // hidden content cannot be found
			if !bytes.Contains(r.Value, wanted) {
				return
			}
			if d, ok := decision(r); ok && d.RequestID == id {
				s.Decisions = append(s.Decisions, d)
			}
		}, func() { progress(s) })
		if err != nil {
			return s, err
		}
		if len(s.Decisions) > 0 {
			break
		}
	}
	slices.SortStableFunc(s.Decisions, func(a, b Decision) int { return a.Attempt - b.Attempt })
	s.Done = true
	return s, nil
}

// escaped reports whether JSON may write a character in another form.
func escaped(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_.:", c))
}

// scan reads ranges of offsets of one topic to their ends.
func scan(ctx context.Context, cfg Config, topic string, ranges map[kafka.TopicPartition][2]int64, each func(kafka.Record), after func()) error {
	tc := kafka.TailConfig{Topics: []string{topic}, From: kafka.FromEnd(), Positions: map[kafka.TopicPartition]int64{}}
	left := map[kafka.TopicPartition]bool{}
	for tp, r := range ranges {
		tc.Positions[tp] = r[1] // partitions outside the ranges begin at their end, so nothing is read
		if r[0] < r[1] {
			tc.Positions[tp], left[tp] = r[0], true
		}
	}
	if len(left) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := false
	tc.OnCaughtUp = func() { done = true; cancel() } // needed if the last records are transaction markers
	tail, err := kafka.NewTail(cfg.Kafka, tc, cfg.Log)
	if err != nil {
		return err
	}
	finish := func() {
		for tp, at := range tail.Positions() {
			if r, wanted := ranges[tp]; wanted && at >= r[1] {
				delete(left, tp)
			}
		}
		if len(left) == 0 {
			done = true
			cancel()
		}
	}
	err = tail.Run(ctx, func(batch []kafka.Record) {
		for _, r := range batch {
			tp := kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}
			if r.Offset < ranges[tp][1] {
				each(r)
			}
			if r.Offset+1 >= ranges[tp][1] {
				delete(left, tp)
			}
		}
		after()
		finish()
	})
	if err == nil && !done {
		err = fmt.Errorf("%w: %s was not read to its end: %w", ErrAway, topic, context.Cause(ctx))
	}
	return err
}
