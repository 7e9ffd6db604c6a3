package records

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
)

// BatchInfo holds the metadata of the batch that contains a record.
type BatchInfo struct {
	First         int64  `json:"firstOffset"`
	Last          int64  `json:"lastOffset"`
	Records       int32  `json:"records"`
	Bytes         int    `json:"bytes"` // stored size, compressed
	Compression   string `json:"compression"`
	Transactional bool   `json:"transactional"`
	ProducerID    int64  `json:"producerId"` // -1: the producer is not idempotent
}

// batchHead is the length of the header before a batch's records; the others are the positions of its fields (Kafka's
// record batch, magic 2).
const (
	batchHead    = 61
	batchLength  = 8
	batchMagic   = 16
	batchAttrs   = 21
	batchLastOff = 23
	batchPID     = 43
	batchCount   = 57
)

// BatchOf requests the batch that holds an offset from the leader. It does not read batches from before Kafka 0.11.
func BatchOf(ctx context.Context, a *kafka.Admin, topic string, partition int32, offset int64) (BatchInfo, error) {
	d, err := admin.PartitionsOf(ctx, a, topic, []int32{partition})
	if err != nil {
		return BatchInfo{}, err
	}
	req := fetchRequest(topic, d.ID)
	req.MaxBytes = 1 // one byte is enough to get one batch (KIP-74)
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes, part.CurrentLeaderEpoch = partition, offset, 1, -1
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, part)
	answer, err := a.Client().Broker(int(d.Partitions[partition].Leader)).RetriableRequest(ctx, req)
	if err != nil {
		return BatchInfo{}, fmt.Errorf("fetch %s/%d: %w", topic, partition, err)
	}
	resp, ok := answer.(*kmsg.FetchResponse)
	if !ok || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return BatchInfo{}, fmt.Errorf("fetch %s/%d: the broker answers without it", topic, partition)
	}
	got := resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
		return BatchInfo{}, fmt.Errorf("fetch %s/%d: %w", topic, partition, err)
	}
	return parseBatch(got.RecordBatches, offset)
}

func parseBatch(b []byte, offset int64) (BatchInfo, error) {
	if len(b) < batchHead || b[batchMagic] != 2 {
		return BatchInfo{}, fmt.Errorf("no batch of a format that is known holds offset %d", offset)
	}
	first := int64(binary.BigEndian.Uint64(b))
	attrs := binary.BigEndian.Uint16(b[batchAttrs:])
	out := BatchInfo{
		First: first, Last: first + int64(int32(binary.BigEndian.Uint32(b[batchLastOff:]))), Records: int32(binary.BigEndian.Uint32(b[batchCount:])),
		Bytes: 12 + int(binary.BigEndian.Uint32(b[batchLength:])), Compression: kafka.Origin{Attrs: uint8(attrs)}.Compression(),
		Transactional: attrs&0x10 != 0, ProducerID: int64(binary.BigEndian.Uint64(b[batchPID:])),
	}
	if offset < out.First || offset > out.Last {
		return BatchInfo{}, fmt.Errorf("offset %d is in no batch", offset)
	}
	return out, nil
}
