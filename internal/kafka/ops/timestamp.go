package ops

import "time"

// Times that JSON can say (RFC 3339 has four digits for a year). Timestamps
// beyond them are shown as these: a producer that counts microseconds where
// Kafka counts milliseconds is in the year 55,000.
var (
	earliest = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(9999, 12, 31, 23, 59, 59, int(999*time.Millisecond), time.UTC)
)

// inverse of 15625 modulo 2^58: by it a product with 10^6 = 2^6 * 15625 is
// taken back, although it did not fit.
const (
	inverse  = 0x10fb65668c26139
	wrapBits = 58
)

// timeOf is a record's timestamp. The library multiplies milliseconds by a
// million in 64 bits, which turns all beyond the year 2262 into times long ago;
// the lowest 58 bits of the milliseconds are still in it.
func timeOf(t time.Time) time.Time {
	ns := t.UnixNano()
	if ns&63 != 0 {
		return t // no product with 10^6
	}
	ms := int64(uint64(ns)>>6*inverse<<(64-wrapBits)) >> (64 - wrapBits)
	switch t = time.UnixMilli(ms); {
	case t.Before(earliest):
		return earliest
	case t.After(latest):
		return latest
	}
	return t
}

// sendable tells whether the library can send a timestamp: it counts in
// nanoseconds.
func sendable(t time.Time) bool {
	return t.Year() > 1677 && t.Year() < 2262
}
