package browse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/records"
)

// NewMessage is a message to send. Topic, Partition and Offset of the embedded Message are ignored.
type NewMessage struct {
	records.Message
	To     *int32 `json:"toPartition,omitempty"` // nil: by key; without a key, any partition
	Anyway bool   `json:"anyway,omitempty"`      // send a value that does not conform to the topic's contract
}

// Produced is a message that was sent; in a preview, the message that would be sent.
type Produced struct {
	Topic     string `json:"topic"`
	Partition *int32 `json:"partition"` // null in a preview: the broker has not assigned it
	Offset    *int64 `json:"offset"`
	KeySize   int    `json:"keySize"`
	ValueSize int    `json:"valueSize"`
	SHA256    string `json:"sha256"` // of the value, hex
	Tombstone bool   `json:"tombstone"`
	Headers   int    `json:"headers"`
	Check     *Check `json:"check,omitempty"` // absent: the topic has no contract
}

// Errors about the message to send.
var (
	ErrNotSent   = errors.New("not sent")
	ErrTombstone = errors.New("a tombstone needs a key: it deletes the key")
)

// Produce sends one message and waits until the broker has acknowledged it. If dry is true, it sends nothing.
func (b *Browser) Produce(ctx context.Context, topic string, m NewMessage, dry bool) (Produced, error) {
	r, err := m.Record()
	if err != nil {
		return Produced{}, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	sum := sha256.Sum256(r.Value)
	out := Produced{Topic: topic, KeySize: len(r.Key), ValueSize: len(r.Value), SHA256: hex.EncodeToString(sum[:]), Tombstone: r.Value == nil, Headers: len(r.Headers)}
	if r.Value != nil && event.HasContract(topic) {
		shown := Message{Message: records.Message{Topic: topic}}
		out.Check = shown.checked(r.Value).Check
	}
	switch {
	case r.Value == nil && r.Key == nil:
		return out, fmt.Errorf("%w: %w", ErrNotSent, ErrTombstone)
	case len(r.Value) > kafka.MaxValueBytes:
		return out, fmt.Errorf("%w: the value has %d bytes; the limit is %d bytes", ErrNotSent, len(r.Value), kafka.MaxValueBytes)
	case out.Check != nil && !out.Check.Conforms && !m.Anyway && !dry:
		return out, fmt.Errorf("%w: the value does not conform to %s: %s", ErrNotSent, topic, out.Check.Errors[0])
	}
	spec := records.ProduceSpec{Topic: topic, Partition: -1}
	if m.To != nil {
		spec.Partition = *m.To
	}
	sent, err := b.deliver(ctx, spec, []kafka.Record{r}, dry)
	if err != nil || dry {
		return out, err
	}
	out.Partition, out.Offset = &sent.Partitions[0].Partition, &sent.Partitions[0].Last
	return out, nil
}

// deliver sends records to one topic. If dry is true, it only checks whether the topic would accept them.
func (b *Browser) deliver(ctx context.Context, spec records.ProduceSpec, list []kafka.Record, dry bool) (records.Sent, error) {
	cfg := b.reading()
	cfg.DeliveryTimeout = cfg.RequestTimeout
	s, err := records.NewSender(ctx, cfg, spec)
	if err != nil {
		return records.Sent{}, b.explained(err)
	}
	for _, r := range list {
		if err = s.Fits(r); err == nil && !dry {
			err = s.Send(ctx, r)
		}
		if err != nil {
			break
		}
	}
	sent, closed := s.Close(ctx)
	if err == nil {
		err = closed
	}
	if errors.Is(err, records.ErrTooLarge) {
		return sent, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	if err != nil {
		return sent, b.explained(err)
	}
	return sent, nil
}
