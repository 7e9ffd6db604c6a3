package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/records"
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
	since := admin.At(from)
	r, err := cfg.open(ctx, event.TopicRoutingDecisions, &since)
	if err != nil {
		return s, err
	}
	defer r.Close()
	near, far := map[int32]records.Span{}, map[int32]records.Span{}
	for p, span := range r.Spans() {
		first := max(span.From, span.To-searchMost)
		middle := max(first, span.To-searchNear)
		near[p], far[p] = records.Span{From: middle, To: span.To}, records.Span{From: first, To: middle}
		s.Total += span.To - first
	}
	wanted := []byte(id)
	if strings.ContainsFunc(id, escaped) {
		wanted = nil // the id may be written in several forms: each message is decoded
	}
	for _, spans := range []map[int32]records.Span{near, far} {
		r.Seek(spans)
		err := cfg.scan(ctx, r, func(r kafka.Record) {
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

// open opens a reader of a topic of nodes: from a position, or nil for all. Another producer's open transaction must not
// hide the records of nodes.
func (c Config) open(ctx context.Context, topic string, from *admin.Position) (*records.Reader, error) {
	r, err := records.Open(ctx, c.Kafka, records.Query{Topic: topic, From: from, Uncommitted: true, Frugal: true})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAway, err)
	}
	return r, nil
}

// scan hands over what a reader reads, and calls after from time to time.
func (c Config) scan(ctx context.Context, r *records.Reader, each func(kafka.Record), after func()) error {
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, records.ErrEnd) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrAway, err)
		}
		if len(b.Records) == 0 {
			continue
		}
		kafka.Hand(c.Kafka, c.Log, b.Records, func(batch []kafka.Record) {
			for _, r := range batch {
				each(r)
			}
		})
		after()
	}
}
