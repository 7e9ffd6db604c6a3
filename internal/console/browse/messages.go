package browse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/mask"
	"github.com/smartlb/smartlb/internal/kafka/records"
)

// Message is a record in the form of the console: the fields that the command line prints, cut to a preview, and data
// from the log.
type Message struct {
	records.Message
	TimestampType string `json:"timestampType"` // create, append or none
	LeaderEpoch   int32  `json:"leaderEpoch"`
	Compression   string `json:"compression"` // of the batch
	KeySize       int    `json:"keySize"`     // size of the whole key in bytes
	ValueSize     int    `json:"valueSize"`
	HeadersSize   int    `json:"headersSize"`
	KeyCut        bool   `json:"keyCut,omitempty"`
	ValueCut      bool   `json:"valueCut,omitempty"`
	HeadersCut    bool   `json:"headersCut,omitempty"`
	Check         *Check `json:"check,omitempty"` // absent: the topic has no contract, or the value was not checked
}

// Check is the result of checking a value against the topic's contract.
type Check struct {
	Conforms bool     `json:"conforms"`
	Errors   []string `json:"errors"` // each starts with the path of its field
}

// Limits of one message in a response.
const (
	MaxPreview     = 64 << 10 // bytes of key and of value
	maxHeaderValue = 4 << 10
	maxHeaders     = 200
)

// ErrNoMessage means that consumers find no record at an offset.
var ErrNoMessage = errors.New("there is no message")

// messageOf converts a record. It keeps at most preview bytes of the key and of the value.
func messageOf(r kafka.Record, preview int) Message {
	cut := r
	m := Message{TimestampType: r.Origin.TimestampType(), LeaderEpoch: r.Origin.LeaderEpoch, Compression: r.Origin.Compression(), KeySize: len(r.Key), ValueSize: len(r.Value)}
	cut.Key, m.KeyCut = cutText(r.Key, preview)
	cut.Value, m.ValueCut = cutText(r.Value, preview)
	cut.Headers = nil
	for i, h := range r.Headers {
		m.HeadersSize += len(h.Key) + len(h.Value)
		if i >= maxHeaders {
			m.HeadersCut = true
			continue
		}
		key, keyCut := cutText([]byte(h.Key), maxHeaderValue)
		value, valueCut := cutText(h.Value, maxHeaderValue)
		m.HeadersCut = m.HeadersCut || keyCut || valueCut
		cut.Headers = append(cut.Headers, kafka.Header{Key: string(key), Value: value})
	}
	m.Message = records.MessageOf(cut)
	return m
}

// maxChecked is the largest value in bytes that a list checks against its contract.
const maxChecked = 64 << 10

// previewOf returns the shortened form of a record for a row. r must already be masked by v.
func previewOf(r kafka.Record, preview int, v veil) Message {
	m := messageOf(r, preview)
	if len(r.Value) <= maxChecked && !v.on {
		m = m.checked(r.Value)
	}
	return m
}

// checked adds the result of checking the whole value against the contract.
func (m Message) checked(value []byte) Message {
	if !event.HasContract(m.Topic) || value == nil {
		return m
	}
	m.Check = &Check{Conforms: true, Errors: []string{}}
	if err := event.Conforms(m.Topic, value); err != nil {
		m.Check.Conforms = false
		for line := range strings.SplitSeq(err.Error(), "\n") {
			m.Check.Errors = append(m.Check.Errors, line)
		}
	}
	return m
}

// cutText cuts b to at most n bytes. It does not split a character of text.
func cutText(b []byte, n int) (out []byte, cut bool) {
	if len(b) <= n {
		return b, false
	}
	out = b[:n:n]
	for back := 1; back < utf8.UTFMax && back <= len(out); back++ {
		if c := out[len(out)-back]; c >= utf8.RuneSelf && utf8.RuneStart(c) {
			if !utf8.FullRune(out[len(out)-back:]) {
				out = out[:len(out)-back]
			}
			break
		}
	}
	return out, true
}

// Detail is one message with its batch and one part of its value.
type Detail struct {
	Message Message            `json:"message"`
	From    int                `json:"from"`             // offset of the part in the value, in bytes
	Bytes   int                `json:"bytes"`            // size of the part
	Batch   *records.BatchInfo `json:"batch,omitempty"`  // absent: the broker does not report it
	Masked  bool               `json:"masked,omitempty"` // some fields of this topic's messages are hidden
}

// MaxPart is the largest part of a value that Message returns, in bytes.
const MaxPart = 1 << 20

// Message reads one message with a part of its value. The part begins at from and has about n bytes, because it does
// not split characters. Use further calls, or Raw, for the rest.
func (b *Browser) Message(ctx context.Context, topic string, partition int32, offset int64, from, n int) (Detail, error) {
	r, err := b.record(ctx, topic, partition, offset)
	if err != nil {
		return Detail{}, err
	}
	v := b.veil(topic)
	shown := v.over(r)
	part, at := partOf(shown.Value, from, min(n, MaxPart))
	d := Detail{From: at, Bytes: len(part), Masked: v.on}
	whole := shown.Value
	shown.Value = part
	m := messageOf(shown, MaxPart)
	if !v.on { // an error about a field would reveal its content
		m = m.checked(whole)
	}
	m.ValueSize, m.ValueCut = len(whole), len(part) < len(whole)
	if key, cut := cutText(shown.Key, MaxPreview); cut {
		shown.Key, shown.Value = key, nil
		short := records.MessageOf(shown)
		m.Key, m.KeyBase64, m.KeyCut = short.Key, short.KeyBase64, true
	}
	d.Message = m
	if batch, err := records.BatchOf(ctx, b.cfg.Admin, topic, partition, offset); err == nil {
		d.Batch = &batch
	}
	return d, nil
}

// partOf returns about n bytes of b that start near from. If b is text, the part begins and ends between characters.
func partOf(b []byte, from, n int) (part []byte, at int) {
	if b == nil {
		return nil, 0
	}
	from = min(max(from, 0), len(b))
	end := min(from+max(n, utf8.UTFMax), len(b))
	start := from
	for start > 0 && start > from-utf8.UTFMax && start < len(b) && !utf8.RuneStart(b[start]) {
		start--
	}
	part, _ = cutText(b[start:], end-start)
	if !utf8.Valid(part) {
		return b[from:end:end], from
	}
	return part, start
}

// Raw reads the whole key or value of one message.
func (b *Browser) Raw(ctx context.Context, topic string, partition int32, offset int64, key bool) ([]byte, error) {
	r, err := b.record(ctx, topic, partition, offset)
	if err != nil {
		return nil, err
	}
	shown := b.veil(topic).over(r)
	if key {
		return shown.Key, nil
	}
	return shown.Value, nil
}

// record reads one record without masking.
func (b *Browser) record(ctx context.Context, topic string, partition int32, offset int64) (kafka.Record, error) {
	r, err := records.Open(ctx, b.reading(), records.Query{Topic: topic, Partitions: []int32{partition}, Offsets: b.cfg.Admin})
	if err != nil {
		return kafka.Record{}, b.explained(err)
	}
	defer r.Close()
	r.Seek(map[int32]records.Span{partition: {From: offset, To: offset + 1}})
	for {
		batch, err := r.Next(ctx)
		switch {
		case errors.Is(err, records.ErrEnd):
			return kafka.Record{}, fmt.Errorf("%w at %s, partition %d, offset %d: it is not written yet, retention or compaction removed it, or it belongs to a transaction", ErrNoMessage, topic, partition, offset)
		case err != nil:
			return kafka.Record{}, b.explained(err)
		case len(batch.Records) > 0:
			return batch.Records[0], nil
		}
	}
}

// reading returns the configuration of clients that read for the console. Their request timeout is at most 8 s, because
// a user waits for the page.
func (b *Browser) reading() kafka.Config {
	cfg := b.cfg.Kafka
	cfg.RequestTimeout = min(cfg.RequestTimeout, 8*time.Second)
	return cfg
}

// veil hides parts of a topic's records.
type veil struct {
	topic mask.Topic
	on    bool
}

func (b *Browser) veil(topic string) veil {
	t, on := b.cfg.Mask.Of(topic)
	return veil{t, on}
}

// over returns a record with its hidden parts masked.
func (v veil) over(r kafka.Record) kafka.Record {
	if !v.on {
		return r
	}
	r.Key, r.Value = v.topic.Key(r.Key), v.topic.Value(r.Value)
	headers := make([]kafka.Header, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = kafka.Header{Key: h.Key, Value: v.topic.Header(h.Key, h.Value)}
	}
	if r.Headers != nil {
		r.Headers = headers
	}
	return r
}

// RawName returns the name of a file with the key or value of a message.
func RawName(topic string, partition int32, offset int64, key bool) string {
	what := "value"
	if key {
		what = "key"
	}
	return fmt.Sprintf("%s-%d-%d.%s", safeName(topic), partition, offset, what)
}

// ExportName returns the name of a file with messages of a topic.
func ExportName(topic string) string { return safeName(topic) + ".jsonl" }

// safeName returns a topic's name in a form that is valid in each file system and in HTTP headers.
func safeName(topic string) string {
	return strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, topic)
}
