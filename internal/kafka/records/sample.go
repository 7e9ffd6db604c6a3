package records

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Sample limits what a following reader takes from a topic that is too fast to watch. In each Window it reads about
// Records or Bytes, then skips the records written meanwhile and continues near the end. Skipped records are not
// fetched, so they cost neither the broker nor the reader anything, except for a fetch in flight.
type Sample struct {
	Window  time.Duration
	Records int64 // limit of one window
	Bytes   int64 // limit of one window, in bytes of keys, values and headers
}

// Limits of what a sampling reader fetches at once.
const (
	sampleMaxBytes       = 1 << 20
	samplePartitionBytes = 256 << 10
)

// sampleNewest is how many records before the end of a partition a skip ends, so that the latest records appear even if
// none follow.
const sampleNewest = 20

// sampling is what was read in the present window.
type sampling struct {
	window         time.Time // when it began
	records, bytes int64
}

func (s *sampling) add(list []kafka.Record) {
	s.records += int64(len(list))
	for i := range list {
		s.bytes += int64(list[i].Size())
	}
}

// leap waits for the end of a window whose limit was reached, and moves near the end of each partition that is behind.
// It returns how many offsets it skipped.
func (r *Reader) leap(ctx context.Context) (skipped int64, err error) {
	s := r.q.Sample
	if s == nil || !r.following {
		return 0, nil
	}
	spent := time.Since(r.sample.window)
	if r.sample.records < s.Records && r.sample.bytes < s.Bytes {
		if spent > s.Window {
			r.sample = sampling{window: time.Now()}
		}
		return 0, nil
	}
	if !backoff.Sleep(ctx, s.Window-spent) {
		return 0, ctx.Err()
	}
	r.sample = sampling{window: time.Now()}
	l, err := call(ctx, r, followLook, r.locate)
	if err != nil {
		return 0, ctx.Err() // if the end offsets cannot be requested, reading continues
	}
	for id, e := range l.extents {
		p, at := r.parts[id], e.End-sampleNewest
		if p == nil || at <= p.at || l.topic.ID != r.id {
			continue
		}
		skipped += at - p.at
		p.at, p.span.From = at, at
	}
	return skipped, nil
}
