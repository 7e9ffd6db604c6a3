package broker

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/kafka/inflate"
)

// policies caches which topics are compacted. It queries each topic once, and again after topics or settings changed.
// It is safe for concurrent use.
type policies struct {
	ask   func(topic string) (cleanup string, ok bool)
	open  *inflate.Decompressor
	mu    sync.Mutex
	known map[string]bool
}

// maxInflated limits the decompressed size of a batch whose keys are checked: the same as our clients' limit for one
// batch.
const maxInflated = 64 << 20

func newPolicies(ask func(topic string) (string, bool)) *policies {
	return &policies{ask: ask, open: inflate.New(maxInflated, 1<<62), known: map[string]bool{}}
}

// compacted reports whether a topic is compacted; an unknown one is not.
func (p *policies) compacted(topic string) bool {
	p.mu.Lock()
	is, known := p.known[topic]
	p.mu.Unlock()
	if known {
		return is
	}
	cleanup, ok := p.ask(topic)
	if !ok {
		return false
	}
	is = slices.Contains(strings.Split(cleanup, ","), "compact")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[topic] = is
	return is
}

// cleanupPolicy is the only list among topic settings that has a default.
const cleanupPolicy = "cleanup.policy"

// resolveAppends makes an append to a topic's clean-up policy extend the policy in effect, as Kafka does: "compact"
// appended to the default "delete" gives both. kfake appends only to the value that was set, so the topic would no
// longer delete records.
func (p *policies) resolveAppends(req *kmsg.IncrementalAlterConfigsRequest) {
	for _, res := range req.Resources {
		if res.ResourceType != kmsg.ConfigResourceTypeTopic {
			continue
		}
		for i := range res.Configs {
			c := &res.Configs[i]
			if c.Name != cleanupPolicy || c.Op != kmsg.IncrementalAlterConfigOpAppend || c.Value == nil {
				continue
			}
			now, ok := p.ask(res.ResourceName)
			if !ok {
				continue // kfake refuses the topic
			}
			var list []string
			for _, policy := range strings.Split(now+","+*c.Value, ",") {
				if policy = strings.TrimSpace(policy); policy != "" && !slices.Contains(list, policy) {
					list = append(list, policy)
				}
			}
			value := strings.Join(list, ",")
			c.Op, c.Value = kmsg.IncrementalAlterConfigOpSet, &value
		}
	}
}

// forget clears the cache.
func (p *policies) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.known)
}

// checkKeys refuses a batch of a compacted topic in which a record has no key: compaction could not find the record
// that it replaces (Kafka: INVALID_RECORD).
func (p *policies) checkKeys(topic string, batch []byte) *problem {
	if len(batch) < batchHead || !p.compacted(topic) {
		return nil
	}
	attributes := binary.BigEndian.Uint16(batch[21:])
	raw, err := p.open.Decompress(batch[batchHead:], kgo.CompressionCodecType(attributes&compressionBits))
	if err != nil {
		return &problem{kerr.CorruptMessage.Code, "The batch cannot be decompressed: " + err.Error()}
	}
	for count := int32(binary.BigEndian.Uint32(batch[57:])); count > 0; count-- {
		r := kbin.Reader{Src: raw}
		size := int(r.Varint())
		record := kbin.Reader{Src: r.Span(size)}
		if !r.Ok() {
			return nil // kfake refuses it
		}
		raw = r.Src
		record.Int8()    // attributes
		record.Varlong() // timestamp delta
		record.Varint()  // offset delta
		if key := record.Varint(); record.Ok() && key < 0 {
			return &problem{kerr.InvalidRecord.Code, "Compacted topic cannot accept message without key in topic partition " + topic}
		}
	}
	return nil
}
