package records

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
)

// ConsumeSpec defines what Consume reads from a topic.
type ConsumeSpec struct {
	Topic      string
	Partitions []int32 // empty: all

	Limit     int             // the last Limit records; with Beginning or From the first Limit records. 0: no existing records, or all of them with Beginning or From
	Beginning bool            // start with the oldest record
	From      *admin.Position // start at this position in each partition
	Until     *admin.Position // end at this position in each partition; nil: at the end of the log when reading begins
	Follow    bool            // continue with records that are written later, until ctx ends

	Where func(kafka.Record) (bool, error) // filter of records; an error ends reading; nil: all
}

// Chunk is what Consume read since the chunk before. It may have no records.
type Chunk struct {
	Records []kafka.Record // those that pass the filter
	Notes   []string       // texts for the user, such as offsets that were deleted before they were read
	Read    int64          // number of records that were read so far, with those that do not pass the filter
}

// maxLast limits how many records are held to find the last records of all partitions.
const maxLast = 100_000

func (s ConsumeSpec) check() error {
	switch {
	case s.Limit < 0:
		return fmt.Errorf("consume %s: %d records are less than none", s.Topic, s.Limit)
	case s.Limit > maxLast && s.last():
		return fmt.Errorf("consume %s: the last %d records are more than %d; name a position to start from", s.Topic, s.Limit, maxLast)
	case s.Follow && s.Until != nil:
		return fmt.Errorf("consume %s: it is to follow and to end", s.Topic)
	}
	return nil
}

// last reports whether the latest existing records are wanted.
func (s ConsumeSpec) last() bool { return !s.Beginning && s.From == nil }

func (s ConsumeSpec) query() Query {
	q := Query{Topic: s.Topic, Partitions: s.Partitions, From: s.From, Until: s.Until, Newest: s.last()}
	q.Follow = s.Follow && !q.Newest
	if s.Where == nil {
		q.Piece = SmallPiece
	}
	return q
}

// Consume reads a topic in chunks. The last records come in one chunk, oldest first across partitions by timestamp. From a
// position, records come as they are read, in offset order within a partition, and none are held.
//
// Without Follow it ends when it has read what was in the log when it began; see Reader.Next. An error comes last, in a
// pair without a chunk. Reading ends with the loop over the chunks.
func Consume(ctx context.Context, cfg kafka.Config, spec ConsumeSpec) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		c := consumer{spec: spec, yield: yield}
		if err := c.run(ctx, cfg); err != nil && !errors.Is(err, errLeft) {
			yield(Chunk{}, err)
		}
	}
}

// errLeft means that the caller left its loop over the chunks.
var errLeft = errors.New("the caller has enough")

// consumer is one Consume.
type consumer struct {
	r     *Reader
	spec  ConsumeSpec
	yield func(Chunk, error) bool
	read  int64
}

func (c *consumer) run(ctx context.Context, cfg kafka.Config) error {
	if err := c.spec.check(); err != nil {
		return err
	}
	var err error
	if c.r, err = Open(ctx, cfg, c.spec.query()); err != nil {
		return err
	}
	defer c.r.Close()
	if c.spec.last() {
		if err := c.last(ctx); err != nil || !c.spec.Follow {
			return err
		}
		c.r.Follow()
		c.spec.Limit = 0
	}
	return c.each(ctx)
}

// give passes a chunk to the caller. It returns errLeft if the caller left its loop.
func (c *consumer) give(chunk Chunk) error {
	if chunk.Read = c.read; !c.yield(chunk, nil) {
		return errLeft
	}
	return nil
}

// next returns the next batch. Notes that come with an error are passed on before it.
func (c *consumer) next(ctx context.Context) (Batch, error) {
	b, err := c.r.Next(ctx)
	if err != nil && len(b.Notes) > 0 {
		if left := c.give(Chunk{Notes: b.Notes}); left != nil {
			return b, left
		}
		b.Notes = nil
	}
	return b, err
}

// wants counts a record and reports whether it passes the filter.
func (c *consumer) wants(r kafka.Record) (bool, error) {
	c.read++
	if c.spec.Where == nil {
		return true, nil
	}
	wanted, err := c.spec.Where(r)
	if err != nil {
		err = fmt.Errorf("consume %s: %w", c.spec.Topic, err)
	}
	return wanted, err
}

// each passes on records in the order in which they are read.
func (c *consumer) each(ctx context.Context) error {
	for given := 0; ; {
		b, err := c.next(ctx)
		if errors.Is(err, ErrEnd) {
			return nil
		}
		if err != nil {
			return err
		}
		chunk := Chunk{Notes: b.Notes}
		var failed error
		for _, rec := range b.Records {
			var wanted bool
			if wanted, failed = c.wants(rec); failed != nil {
				break
			}
			if wanted {
				chunk.Records = append(chunk.Records, rec)
			}
			if c.spec.Limit > 0 && given+len(chunk.Records) == c.spec.Limit {
				break
			}
		}
		given += len(chunk.Records)
		if err := errors.Join(c.give(chunk), failed); err != nil {
			return err
		}
		if c.spec.Limit > 0 && given == c.spec.Limit {
			return nil
		}
	}
}

// last passes on the last records, oldest first.
func (c *consumer) last(ctx context.Context) error {
	if c.spec.Limit == 0 {
		return nil
	}
	var out []kafka.Record
	keep := func(r kafka.Record) error { out = append(out, r); return nil }
	latest := NewLatest[kafka.Record](c.spec.Limit)
	for whole := false; !whole && len(out) < c.spec.Limit; {
		b, err := c.next(ctx)
		if whole = errors.Is(err, ErrEnd); err != nil && !whole {
			return err
		}
		for _, rec := range b.Records {
			latest.Saw(rec)
			wanted, err := c.wants(rec)
			if err != nil {
				return err
			}
			if wanted {
				latest.Add(rec, rec)
			}
		}
		if b.Piece || whole {
			_ = latest.Settle(c.r.Rest(), true, keep) // keep returns no error
		}
		if err := c.give(Chunk{Notes: b.Notes}); err != nil { // shows the progress
			return err
		}
	}
	slices.Reverse(out)
	return c.give(Chunk{Records: out})
}
