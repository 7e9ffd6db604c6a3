package records

import "time"

// Range of times that JSON can represent (RFC 3339 has four digits for a year). Timestamps outside are shown as these
// limits: a producer that sends microseconds where Kafka expects milliseconds is in the year 55,000.
var (
	earliest = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(9999, 12, 31, 23, 59, 59, int(999*time.Millisecond), time.UTC)
)

// inverse of 15625 modulo 2^58: it reverses a multiplication by 10^6 = 2^6 * 15625 that overflowed.
const (
	inverse  = 0x10fb65668c26139
	wrapBits = 58
)

// timeOf returns a record's timestamp. The library multiplies milliseconds by a million in 64 bits, so times after the
// year 2262 become times long ago. The lowest 58 bits of the milliseconds remain in the product.
func timeOf(t time.Time) time.Time {
	ns := t.UnixNano()
	if ns&63 != 0 {
		return t // not a multiple of 10^6
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

// sendable reports whether the library can send a timestamp: it converts to nanoseconds.
func sendable(t time.Time) bool {
	return t.Year() > 1677 && t.Year() < 2262
}
