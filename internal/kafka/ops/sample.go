package ops

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Sample bounds what a reader that follows takes of a topic that is faster than
// anybody can look: in each Window it reads about Records or
// Bytes, then leaves out what
// was written meanwhile and goes on near the end. What it leaves out is not
// fetched, so neither the broker nor the reader pays for it, but for a fetch
// that was under way.
type Sample struct {
	Window  time.Duration
	Records int64               // enough for one window
	Bytes   int64               // and so is this much of keys and values
	Skipped func(records int64) // told how many offsets were left out
}

// What a reader that samples fetches ahead is thrown away when it leaps.
const (
	sampleMaxBytes       = 1 << 20
	samplePartitionBytes = 256 << 10
)

// sampleNewest is how many records before the end of a partition a leap ends,
// so that the newest are seen also where nothing follows them.
const sampleNewest = 20

// What a frugal reader fetches ahead. What is decompressed is in memory twice:
// with who looks at it, and fetched meanwhile.
const (
	frugalMaxBytes       = 1 << 20
	frugalPartitionBytes = 512 << 10
	frugalInflated       = 8 << 20
)

// fetchAhead is what a client may fetch before it is asked for.
type fetchAhead struct {
	bytes, partition int32 // compressed
	inflated         int   // bytes, to which a last batch may add its own
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

// leap waits for the end of a window in which enough was read, and goes near
// the end of each partition that is behind.
func (r *reader) leap(ctx context.Context) error {
	s := r.spec.Sample
	spent := time.Since(r.window)
	if r.looked < s.Records && r.size < s.Bytes {
		if spent > s.Window {
			r.window, r.looked, r.size = time.Now(), 0, 0
		}
		return nil
	}
	pause(ctx, s.Window-spent)
	r.window, r.looked, r.size = time.Now(), 0, 0
	ask, cancel := context.WithTimeout(ctx, followLook)
	defer cancel()
	ends, err := kadm.NewClient(r.client).ListCommittedOffsets(ask, r.spec.Topic)
	if err != nil || ctx.Err() != nil {
		return ctx.Err() // what cannot be asked is read
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
