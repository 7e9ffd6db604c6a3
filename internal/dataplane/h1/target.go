package h1

import "bytes"

// target parses the request-target (RFC 9112 §3.2): origin-form, absolute-form of http and https, or "*" with OPTIONS.
// Bytes above 0x7f, such as unescaped UTF-8, have only one reading, so target escapes them.
func (r *Request) target(t []byte, reject bool) *Error {
	r.raw = t
	if !all(t, charTarget) {
		if !all(t, charTarget|charHigh) {
			return errTarget
		}
		r.escaped = appendEscaped(r.escaped[:0], t)
		t = r.escaped
	}
	if len(t) == 1 && t[0] == '*' {
		if string(r.method) != "OPTIONS" {
			return errTarget
		}
		r.norm = append(r.norm[:0], '/')
		r.path, r.forward = r.norm, t // applies to the host as a whole: routed like its root
		return nil
	}
	if t[0] != '/' {
		rest := t
		switch {
		case hasPrefixFold(t, "http://"):
			rest = t[len("http://"):]
		case hasPrefixFold(t, "https://"):
			rest, r.tls = t[len("https://"):], true
		default:
			return errTarget
		}
		end := bytes.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		if r.host = withoutEmptyPort(rest[:end]); !validAuthority(r.host) {
			return errTarget
		}
		if rest = rest[end:]; len(rest) == 0 || rest[0] == '?' {
			r.bare(rest)
			return nil
		}
		t = rest
	}
	if q := bytes.IndexByte(t, '?'); q >= 0 {
		r.query, t = t[q+1:], t[:q]
	}
	return r.setPath(t, reject)
}

// appendEscaped appends b and escapes each byte that is not allowed in a request-target.
func appendEscaped(dst, b []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range b {
		if chars[c]&charTarget == 0 {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

// bare handles an absolute-form target without a path; rest is what follows the authority.
func (r *Request) bare(rest []byte) {
	r.norm = append(r.norm[:0], "/*"...)
	r.path, r.forward = r.norm[:1], r.norm[:1]
	if len(rest) > 0 {
		r.query = rest[1:]
	} else if string(r.method) == "OPTIONS" {
		r.forward = r.norm[1:] // RFC 9112 §3.2.4
	}
}

// validAuthority accepts host or host:port. host is an IP literal, or a name of letters, digits, '-', '.' and '_'. It
// refuses userinfo, commas, escapes and empty parts.
func validAuthority(b []byte) bool {
	if len(b) == 0 || len(b) > 255+6 {
		return false
	}
	var port []byte
	if b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 3 {
			return false
		}
		for _, c := range b[1:end] {
			if chars[c]&charHex == 0 && c != ':' && c != '.' {
				return false
			}
		}
		if port = b[end+1:]; len(port) == 0 {
			return true
		}
		if port[0] != ':' {
			return false
		}
		port = port[1:]
	} else {
		host := b
		colon := bytes.IndexByte(b, ':')
		if colon >= 0 {
			host, port = b[:colon], b[colon+1:]
		}
		if len(host) == 0 || !all(host, charHost) {
			return false
		}
		if colon < 0 {
			return true
		}
	}
	if len(port) == 0 || len(port) > 5 {
		return false
	}
	n := 0
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}
