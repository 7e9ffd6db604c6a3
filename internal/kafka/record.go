package kafka

import (
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Header is one record header. Kafka allows several with one key.
type Header struct {
	Key   string
	Value []byte
}

// Record is one message. Partition and Offset are set on records that were read or acknowledged, and ignored on records
// to send. A zero Timestamp means now.
type Record struct {
	Topic      string
	Partition  int32
	Offset     int64
	Key, Value []byte
	Headers    []Header
	Timestamp  time.Time
	Origin     Origin // set on records that the operators' functions read
}

// Origin holds facts about the batch that contained a record.
type Origin struct {
	LeaderEpoch int32
	Attrs       uint8 // as in the batch, except for the last bit: there is no timestamp
}

// OriginOf reads the attributes of a record.
func OriginOf(r *kgo.Record) Origin {
	o := Origin{LeaderEpoch: r.LeaderEpoch, Attrs: r.Attrs.CompressionType()}
	switch r.Attrs.TimestampType() {
	case 1:
		o.Attrs |= originAppended
	case -1:
		o.Attrs |= originNoTime
	}
	return o
}

const (
	originAppended = 1 << 6
	originNoTime   = 1 << 7
)

// Compression returns the codec of the batch as Config.Compression names it.
func (o Origin) Compression() string {
	names := Compressions()
	if n := int(o.Attrs & 7); n < len(names) {
		return names[n]
	}
	return "unknown"
}

// TimestampType returns which clock set the timestamp: create is the sender's, append the broker's; none marks a
// message from before Kafka 0.10.
func (o Origin) TimestampType() string {
	switch {
	case o.Attrs&originNoTime != 0:
		return "none"
	case o.Attrs&originAppended != 0:
		return "append"
	}
	return "create"
}

// Header returns the value of the last header called key, and whether there
// is one.
func (r Record) Header(key string) ([]byte, bool) {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value, true
		}
	}
	return nil, false
}

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

func fromKgo(r *kgo.Record) Record {
	out := Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		Key: r.Key, Value: r.Value, Timestamp: r.Timestamp,
	}
	if len(r.Headers) > 0 {
		out.Headers = make([]Header, len(r.Headers))
		for i, h := range r.Headers {
			out.Headers[i] = Header(h)
		}
	}
	return out
}

func toKgo(r Record) *kgo.Record {
	out := &kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Timestamp: r.Timestamp}
	if len(r.Headers) > 0 {
		out.Headers = make([]kgo.RecordHeader, len(r.Headers))
		for i, h := range r.Headers {
			out.Headers[i] = kgo.RecordHeader(h)
		}
	}
	return out
}

// Size returns the bytes of key, value and headers.
func (r Record) Size() int {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

func jitter() float64 { return rand.Float64() }
