package records

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/smartlb/smartlb/internal/kafka"
)

// Message is a record as JSON: consume prints it and produce accepts it. Bytes that are not UTF-8 go into the Base64
// fields. A message with neither value field is a tombstone.
type Message struct {
	Topic       string          `json:"topic,omitempty"`
	Partition   int32           `json:"partition"`
	Offset      int64           `json:"offset"`
	Timestamp   time.Time       `json:"timestamp,omitzero"`
	Key         *string         `json:"key,omitempty"`
	KeyBase64   *string         `json:"keyBase64,omitempty"`
	Value       *string         `json:"value,omitempty"`
	ValueBase64 *string         `json:"valueBase64,omitempty"`
	Headers     []MessageHeader `json:"headers,omitempty"`
}

// MessageHeader is one header of a Message.
type MessageHeader struct {
	Key         string  `json:"key"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 *string `json:"valueBase64,omitempty"`
}

// MessageOf converts a record to a Message.
func MessageOf(r kafka.Record) Message {
	m := Message{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UTC()}
	m.Key, m.KeyBase64 = text(r.Key)
	m.Value, m.ValueBase64 = text(r.Value)
	for _, h := range r.Headers {
		mh := MessageHeader{Key: h.Key}
		mh.Value, mh.ValueBase64 = text(h.Value)
		m.Headers = append(m.Headers, mh)
	}
	return m
}

// Record converts m back to a record. Partition and offset stay unset; the broker assigns them.
func (m Message) Record() (kafka.Record, error) {
	r := kafka.Record{Topic: m.Topic, Timestamp: m.Timestamp}
	var err error
	if r.Key, err = bytesOf("key", m.Key, m.KeyBase64); err != nil {
		return r, err
	}
	if r.Value, err = bytesOf("value", m.Value, m.ValueBase64); err != nil {
		return r, err
	}
	for i, h := range m.Headers {
		v, err := bytesOf(fmt.Sprintf("headers[%d].value", i), h.Value, h.ValueBase64)
		if err != nil {
			return r, err
		}
		r.Headers = append(r.Headers, kafka.Header{Key: h.Key, Value: v})
	}
	return r, nil
}

// ParseMessage reads one Message from JSON.
func ParseMessage(b []byte) (Message, error) {
	var m Message
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("message: %w", err)
	}
	return m, nil
}

func text(b []byte) (plain, encoded *string) {
	switch {
	case b == nil:
		return nil, nil
	case utf8.Valid(b):
		s := string(b)
		return &s, nil
	default:
		s := base64.StdEncoding.EncodeToString(b)
		return nil, &s
	}
}

func bytesOf(field string, plain, encoded *string) ([]byte, error) {
	switch {
	case plain != nil && encoded != nil:
		return nil, fmt.Errorf("%s: given as text and as base64", field)
	case plain != nil:
		return []byte(*plain), nil
	case encoded != nil:
		b, err := base64.StdEncoding.DecodeString(*encoded)
		if err != nil {
			return nil, fmt.Errorf("%sBase64: %w", field, err)
		}
		return b, nil
	default:
		return nil, nil
	}
}
