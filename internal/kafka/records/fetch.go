package records

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/kafka"
)

// Limits of a fetch. readMaxBytes limits what is fetched ahead; readMaxDecompress protects memory from compression bombs.
const (
	readMaxBytes       = 8 << 20                // compressed
	readPartitionBytes = 2 << 20                // a larger batch still arrives, alone (KIP-74)
	readMaxDecompress  = 64 << 20               // of a batch, and of the batches before it in one fetch
	fetchWait          = 250 * time.Millisecond // how long a broker holds a fetch without data
	roomSpare          = 1.1                    // batches differ in size
	emptyForGap        = 2                      // so many answers in a row, from a leader whose log reaches further: its offsets hold no records
	emptyAtAll         = 40                     // so many in a row from a leader whose log ends before: it lost records
)

// Limits of what a frugal reader fetches ahead. Decompressed records are in memory twice: those being processed and
// those fetched meanwhile.
const (
	frugalMaxBytes       = 1 << 20
	frugalPartitionBytes = 512 << 10
	frugalInflated       = 8 << 20
)

// fetchAhead limits what a reader fetches in advance from each leader.
type fetchAhead struct {
	bytes, partition int32 // compressed
	inflated         int   // bytes; the last batch may exceed it by its own size
}

func (q Query) fetchAhead() fetchAhead {
	switch {
	case q.Sample != nil:
		return fetchAhead{sampleMaxBytes, samplePartitionBytes, frugalInflated}
	case q.Frugal:
		return fetchAhead{frugalMaxBytes, frugalPartitionBytes, frugalInflated}
	}
	return fetchAhead{readMaxBytes, readPartitionBytes, readMaxDecompress}
}

// answer is the result of one fetch from a leader.
type answer struct {
	leader  int32
	pointed int // of the reader when the fetch began
	parts   []fetched
	records []kafka.Record // of the parts, one after the other
	took    time.Duration
	err     error
}

// fetched is what a fetch returned of one partition.
type fetched struct {
	id         int32
	at         int64 // the offset that was asked for
	from, next int64 // the offsets that it covers; next is at most at if there is no progress
	records    int   // number of its records in the answer
	stored     int   // bytes in the log between from and next
	batch      int   // bytes of the largest batch
	nothing    bool  // the leader has no batch at at or later, for readers
	whole      bool  // its log reaches at least to the end of what was asked for
	err        error
}

// wanted is what a fetch asks of one partition.
type wanted struct {
	id     int32
	at, to int64
	back   int64 // with Newest: a batch that begins before at is read from its beginning, but not before this offset
}

// fetch sends a fetch to each leader that has none under way.
func (r *Reader) fetch() {
	if r.stale {
		return
	}
	leaders := map[int32][]*part{}
	for _, p := range r.order {
		if _, busy := r.busy[p.leader]; p.open() && p.leader >= 0 && !busy {
			leaders[p.leader] = append(leaders[p.leader], p)
		}
	}
	for leader, parts := range leaders {
		req, asks := r.request(parts)
		r.busy[leader] = true
		pointed := r.pointed
		r.work.Go(func() {
			a := answer{leader: leader, pointed: pointed}
			began := time.Now()
			resp, err := r.client.Client().Broker(int(leader)).Request(r.line, req)
			a.took = time.Since(began)
			if got, ok := resp.(*kmsg.FetchResponse); err == nil && ok {
				a.err = r.decode(got, asks, &a)
			} else {
				a.err = errors.Join(err)
			}
			select {
			case r.answers <- a:
			case <-r.line.Done():
			}
		})
	}
}

// request asks for the records of partitions that have the same leader.
func (r *Reader) request(parts []*part) (*kmsg.FetchRequest, []wanted) {
	req := fetchRequest(r.q.Topic, r.id)
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(fetchWait.Milliseconds()), 1, r.ahead.bytes
	if !r.q.Uncommitted {
		req.IsolationLevel = 1
	}
	var asks []wanted
	for _, p := range parts {
		back := p.at
		if r.backward() && p.at == p.from {
			back = p.span.From
		}
		asks = append(asks, wanted{p.id, p.at, p.to, back})
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition, part.FetchOffset, part.CurrentLeaderEpoch = p.id, p.at, -1
		part.PartitionMaxBytes = r.room(p, len(parts) == 1)
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, part)
	}
	return req, asks
}

// room returns how many bytes to ask for: those up to the end of the span, and one batch, because a broker cuts the last
// batch off at that limit. Only the first partition of a fetch gets a batch that is larger (KIP-74).
func (r *Reader) room(p *part, alone bool) int32 {
	n := p.to - p.at
	switch {
	case n == 1 && alone:
		return 1
	case p.stored == 0:
		return r.ahead.partition
	}
	return int32(min(float64(n)*p.stored*roomSpare+float64(p.batch), float64(r.ahead.partition)))
}

// fetchRequest returns a fetch without a session, for partitions of one topic that are to be added.
func fetchRequest(topic string, id [16]byte) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.SessionEpoch = -1, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = topic, id
	req.Topics = append(req.Topics, t)
	return req
}

// decode reads the records of a response.
func (r *Reader) decode(resp *kmsg.FetchResponse, asks []wanted, a *answer) error {
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil || len(resp.Topics) == 0 {
		return err
	}
	got := map[int32]*kmsg.FetchResponseTopicPartition{}
	bytes := 0
	for i := range resp.Topics[0].Partitions {
		p := &resp.Topics[0].Partitions[i]
		got[p.Partition] = p
		bytes += len(p.RecordBatches)
	}
	var lists [][]*kgo.Record
	total := 0
	for i, w := range asks {
		p := got[w.id]
		if p == nil {
			continue // no room in this response
		}
		f := fetched{id: w.id, at: w.at, from: w.at, next: w.at}
		if len(p.RecordBatches) == 0 && p.ErrorCode == 0 {
			f.nothing = i == 0 || bytes == 0 // the limit of bytes may leave out all partitions but the first
			f.whole = r.readable(p) >= w.to
		} else {
			list := r.records(w, p, &f)
			lists, f.records = append(lists, list), len(list)
			total += len(list)
		}
		a.parts = append(a.parts, f)
	}
	a.records = make([]kafka.Record, 0, total)
	for _, list := range lists {
		for _, rec := range list {
			a.records = append(a.records, recordOf(rec))
		}
	}
	return nil
}

// readable returns the end of what the leader gives of a partition.
func (r *Reader) readable(p *kmsg.FetchResponseTopicPartition) int64 {
	if r.q.Uncommitted {
		return p.HighWatermark
	}
	return p.LastStableOffset
}

// records decodes what a response holds of one partition.
func (r *Reader) records(w wanted, p *kmsg.FetchResponseTopicPartition, f *fetched) []*kgo.Record {
	all := len(p.RecordBatches)
	if all >= 8 && p.ErrorCode == 0 {
		f.from = max(w.back, min(w.at, int64(binary.BigEndian.Uint64(p.RecordBatches))))
	}
	p.RecordBatches, f.batch = before(p.RecordBatches, w.to)
	if f.stored = len(p.RecordBatches); f.stored == 0 && all > 0 { // the first batch is behind the end
		f.next = w.to
		return nil
	}
	opts := kgo.ProcessFetchPartitionOpts{Topic: r.q.Topic, Partition: w.id, Offset: f.from, IsolationLevel: kgo.ReadCommitted()}
	if r.q.Uncommitted {
		opts.IsolationLevel = kgo.ReadUncommitted()
	}
	part, next := kgo.ProcessFetchPartition(opts, p, r.inflater, nil)
	f.next, f.err = next, part.Err
	list := part.Records
	if len(list) > 0 { // the error is of the batch after them and comes again
		f.err = nil
	}
	for len(list) > 0 && list[len(list)-1].Offset >= w.to {
		list = list[:len(list)-1]
	}
	return list
}

// before cuts off the batches that begin at an offset or later. It returns the size of the largest of the others.
func before(batches []byte, to int64) (cut []byte, largest int) {
	const head = 12 // offset and length
	for at := 0; at+head <= len(batches); {
		if int64(binary.BigEndian.Uint64(batches[at:])) >= to {
			return batches[:at], largest
		}
		length := int(int32(binary.BigEndian.Uint32(batches[at+8:])))
		if length < 0 {
			break
		}
		at += head + length
		largest = max(largest, head+length)
	}
	return batches, largest
}

func recordOf(r *kgo.Record) kafka.Record {
	out := kafka.Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		Key: r.Key, Value: r.Value, Timestamp: timeOf(r.Timestamp), Origin: kafka.OriginOf(r),
	}
	if len(r.Headers) > 0 {
		out.Headers = make([]kafka.Header, len(r.Headers))
		for i, h := range r.Headers {
			out.Headers[i] = kafka.Header(h)
		}
	}
	return out
}
