package records

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/inflate"
)

// Next returns the next records. It waits for at least one record, a note or progress over offsets that hold no records.
// It returns ErrEnd when everything was read. It ends with ctx, and if a broker does not answer within the request
// timeout (kafka.ErrSilent). While following it reports that as Trouble instead. Notes also come with an error.
func (r *Reader) Next(ctx context.Context) (Batch, error) {
	b, err := r.next(ctx)
	switch {
	case err == nil || errors.Is(err, ErrEnd):
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case r.following && recoverable(err):
		b, err = r.troubled(err), nil
	}
	b.Notes, r.notes = append(b.Notes, r.notes...), nil
	if err != nil && !errors.Is(err, ErrEnd) {
		err = fmt.Errorf("consume %s: %w", r.q.Topic, err)
	}
	return b, err
}

func (r *Reader) next(ctx context.Context) (Batch, error) {
	if err := r.failed; err != nil {
		r.failed = nil
		return Batch{}, err
	}
	if err := r.recover(ctx); err != nil {
		return Batch{}, err
	}
	if skipped, err := r.leap(ctx); skipped > 0 || err != nil {
		return Batch{Skipped: skipped}, err
	}
	if !r.delayed {
		r.heard = time.Now() // the caller's own time between two calls does not count
	}
	for {
		switch {
		case ctx.Err() != nil:
			return Batch{}, ctx.Err()
		case !r.open():
			return Batch{}, ErrEnd
		case time.Since(r.heard) > r.cfg.RequestTimeout:
			return Batch{}, r.silent()
		}
		if err := r.refresh(ctx); err != nil {
			return Batch{}, err
		}
		if r.pieced {
			r.pieced = false
			return Batch{Piece: true}, nil
		}
		r.fetch()
		if len(r.busy) == 0 { // no leader is known
			r.stale = true
			continue
		}
		a, err := r.wait(ctx)
		if err != nil {
			return Batch{}, err
		}
		b, err := r.take(a)
		if len(b.Records) > 0 || b.progress || b.Trouble != nil {
			if r.failed = err; err == nil && r.q.Sample == nil {
				r.fetch() // the caller works meanwhile
			}
			return b, nil
		}
		if err != nil || len(r.notes) > 0 {
			return b, err
		}
	}
}

// silent returns the error about brokers that do not answer.
func (r *Reader) silent() error {
	if r.last != nil {
		return fmt.Errorf("%w for %v: %w", kafka.ErrSilent, r.cfg.RequestTimeout, r.last)
	}
	return fmt.Errorf("%w for %v", kafka.ErrSilent, r.cfg.RequestTimeout)
}

// wait returns the next answer to a fetch.
func (r *Reader) wait(ctx context.Context) (answer, error) {
	deadline := time.NewTimer(r.cfg.RequestTimeout - time.Since(r.heard))
	defer deadline.Stop()
	select {
	case a := <-r.answers:
		return a, nil
	case <-ctx.Done():
		return answer{}, ctx.Err()
	case <-deadline.C:
		return answer{}, r.silent()
	}
}

// take notes what an answer contains.
func (r *Reader) take(a answer) (Batch, error) {
	delete(r.busy, a.leader)
	if a.pointed != r.pointed {
		return Batch{}, nil
	}
	b := Batch{Took: a.took}
	if a.err != nil {
		return r.delay(b, a.err)
	}
	r.last, r.delayed = nil, false
	var fail error
	var moved, waiting []*part
	from, full := 0, false
	for _, got := range a.parts {
		p, to := r.parts[got.id], from+got.records
		if p == nil || p.at != got.at { // a sample left these records out
			a.records = slices.Delete(a.records, from, to)
			continue
		}
		if err := r.advance(p, got, a.records[from:to]); err != nil {
			fail = cmp.Or(fail, err)
		}
		from, full = to, full || errors.Is(got.err, inflate.ErrFetchFull)
		if p.at != got.at {
			moved = append(moved, p)
		}
	}
	for _, p := range r.order {
		if !slices.Contains(moved, p) {
			waiting = append(waiting, p)
		}
	}
	r.order = append(waiting, moved...)
	b.Records, b.progress = a.records, len(moved) > 0
	if len(b.Records) > 0 {
		r.retries, r.said = 0, ""
		if r.q.Sample != nil {
			r.sample.add(b.Records)
		}
	}
	if b.progress && r.backward() && !slices.ContainsFunc(r.order, (*part).open) {
		b.Piece = true
		r.finish()
	}
	if fail == nil && !b.progress && r.last != nil && !r.cut {
		return r.delay(b, r.last)
	}
	if !r.following && !b.progress && !full { // what other leaders sent took the room of a full fetch
		r.stale = true // pauses before the next fetch
	}
	return b, fail
}

// delay handles an error after which the fetch is sent again. It returns errors that a retry cannot fix.
func (r *Reader) delay(b Batch, err error) (Batch, error) {
	var broker *kerr.Error
	if errors.As(err, &broker) && !kerr.IsRetriable(broker) {
		return b, err
	}
	r.last, r.stale, r.delayed = err, true, true
	if r.following {
		b.Trouble = err
	}
	return b, nil
}

// advance moves a partition over what a fetch returned of it.
func (r *Reader) advance(p *part, got fetched, list []kafka.Record) error {
	var large *kgo.ErrDecompressTooLarge
	switch err := got.err; {
	case err == nil:
		if got.next > got.at || got.stored == 0 { // else it is a batch that cannot be read
			r.heard = time.Now()
		}
	case errors.As(err, &large):
		r.heard = time.Now()
		r.note("partition %d, offset %d: a batch would decompress to more than %d bytes and is passed over", p.id, large.Offset, readMaxDecompress)
		got.next = large.NextOffset
	case errors.Is(err, inflate.ErrFetchFull):
		r.heard = time.Now()
		return nil
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return errAway
	case errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.InconsistentTopicID):
		return fmt.Errorf("%w: %w", errGone, err)
	case errors.Is(err, kerr.OffsetOutOfRange):
		r.last, r.stale, r.cut = err, true, true
		return nil
	case kerr.IsRetriable(err):
		r.last = err
		return nil
	default:
		return err
	}
	switch {
	case got.next > p.at:
		if r.backward() && p.at == p.from {
			p.from = got.from
		}
		p.empty, p.at = 0, min(got.next, p.to)
		if got.stored > 0 {
			p.stored, p.batch = float64(got.stored)/float64(got.next-got.from), max(p.batch, got.batch)
		}
	case got.nothing && !r.following:
		if p.empty++; p.empty < emptyForGap || !got.whole && p.empty < emptyAtAll {
			break
		}
		r.note("partition %d: offsets %d to %d hold no records for readers", p.id, p.at, p.to-1)
		p.empty, p.at = 0, p.to
	}
	if !r.backward() {
		p.span.From = p.at
	}
	if r.backward() {
		p.records += int64(len(list))
		for i := range list {
			p.bytes += int64(list[i].Size())
		}
	}
	return nil
}
