package kafka

import (
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/sign"
)

// Signed returns r with the signature that its topic requires, if there are keys. The record names its topic.
func (c Config) Signed(r Record, at time.Time) Record {
	if !c.Signing.On() || !slices.Contains(sign.Topics(), r.Topic) {
		return r
	}
	r.Headers = append(slices.Clip(r.Headers), Header{sign.Header, c.Signing.Sign(r.Topic, r.Key, r.Value, at)})
	return r
}

// Verify checks the signature of a record.
func (c Config) Verify(r Record) sign.Verdict {
	header, _ := r.Header(sign.Header)
	return c.Signing.Verify(r.Topic, r.Key, r.Value, header)
}
