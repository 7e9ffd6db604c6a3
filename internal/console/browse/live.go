package browse

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/records"
)

// Live holds the messages of one Beat.
type Live struct {
	Messages []Message `json:"messages"` // oldest first
	Skipped  int64     `json:"skipped"`  // arrived too fast: messages that were not read, and matches that are not shown
	Read     int64     `json:"read"`     // messages that were read
}

// Limits of a live stream. A broker can write far more than a person can read.
const (
	Beat         = 250 * time.Millisecond
	beatShown    = 50      // messages shown per beat: 200 a second
	beatRecords  = 2500    // messages read per beat: 10,000 a second
	beatBytes    = 2 << 20 // bytes read per beat
	quietBeats   = 20      // beats without news after which an event is sent anyway
	MaxLast      = 500
	lastBytes    = 16 << 20        // bytes read to find the last messages
	lastTime     = 2 * time.Second // time to find the last messages
	liveWait     = 3 * time.Second // interval of the reports that the broker does not respond
	liveTroubles = 4
)

// Live passes new messages that match to out, four times a second, until ctx ends or out fails. Before that, it passes
// up to last existing messages. If a topic gets more than beatRecords in a Beat, the reader skips and counts the rest.
// Live waits for an unavailable broker and passes the cause to trouble.
func (b *Browser) Live(ctx context.Context, q Query, last int, out func(Live) error, trouble func(error) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &live{b: b, q: q, veil: b.veil(q.Topic)}
	end := admin.End()
	r, err := records.Open(ctx, b.reading(), records.Query{
		Topic: q.Topic, Partitions: q.Partitions, From: &end, Follow: true, Offsets: b.cfg.Admin, // also messages written while before searches
		Sample: &records.Sample{Window: Beat, Records: beatRecords, Bytes: beatBytes},
	})
	if err != nil {
		return b.explained(err)
	}
	defer r.Close()
	if err := l.before(ctx, last, out); err != nil {
		return err
	}
	done := make(chan struct{})
	var ended error // set before done is closed
	troubles := make(chan error, liveTroubles)
	go func() { defer close(done); ended = l.follow(ctx, r, troubles) }()
	err = l.send(ctx, done, &ended, troubles, out, trouble)
	cancel()
	<-done
	return err
}

// follow reads until ctx ends, and passes the causes of interruptions to troubles.
func (l *live) follow(ctx context.Context, r *records.Reader, troubles chan<- error) error {
	for {
		batch, err := r.Next(ctx)
		if err != nil {
			return err
		}
		l.skip(batch.Skipped)
		if batch.Trouble != nil {
			select {
			case troubles <- l.b.explained(batch.Trouble):
			default: // the queue is full: a report is pending
			}
		}
		for _, rec := range batch.Records {
			wanted, err := l.wants(ctx, rec)
			if err != nil {
				return err
			}
			if wanted {
				l.take(rec)
			}
		}
	}
}

// before passes the last messages that match, as far as a short search finds them.
func (l *live) before(ctx context.Context, last int, out func(Live) error) error {
	if last = min(last, MaxLast); last <= 0 {
		return nil
	}
	q := l.q
	q.Newest, q.Limit, q.Bytes, q.Time, q.From, q.Until, q.At = true, last, lastBytes, lastTime, nil, nil, nil
	var found gathered
	if _, err := l.b.Search(ctx, q, &found); err != nil && !errors.Is(err, ErrBusy) { // ErrBusy: continue without these messages
		return err
	}
	slices.Reverse(found.list)
	if len(found.list) == 0 {
		return nil
	}
	return out(Live{Messages: found.list})
}

// gathered collects the matches of a search.
type gathered struct{ list []Message }

func (g *gathered) Matches(m []Message) error { g.list = append(g.list, m...); return nil }
func (g *gathered) Progress(Progress) error   { return nil }

// live collects the messages of one beat.
type live struct {
	b    *Browser
	q    Query
	veil veil

	mu  sync.Mutex
	now Live
}

func (l *live) wants(ctx context.Context, r kafka.Record) (bool, error) {
	l.mu.Lock()
	l.now.Read++
	l.mu.Unlock()
	if l.q.matcher.All() {
		return true, nil
	}
	began := time.Now()
	yes, err := l.q.matcher.Match(ctx, filterRecord(l.veil.over(r)))
	pace(ctx, time.Since(began))
	return yes, err
}

func (l *live) take(r kafka.Record) {
	m := previewOf(l.veil.over(r), l.q.Preview, l.veil)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.now.Messages) >= 2*beatShown {
		l.cut()
	}
	l.now.Messages = append(l.now.Messages, m)
}

// cut keeps the latest messages. The caller holds mu.
func (l *live) cut() {
	if extra := len(l.now.Messages) - beatShown; extra > 0 {
		l.now.Skipped += int64(extra)
		l.now.Messages = append(l.now.Messages[:0], l.now.Messages[extra:]...)
	}
}

func (l *live) skip(n int64) {
	l.mu.Lock()
	l.now.Skipped += n
	l.mu.Unlock()
}

// beat returns the collected messages and starts the next beat.
func (l *live) beat() Live {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut()
	out := l.now
	l.now = Live{}
	if out.Messages == nil {
		out.Messages = []Message{}
	}
	return out
}

func (l *live) send(ctx context.Context, done <-chan struct{}, ended *error, troubles chan error, out func(Live) error, trouble func(error) error) error {
	ticker := time.NewTicker(Beat)
	defer ticker.Stop()
	quiet, reportedAt := 0, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-done:
			return l.b.explained(*ended)
		case err := <-troubles:
			if time.Since(reportedAt) < liveWait {
				continue
			}
			reportedAt = time.Now()
			if err := trouble(err); err != nil {
				return err
			}
		case <-ticker.C:
			now := l.beat()
			if quiet++; len(now.Messages) == 0 && now.Skipped == 0 && now.Read == 0 && quiet < quietBeats {
				continue
			}
			quiet = 0
			if err := out(now); err != nil {
				return err
			}
		}
	}
}
