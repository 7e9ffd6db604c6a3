package broker

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Bits of a batch's attributes (KIP-98).
const (
	compressionBits = 0x07
	appendTimeBit   = 0x08
)

// checkBatch returns an error for an invalid batch that kfake would accept. It ignores batches that kfake refuses.
func checkBatch(b []byte) *problem {
	if len(b) < batchHead {
		return nil
	}
	attributes := binary.BigEndian.Uint16(b[21:])
	if attributes&appendTimeBit != 0 {
		// kfake would write its own time into the batch and keep the checksum. At the next start the batch, and all
		// batches after it, would count as damaged.
		return &problem{kerr.InvalidTimestamp.Code, "Invalid timestamp type in message: producers should not set timestamp type to LogAppendTime"}
	}
	if claimed := int(binary.BigEndian.Uint32(b[57:])); attributes&compressionBits == 0 && claimed != records(b[batchHead:], claimed) {
		return &problem{kerr.InvalidRecord.Code, fmt.Sprintf("The batch claims %d records and holds others", claimed)}
	}
	return nil
}

// records counts uncompressed records, at most to most+1.
func records(raw []byte, most int) (n int) {
	r := kbin.Reader{Src: raw}
	for n <= most && len(r.Src) > 0 {
		size := int(r.Varint())
		if size <= 0 {
			return -1
		}
		if r.Span(size); !r.Ok() {
			return -1
		}
		n++
	}
	return n
}

// filterProduce removes batches that must not be stored from a request, and returns an edit that adds their errors to
// the reply. full means that the disk is full.
func (c *conn) filterProduce(req *kmsg.ProduceRequest, full bool) (func(kmsg.Response), bool) {
	var (
		refused []kmsg.ProduceResponseTopic
		topics  []kmsg.ProduceRequestTopic
	)
	for _, t := range req.Topics {
		kept, bad := sift(t.Partitions, func(p kmsg.ProduceRequestTopicPartition) *problem {
			if full {
				return diskFull()
			}
			if why := checkBatch(p.Records); why != nil {
				return why
			}
			return c.topics.checkKeys(t.Topic, p.Records)
		}, func(p kmsg.ProduceRequestTopicPartition, why *problem) kmsg.ProduceResponseTopicPartition {
			e := kmsg.NewProduceResponseTopicPartition()
			e.Partition, e.ErrorCode, e.BaseOffset, e.LogAppendTime, e.LogStartOffset = p.Partition, why.code, -1, -1, -1
			e.ErrorMessage = &why.message
			return e
		})
		if len(bad) > 0 {
			e := kmsg.NewProduceResponseTopic()
			e.Topic, e.Partitions = t.Topic, bad
			refused = append(refused, e)
		}
		if t.Partitions = kept; len(kept) > 0 || len(bad) == 0 {
			topics = append(topics, t)
		}
	}
	if len(refused) == 0 {
		return nil, false
	}
	req.Topics = topics
	return func(resp kmsg.Response) {
		r, ok := resp.(*kmsg.ProduceResponse)
		if !ok {
			return
		}
		for _, e := range refused {
			r.Topics = merge(r.Topics, e)
		}
	}, true
}

// merge adds partitions to the reply for their topic: clients expect each topic once.
func merge(topics []kmsg.ProduceResponseTopic, more kmsg.ProduceResponseTopic) []kmsg.ProduceResponseTopic {
	for i := range topics {
		if topics[i].Topic == more.Topic {
			topics[i].Partitions = append(topics[i].Partitions, more.Partitions...)
			return topics
		}
	}
	return append(topics, more)
}

// diskFull is the error for clients when the disk is full. They retry.
func diskFull() *problem {
	return &problem{kerr.KafkaStorageError.Code, "the disk of the broker is full"}
}

// filterCommit refuses group offsets when the disk is full: kfake would acknowledge and lose them.
func filterCommit(req *kmsg.OffsetCommitRequest) (func(kmsg.Response), bool) {
	asked := req.Topics
	req.Topics = nil
	return func(resp kmsg.Response) {
		r, ok := resp.(*kmsg.OffsetCommitResponse)
		if !ok {
			return
		}
		for _, t := range asked {
			e := kmsg.NewOffsetCommitResponseTopic()
			e.Topic, e.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				one := kmsg.NewOffsetCommitResponseTopicPartition()
				one.Partition, one.ErrorCode = p.Partition, kerr.CoordinatorNotAvailable.Code
				e.Partitions = append(e.Partitions, one)
			}
			r.Topics = append(r.Topics, e)
		}
	}, true
}
