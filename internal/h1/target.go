package h1

import "bytes"

// target takes the request-target apart (RFC 9112 §3.2): origin-form,
// absolute-form of http and https, or "*" with OPTIONS.
func (r *Request) target(t []byte) *Error {
	if !all(t, charTarget) {
		return errTarget
	}
	if len(t) == 1 && t[0] == '*' {
		if string(r.method) != "OPTIONS" {
			return errTarget
		}
		r.path = t
		return nil
	}
	if t[0] != '/' {
		rest := t
		switch {
		case hasPrefixFold(t, "http://"):
			rest = t[len("http://"):]
		case hasPrefixFold(t, "https://"):
			rest = t[len("https://"):]
		default:
			return errTarget
		}
		end := bytes.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		if r.host = rest[:end]; !validAuthority(r.host) {
			return errTarget
		}
		if rest = rest[end:]; len(rest) == 0 || rest[0] == '?' {
			// No path. The scheme is not needed any more: its first byte holds ours.
			t[0] = '/'
			if len(rest) == 0 && string(r.method) == "OPTIONS" {
				t[0] = '*' // RFC 9112 §3.2.4
			}
			r.path = t[:1]
			if len(rest) > 0 {
				r.query = rest[1:]
			}
			return nil
		}
		t = rest
	}
	if q := bytes.IndexByte(t, '?'); q >= 0 {
		r.query, t = t[q+1:], t[:q]
	}
	var err *Error
	r.path, err = canonical(t)
	return err
}

// canonical brings a path to the one spelling that is routed by and forwarded,
// so that no rule can be walked around by spelling. In place, as the result is
// never longer:
//
//   - escapes of unreserved characters are decoded (RFC 3986 §6.2.2.2), the
//     others stay with capital digits;
//   - %2F, %5C, %00 and every escaped control character are refused, as is a
//     backslash: instances differ in what they make of them;
//   - "." and ".." segments are removed (RFC 3986 §5.2.4), after decoding; one
//     that climbs above the root is refused;
//   - empty segments ("//") are kept: to some services they mean something.
func canonical(p []byte) ([]byte, *Error) {
	if isCanonical(p) {
		return p, nil
	}
	w := 0
	for i := 0; i < len(p); i++ {
		c := p[i]
		if c == '\\' {
			return nil, errPathEscape
		}
		if c != '%' {
			p[w] = c
			w++
			continue
		}
		if i+2 >= len(p) || chars[p[i+1]]&chars[p[i+2]]&charHex == 0 {
			return nil, errPathEscape
		}
		d := unhex(p[i+1])<<4 | unhex(p[i+2])
		switch {
		case d == '/' || d == '\\' || d < 0x20 || d == 0x7f:
			return nil, errPathEscape
		case chars[d]&charPlain != 0:
			p[w] = d
			w++
		default:
			const digits = "0123456789ABCDEF"
			p[w], p[w+1], p[w+2] = '%', digits[d>>4], digits[d&15]
			w += 3
		}
		i += 2
	}
	return removeDots(p[:w])
}

// isCanonical is the fast path of canonical: nothing to decode, nothing that
// could be a dot segment.
func isCanonical(p []byte) bool {
	for i, c := range p {
		if c == '%' || c == '\\' || c == '.' && p[i-1] == '/' { // p[0] is '/'
			return false
		}
	}
	return true
}

func removeDots(p []byte) ([]byte, *Error) {
	w := 0 // p[:w] is done and never ends within a segment
	for i := 0; i < len(p); {
		end := i + 1 // p[i] is '/', the segment is p[i+1:end]
		for end < len(p) && p[end] != '/' {
			end++
		}
		segment, last := p[i+1:end], end == len(p)
		switch string(segment) {
		case ".":
			if last {
				p[w] = '/'
				w++
			}
		case "..":
			if w == 0 {
				return nil, errPathRoot
			}
			for w--; p[w] != '/'; w-- {
			}
			if last {
				p[w] = '/'
				w++
			}
		default:
			w += copy(p[w:], p[i:end])
		}
		i = end
	}
	return p[:w], nil
}

// validAuthority accepts host or host:port, where host is a name of letters,
// digits, '-', '.', '_' or an IP literal. Userinfo, commas, escapes and empty
// parts are refused.
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
