package kafka

import (
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/sign"
)

// signed gives a record with the signature that its topic wants, where there
// are keys.
func (c Config) signed(r Record, at time.Time) Record {
	if !c.Signing.On() || !slices.Contains(sign.Topics(), r.Topic) {
		return r
	}
	r.Headers = append(slices.Clip(r.Headers), Header{sign.Header, c.Signing.Sign(r.Topic, r.Key, r.Value, at)})
	return r
}

// Verify says who wrote a record.
func (c Config) Verify(r Record) sign.Verdict {
	header, _ := r.Header(sign.Header)
	return c.Signing.Verify(r.Topic, r.Key, r.Value, header)
}
