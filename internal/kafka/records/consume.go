package records

import (
	"context"
	"errors"
	"fmt"
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
	Read  func(records int64)              // called from time to time with the number of records read; may be nil
	Say   func(text string)                // called with notes for the user; may be nil
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

// Consume calls emit with each record. The last records come oldest first across partitions by timestamp. From a
// position, records come as they are read, in offset order within a partition, and none are held.
//
// Without Follow it ends when it has read what was in the log when it began; see Reader.Next. An error of emit ends
// Consume and is returned.
func Consume(ctx context.Context, cfg kafka.Config, spec ConsumeSpec, emit func(kafka.Record) error) error {
	if err := spec.check(); err != nil {
		return err
	}
	r, err := Open(ctx, cfg, spec.query())
	if err != nil {
		return err
	}
	defer r.Close()
	c := consumer{r: r, spec: spec}
	if spec.last() {
		list, err := c.last(ctx)
		for _, rec := range list {
			if err := emit(rec); err != nil {
				return c.failed(err)
			}
		}
		if err != nil || !spec.Follow {
			return err
		}
		r.Follow()
		c.spec.Limit = 0
	}
	return c.each(ctx, emit)
}

// consumer is one Consume.
type consumer struct {
	r    *Reader
	spec ConsumeSpec
	read int64
}

// next returns the next batch and passes on what came with it.
func (c *consumer) next(ctx context.Context) (Batch, error) {
	b, err := c.r.Next(ctx)
	if c.spec.Say != nil {
		for _, text := range b.Notes {
			c.spec.Say(text)
		}
	}
	return b, err
}

// wants counts a record and reports whether it passes the filter.
func (c *consumer) wants(r kafka.Record) (bool, error) {
	c.read++
	if c.spec.Where == nil {
		return true, nil
	}
	return c.spec.Where(r)
}

// failed wraps an error of the caller's functions.
func (c *consumer) failed(err error) error { return fmt.Errorf("consume %s: %w", c.spec.Topic, err) }

func (c *consumer) progress(b Batch) {
	if c.spec.Read != nil && len(b.Records) > 0 {
		c.spec.Read(c.read)
	}
}

// each hands over records in the order in which they are read.
func (c *consumer) each(ctx context.Context, emit func(kafka.Record) error) error {
	for given := 0; ; {
		b, err := c.next(ctx)
		if errors.Is(err, ErrEnd) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, rec := range b.Records {
			wanted, err := c.wants(rec)
			if err != nil {
				return c.failed(err)
			}
			if !wanted {
				continue
			}
			if err := emit(rec); err != nil {
				return c.failed(err)
			}
			if given++; given == c.spec.Limit {
				return nil
			}
		}
		c.progress(b)
	}
}

// last returns the last records, oldest first.
func (c *consumer) last(ctx context.Context) ([]kafka.Record, error) {
	if c.spec.Limit == 0 {
		return nil, nil
	}
	var out []kafka.Record
	give := func(r kafka.Record) error { out = append(out, r); return nil }
	latest := NewLatest[kafka.Record](c.spec.Limit)
	for whole := false; !whole && len(out) < c.spec.Limit; {
		b, err := c.next(ctx)
		if whole = errors.Is(err, ErrEnd); err != nil && !whole {
			return nil, err
		}
		for _, rec := range b.Records {
			latest.Saw(rec)
			wanted, err := c.wants(rec)
			if err != nil {
				return nil, c.failed(err)
			}
			if wanted {
				latest.Add(rec, rec)
			}
		}
		c.progress(b)
		if b.Piece || whole {
			_ = latest.Settle(c.r.Rest(), true, give) // give returns no error
		}
	}
	slices.Reverse(out)
	return out, nil
}
