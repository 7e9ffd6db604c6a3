package records

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/base/backoff"
)

// Sample limits what a following reader takes from a topic that is too fast to watch. In each Window it reads about
// Records or Bytes, then skips the records written meanwhile and continues near the end. Skipped records are not
// fetched, so they cost neither the broker nor the reader anything, except for a fetch in flight.
type Sample struct {
	Window  time.Duration
	Records int64               // limit of one window
	Bytes   int64               // limit of one window, in bytes of keys and values
	Skipped func(records int64) // called with the number of skipped offsets
}

// Limits of what a sampling reader fetches ahead. Such records are discarded when it skips forward.
const (
	sampleMaxBytes       = 1 << 20
	samplePartitionBytes = 256 << 10
)

// sampleNewest is how many records before the end of a partition a skip ends, so that the latest records appear even if
// none follow.
const sampleNewest = 20

// Limits of what a frugal reader fetches ahead. Decompressed records are in memory twice: those being processed and
// those fetched meanwhile.
const (
	frugalMaxBytes       = 1 << 20
	frugalPartitionBytes = 512 << 10
	frugalInflated       = 8 << 20
)

// fetchAhead limits what a client fetches in advance.
type fetchAhead struct {
	bytes, partition int32 // compressed
	inflated         int   // bytes; the last batch may exceed it by its own size
	fetches          int
}

func readAhead(spec ConsumeSpec) fetchAhead {
	if spec.Sample != nil {
		return fetchAhead{sampleMaxBytes, samplePartitionBytes, frugalInflated, 1}
	}
	if spec.Frugal {
		return fetchAhead{frugalMaxBytes, frugalPartitionBytes, frugalInflated, 1}
	}
	return fetchAhead{readMaxBytes, readPartitionBytes, readMaxDecompress, 2}
}

// leap waits for the end of a window whose limit was reached, and moves near the end of each partition that is behind.
func (r *reader) leap(ctx context.Context) error {
	s := r.spec.Sample
	spent := time.Since(r.window)
	if r.looked < s.Records && r.size < s.Bytes {
		if spent > s.Window {
			r.window, r.looked, r.size = time.Now(), 0, 0
		}
		return nil
	}
	backoff.Sleep(ctx, s.Window-spent)
	r.window, r.looked, r.size = time.Now(), 0, 0
	ask, cancel := context.WithTimeout(ctx, followLook)
	defer cancel()
	ends, err := kadm.NewClient(r.client).ListCommittedOffsets(ask, r.spec.Topic)
	if err != nil || ctx.Err() != nil {
		return ctx.Err() // if the end offsets cannot be requested, reading continues
	}
	skipped := int64(0)
	to := map[int32]kgo.EpochOffset{}
	ends.Each(func(o kadm.ListedOffset) {
		e, open := r.pos[o.Partition]
		at := o.Offset - sampleNewest
		if !open || o.Err != nil || at <= e.from {
			return
		}
		skipped += at - e.from
		e.from = at
		r.pos[o.Partition] = e
		to[o.Partition] = kgo.EpochOffset{Epoch: -1, Offset: at}
		if r.spec.leapt != nil {
			r.spec.leapt(o.Partition, at)
		}
	})
	if len(to) == 0 {
		return nil
	}
	r.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{r.spec.Topic: to})
	if s.Skipped != nil {
		s.Skipped(skipped)
	}
	return nil
}
