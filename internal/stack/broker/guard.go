package broker

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Limits of a request frame. Kafka's own socket.request.max.bytes is 100 MiB. Only Produce needs frames of such a size;
// other requests are small, but their parsed form can take a hundred times their wire size.
const (
	maxProduceFrame = 100 << 20
	maxOtherFrame   = 4 << 20
	minFrame        = 10    // key, version, correlation id, client id length
	maxProduceParts = 20000 // partitions of one Produce request, all topics together
)

// Keys of the requests with special treatment.
const (
	keyProduce                 = 0
	keyListGroups              = 16
	keyAPIVersions             = 18
	keyCreateTopics            = 19
	keyDescribeTopicPartitions = 75
)

// errFrame closes a connection. Kafka does the same for requests that it cannot parse or whose key or version it does
// not know.
var errFrame = errors.New("request refused")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errFrame, fmt.Sprintf(format, args...))
}

// versions holds what kfake serves: key to lowest and highest version. It is queried from kfake, so it is always up to
// date.
type versions map[int16][2]int16

// frameLimit returns the largest permitted size of a frame, from the bytes that follow its length. It needs the first
// two.
func frameLimit(head []byte) int {
	if int16(binary.BigEndian.Uint16(head)) == keyProduce {
		return maxProduceFrame
	}
	return maxOtherFrame
}

// request is a parsed frame.
type request struct {
	key, version int16
	correlation  int32
	header       []byte // everything before the body
	body         kmsg.Request
	acks         int16 // of Produce; 0 means that no reply follows
}

// parse checks a frame, without its length, so that kfake cannot crash on it: a known key and version, a body that
// parses, valid batches. The result shares memory with frame.
func (v versions) parse(frame []byte) (req request, err error) {
	if len(frame) < minFrame {
		return req, refuse("frame of %d bytes", len(frame))
	}
	r := kbin.Reader{Src: frame}
	req.key, req.version, req.correlation = r.Int16(), r.Int16(), r.Int32()
	r.NullableString()
	known, ok := v[req.key]
	if !ok {
		return req, refuse("unknown api key %d", req.key)
	}
	// A version of ApiVersions that is too new gets a reply (KIP-511).
	if req.version < known[0] || (req.version > known[1] && req.key != keyAPIVersions) {
		return req, refuse("api key %d has no version %d", req.key, req.version)
	}
	req.body = kmsg.RequestForKey(req.key)
	if req.body == nil {
		return req, refuse("unknown api key %d", req.key)
	}
	req.body.SetVersion(req.version)
	if req.body.IsFlexible() {
		skipTags(&r)
	}
	if !r.Ok() {
		return req, refuse("header of api key %d is cut short", req.key)
	}
	req.header = frame[:len(frame)-len(r.Src)]
	if req.key == keyProduce {
		if req.version < 3 {
			return req, refuse("produce %d has message sets", req.version)
		}
		if err := checkProduceShape(r.Src, req.body.IsFlexible()); err != nil {
			return req, err
		}
	}
	defer func() {
		if p := recover(); p != nil {
			err = refuse("body of api key %d: %v", req.key, p)
		}
	}()
	if req.body.IsFlexible() && req.key != keyProduce { // its shape is already checked
		if err := checkCounts(r.Src, req.body); err != nil {
			return req, err
		}
	}
	if err := req.body.ReadFrom(r.Src); err != nil {
		return req, refuse("body of api key %d: %v", req.key, err)
	}
	if p, ok := req.body.(*kmsg.ProduceRequest); ok {
		req.acks = p.Acks
		return req, checkBatches(p)
	}
	return req, nil
}

// frame returns the request in the form for kfake, after its body was changed.
func (r request) frame() []byte {
	out := make([]byte, 4, 4+len(r.header)+256)
	out = append(out, r.header...)
	out = r.body.AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out
}

// checkProduceShape walks a Produce body without allocating, so that false array lengths are found before anything is
// allocated for them.
func checkProduceShape(body []byte, flexible bool) error {
	r := kbin.Reader{Src: body}
	str, arr, bytes := func() { r.NullableString() }, r.ArrayLen, func() { r.NullableBytes() }
	if flexible {
		str, arr, bytes = func() { r.CompactNullableString() }, r.CompactArrayLen, func() { r.CompactNullableBytes() }
	}
	tags := func() {
		if flexible {
			skipTags(&r)
		}
	}
	str() // transactional id
	r.Int16()
	r.Int32()
	total := 0
	for t := arr(); t > 0 && r.Ok(); t-- {
		str()
		parts := int(arr())
		if total += 1 + max(parts, 0); total > maxProduceParts {
			return refuse("produce to more than %d partitions", maxProduceParts)
		}
		for ; parts > 0 && r.Ok(); parts-- {
			r.Int32()
			bytes()
			tags()
		}
		tags()
	}
	tags()
	if !r.Ok() {
		return refuse("produce request is cut short")
	}
	return nil
}

// batchHead is the size of a record batch without its records.
const batchHead = 61

// checkBatches refuses record counts that kfake would accept unchecked: a batch that declares no records, or a negative
// number, moves the end of the log back.
func checkBatches(p *kmsg.ProduceRequest) error {
	for _, t := range p.Topics {
		for _, part := range t.Partitions {
			b := part.Records
			if len(b) < batchHead {
				continue // kfake replies CORRUPT_MESSAGE
			}
			last := int32(binary.BigEndian.Uint32(b[23:]))
			count := int32(binary.BigEndian.Uint32(b[57:]))
			if count < 1 || last != count-1 {
				return refuse("batch for %s/%d claims %d records, the last at %d", t.Topic, part.Partition, count, last)
			}
		}
	}
	return nil
}
