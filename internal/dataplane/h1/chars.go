package h1

// Character classes of RFC 9110 §5.6.2, RFC 9110 §5.5 and RFC 3986, one bit each.
const (
	charToken  = 1 << iota // tchar: method and field names
	charValue              // VCHAR, obs-text, SP, HTAB: field values
	charTarget             // allowed in a request-target: 0x21..0x7e except '#'
	charHost               // reg-name without sub-delims and escapes: the characters of real host names
	charPlain              // unreserved: never needs an escape
	charHex
	charHigh // 0x80 and above
)

// chars is read only.
var chars = func() (t [256]uint8) {
	for c := 0; c < 256; c++ {
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if alnum {
			t[c] |= charToken | charHost | charPlain
		}
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' {
			t[c] |= charHex
		}
		if c >= 0x80 {
			t[c] |= charHigh
		}
		if c == '\t' || c >= 0x20 && c != 0x7f {
			t[c] |= charValue
		}
		if c > 0x20 && c < 0x7f && c != '#' {
			t[c] |= charTarget
		}
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= charToken
	}
	for _, c := range []byte("-._") {
		t[c] |= charHost
	}
	for _, c := range []byte("-._~") {
		t[c] |= charPlain
	}
	return t
}()

// all reports whether every byte of b is in class; true for an empty b.
func all(b []byte, class uint8) bool {
	for _, c := range b {
		if chars[c]&class == 0 {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// EqualFold reports whether b equals want, ignoring ASCII case. want must be lower case. Only A-Z are folded, unlike in
// bytes.EqualFold, where U+212A equals k.
func EqualFold(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i, c := range b {
		if lower(c) != want[i] {
			return false
		}
	}
	return true
}

func sameFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if lower(c) != lower(b[i]) {
			return false
		}
	}
	return true
}

func hasPrefixFold(b []byte, want string) bool {
	return len(b) >= len(want) && EqualFold(b[:len(want)], want)
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
