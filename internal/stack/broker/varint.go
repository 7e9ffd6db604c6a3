package broker

import (
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// skipTags skips tagged fields (KIP-482). The library's own function loops as often as the count says, even after the
// end of the bytes. A frame of thirty bytes would occupy a CPU for most of a minute.
func skipTags(r *kbin.Reader) {
	for n := r.Uvarint(); n > 0 && r.Ok(); n-- {
		r.Uvarint()
		r.Span(int(r.Uvarint()))
	}
}

// checkCounts refuses a body with a false count of tagged fields, before the library parses it. The bytes of such a
// count can also occur in a valid body: -1 as an integer, followed by a small length. Therefore a copy gets zeros in
// place of these bytes. If they were not a count, the copy parses to a request that is written in as many bytes as
// before. Otherwise the count ends early, and the rest is left over or parsed as something else.
func checkCounts(body []byte, req kmsg.Request) error {
	if !holdsAbsurd(body) {
		return nil
	}
	for _, plain := range [][]byte{clearAbsurd(clearMinusOnes(body)), clearAbsurd(append([]byte(nil), body...))} {
		probe := kmsg.RequestForKey(req.Key())
		probe.SetVersion(req.GetVersion())
		if err := probe.ReadFrom(plain); err == nil && len(probe.AppendTo(nil)) == len(body) {
			return nil
		}
	}
	return refuse("body of api key %d holds a count of more than there is", req.Key())
}

func holdsAbsurd(body []byte) bool {
	for i := 0; i+4 <= len(body); i++ {
		if absurd(body[i:]) != 0 {
			return true
		}
	}
	return false
}

// clearAbsurd overwrites integers that would be absurd counts with zeros, in place.
func clearAbsurd(plain []byte) []byte {
	for i := 0; i+4 <= len(plain); i++ {
		if n := absurd(plain[i:]); n != 0 {
			clear(plain[i : i+n-1])
			i += n - 2 // the last byte may begin another
		}
	}
	return plain
}

// clearMinusOnes returns a copy with zeros for each four bytes of ones, which is -1 in 32 bits. If the length of a
// string of 127 bytes or more follows, its first byte would look like the end of an absurd integer. If an absurd
// integer begins in a run of ones, its first byte either becomes zero too or remains for clearAbsurd. The reason: its
// last byte is not all ones, so a group of four that touches it covers its first byte.
func clearMinusOnes(body []byte) []byte {
	out := append([]byte(nil), body...)
	for i := 0; i+4 <= len(out); {
		if out[i] == 0xff && out[i+1] == 0xff && out[i+2] == 0xff && out[i+3] == 0xff {
			clear(out[i : i+4])
			i += 4
			continue
		}
		i++
	}
	return out
}

// absurd returns how many bytes the variable-length integer at the beginning of b takes if it is 2^25 or more, else 0.
// Smaller integers are harmless: a loop of that count takes a fraction of a second.
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
