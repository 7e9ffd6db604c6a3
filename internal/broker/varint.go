package broker

import (
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// skipTags passes over tagged fields (KIP-482). The library's own way goes on
// counting after the bytes have ended, as far as the count says: a frame of
// thirty bytes would keep a processor busy for most of a minute.
func skipTags(r *kbin.Reader) {
	for n := r.Uvarint(); n > 0 && r.Ok(); n-- {
		r.Uvarint()
		r.Span(int(r.Uvarint()))
	}
}

// checkCounts refuses a body in which a count of tagged fields is a lie, before
// the library parses it. What such counts are encoded as can stand in a body
// for other reasons: -1 as an integer, followed by a small length. So the bytes
// in question are set to zero in a copy. If they were no count, the copy parses
// to a request that is written in as many bytes as before; else the count ends
// early and what follows is left over or read as something else.
func checkCounts(body []byte, req kmsg.Request) error {
	var plain []byte
	for i := 0; i+4 <= len(body); i++ {
		n := absurd(body[i:])
		if n == 0 {
			continue
		}
		if plain == nil {
			plain = append([]byte(nil), body...)
		}
		clear(plain[i : i+n-1])
		i += n - 2 // the last byte may begin another
	}
	if plain == nil {
		return nil
	}
	probe := kmsg.RequestForKey(req.Key())
	probe.SetVersion(req.GetVersion())
	if err := probe.ReadFrom(plain); err != nil || len(probe.AppendTo(nil)) != len(body) {
		return refuse("body of api key %d holds a count of more than there is", req.Key())
	}
	return nil
}

// absurd says how many bytes the variable-length integer at the beginning of b
// takes, if it is one of 2^25 or more, else 0. Smaller ones are harmless: a
// count to them takes a fraction of a second.
func absurd(b []byte) int {
	const more = 0x80
	if b[0] < more || b[1] < more || b[2] < more {
		return 0
	}
	if b[3] < more {
		if b[3] >= 0x10 {
			return 4
		}
		return 0
	}
	if len(b) > 4 && b[4] >= 0x01 && b[4] <= 0x0f {
		return 5
	}
	return 0
}
