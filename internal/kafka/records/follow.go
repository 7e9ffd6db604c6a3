package records

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
)

// followLook is how often a following reader checks that the topic is still the same. Brokers before Kafka 3.1 continue
// with a new topic of the same name, whose offsets come much later.
const followLook = 2 * time.Second

// stalePause is the pause before leaders are asked for: errors would return as fast as the network answers.
const stalePause = 100 * time.Millisecond

// refresh asks for the leaders of the partitions if they may have changed, and while following also whether the topic is
// still the same. It returns errAway if the topic does not exist, errGone if it was created again, and errGrown if a
// following reader of all partitions has to begin with more.
func (r *Reader) refresh(ctx context.Context) error {
	if !r.stale && !(r.following && time.Since(r.looked) > followLook) {
		return nil
	}
	if r.stale && !backoff.Sleep(ctx, stalePause) {
		return ctx.Err()
	}
	r.looked = time.Now()
	now, err := call(ctx, r, followLook, r.look)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		r.last = cmp.Or(r.last, err)
		return nil
	}
	switch err := kerr.ErrorForCode(now.ErrorCode); {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return errAway
	case err != nil:
		r.last = err
		return nil
	case now.TopicID != r.id:
		return errGone
	case r.following && len(r.q.Partitions) == 0 && len(now.Partitions) > r.partitions:
		return errGrown
	}
	r.stale = false
	for _, leads := range now.Partitions {
		if p := r.parts[leads.Partition]; p != nil {
			if p.leader = leads.Leader; p.leader < 0 && p.open() {
				r.last, r.stale = kerr.LeaderNotAvailable, true
			}
		}
	}
	if r.cut {
		return r.skipDeleted(ctx)
	}
	return nil
}

// look asks a broker for the topic.
func (r *Reader) look(ctx context.Context) (kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(r.q.Topic)
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, r.client.Client())
	switch {
	case err != nil:
		return kmsg.MetadataResponseTopic{}, err
	case len(resp.Topics) != 1:
		return kmsg.MetadataResponseTopic{}, errors.New("the broker answers without the topic")
	}
	return resp.Topics[0], nil
}

// skipDeleted moves partitions whose next offset is not in the log to its beginning.
func (r *Reader) skipDeleted(ctx context.Context) error {
	l, err := call(ctx, r, r.cfg.RequestTimeout, r.locate)
	if err != nil {
		r.last, r.stale = cmp.Or(r.last, err), true
		return ctx.Err()
	}
	r.cut = false
	for _, p := range r.order {
		e, listed := l.extents[p.id]
		switch {
		case !listed || !p.open():
			continue
		case p.at > e.Written:
			return fmt.Errorf("partition %d was cut while it was read: %w", p.id, kerr.OffsetOutOfRange)
		case p.at < e.Start:
			to := min(e.Start, p.to)
			r.note("partition %d: offsets %d to %d were deleted before they were read", p.id, p.at, to-1)
			p.at = to
			p.span.From = min(max(p.span.From, e.Start), p.span.To)
		}
	}
	if r.backward() && !r.open() {
		r.finish()
		r.pieced = true
	}
	return nil
}

// recoverable reports whether a following reader waits until an error passes.
func recoverable(err error) bool {
	return errors.Is(err, errGone) || errors.Is(err, errAway) || errors.Is(err, errGrown) || errors.Is(err, admin.ErrNoTopic) || errors.Is(err, kafka.ErrSilent)
}

// troubled keeps an error for the next call, which recovers from it.
func (r *Reader) troubled(err error) Batch {
	r.trouble = err
	if errors.Is(err, errGrown) {
		return Batch{} // reading continues
	}
	if text := err.Error(); text != r.said {
		r.note("%v; waiting for it", err)
		r.said = text
	}
	return Batch{Trouble: err}
}

var followRetry = backoff.Policy{Base: 200 * time.Millisecond, Max: 5 * time.Second, Factor: 2}

// recover continues after an error: with the same partitions, with those that were added, or from the beginning of a
// topic that was created again.
func (r *Reader) recover(ctx context.Context) error {
	err := r.trouble
	if r.trouble = nil; err == nil {
		return nil
	}
	if !errors.Is(err, errGrown) {
		if !followRetry.Wait(ctx, r.retries) {
			return ctx.Err()
		}
		r.retries++
	}
	r.stale, r.delayed, r.heard = true, false, time.Now()
	if errors.Is(err, kafka.ErrSilent) {
		return nil
	}
	l, err := call(ctx, r, r.cfg.RequestTimeout, r.locate)
	if err != nil {
		return ctx.Err() // the next look finds what is wrong
	}
	if l.topic.ID != r.id {
		r.parts, r.order = map[int32]*part{}, nil
		r.cut = false
	}
	r.pointed++
	r.found(l)
	for id, e := range l.extents {
		if r.parts[id] == nil {
			r.part(id, Span{e.Start, endless})
		}
	}
	return nil
}
