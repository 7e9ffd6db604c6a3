package router

import "bytes"

// Parameter returns the value of the first parameter of a query with that name, with its escapes. A parameter without '='
// has an empty value.
func Parameter(query []byte, name string) (value []byte, ok bool) {
	for len(query) > 0 {
		item := query
		if at := bytes.IndexByte(query, '&'); at >= 0 {
			item, query = query[:at], query[at+1:]
		} else {
			query = nil
		}
		key, value, _ := bytes.Cut(item, equals)
		if len(item) > 0 && decodesTo(key, name) {
			return value, true
		}
	}
	return nil, false
}

var equals = []byte{'='}

// decodesTo reports whether b without its escapes is want.
func decodesTo(b []byte, want string) bool {
	for len(b) > 0 {
		c, n := decoded(b)
		if want == "" || want[0] != c {
			return false
		}
		b, want = b[n:], want[1:]
	}
	return want == ""
}

// appendDecoded appends b without its escapes.
func appendDecoded(dst, b []byte) []byte {
	for len(b) > 0 {
		c, n := decoded(b)
		dst, b = append(dst, c), b[n:]
	}
	return dst
}

// decoded returns the first character of b, which is not empty, and its length in b. '+' is a blank, as in forms. A '%'
// that begins no escape stands for itself.
func decoded(b []byte) (c byte, n int) {
	switch {
	case b[0] == '+':
		return ' ', 1
	case b[0] == '%' && len(b) >= 3:
		high, ok := hexDigit(b[1])
		low, ok2 := hexDigit(b[2])
		if ok && ok2 {
			return high<<4 | low, 3
		}
	}
	return b[0], 1
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
