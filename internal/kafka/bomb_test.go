package kafka_test

import (
	"hash/crc32"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// bomb is a record batch of a few kilobytes that holds one record of n zeros.
func bomb(t *testing.T, n int) []byte {
	t.Helper()
	rec := kmsg.Record{Value: make([]byte, n)}
	raw := rec.AppendTo(nil)
	// The length of a record is written in front of it and counts what follows;
	// AppendTo writes a zero there, one byte long.
	rec.Length = int32(len(raw) - 1)
	raw = rec.AppendTo(nil)
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	batch := kmsg.RecordBatch{
		Magic: 2, PartitionLeaderEpoch: -1, NumRecords: 1, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		Attributes: 4, // zstd
		Records:    enc.EncodeAll(raw, nil),
	}
	b := batch.AppendTo(nil)
	batch.Length = int32(len(b) - 12)
	b = batch.AppendTo(nil)
	batch.CRC = int32(crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return batch.AppendTo(nil)
}

func TestACompressionBombIsPassedOver(t *testing.T) {
	c := kafkatest.New(t, "a")
	p := producer(t, config(c))
	mustSend(t, p, "a", "before")
	admin, err := kafka.NewAdmin(config(c))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	part := kmsg.NewProduceRequestTopicPartition()
	part.Records = bomb(t, 80<<20)
	if len(part.Records) > 100_000 {
		t.Fatalf("the bomb has %d bytes", len(part.Records))
	}
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic, topic.Partitions = "a", append(topic.Partitions, part)
	topic.TopicID = topicID(t, c, "a")
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis, req.Topics = -1, 1000, append(req.Topics, topic)
	resp, err := req.RequestWith(t.Context(), admin.Client())
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); err != nil {
		t.Fatal(err)
	}
	mustSend(t, p, "a", "after")
	r := read(t, config(c), kafka.TailConfig{Topics: []string{"a"}})
	r.await(t, "what lies before and after the bomb", func(r *reader) bool { return has("before", "after")(r) && r.caught == 1 })
	if got := r.tail.Skipped(); got != 1 {
		t.Errorf("%d batches are counted as skipped, want 1", got)
	}
}

func topicID(t *testing.T, c *kafkatest.Cluster, topic string) [16]byte {
	t.Helper()
	info := c.Fake().TopicInfo(topic)
	return info.TopicID
}
