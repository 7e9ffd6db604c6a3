package h1

import "bytes"

// setPath keeps a path in two spellings. Dot segments ("." and "../..", RFC 3986 §5.2.4) are removed from both, also
// those spelled with %2e. A client can therefore not bypass a rule, and no instance resolves a path differently from
// its route:
//
//   - the forwarded spelling keeps every escape as the client sent it;
//   - the routed spelling has escapes of unreserved characters decoded (%41 is A,
//     RFC 3986 §6.2.2.2) and the hexadecimal digits of other escapes in capitals. %2F, %5C and
//     all other reserved characters stay escapes: "a%2Fb" is one segment.
//
// setPath refuses malformed escapes, %00, a raw backslash, and a "../.." that climbs above the root. It also refuses a
// "../.." next to an encoded slash or backslash ("..%2f"): an instance that decodes before it resolves would leave the
// route. With reject it also refuses every encoded slash, backslash and control character.
//
// Empty segments ("//") are kept, because they have a meaning for some services.
func (r *Request) setPath(p []byte, reject bool) *Error {
	if isCanonical(p) {
		r.path, r.forward = p, p
		return nil
	}
	if err := checkEscapes(p, reject); err != nil {
		return err
	}
	norm, err := appendWithoutDots(r.norm[:0], p)
	if err != nil {
		return err
	}
	n := len(norm)
	norm = appendRouted(norm, norm)
	r.norm, r.forward, r.path = norm, norm[:n:n], norm[n:]
	return nil
}

// RoutePath returns the spelling in which the path of a rule is compared with the paths of requests. It escapes
// characters that are not allowed in a request-target.
func RoutePath(path string) (string, *Error) {
	p := bytes.ReplaceAll(appendEscaped(nil, []byte(path)), []byte("?"), []byte("%3F"))
	var r Request
	if err := r.setPath(p, false); err != nil {
		return "", err
	}
	return string(r.path), nil
}

// isCanonical is the fast path of setPath: it reports that p has nothing to decode and no possible dot segment.
func isCanonical(p []byte) bool {
	for i, c := range p {
		if c == '%' || c == '\\' || c == '.' && i > 0 && p[i-1] == '/' {
			return false
		}
	}
	return true
}

// checkEscapes refuses paths with two possible readings; see setPath.
func checkEscapes(p []byte, reject bool) *Error {
	piece := 0       // start of the piece between two separators, plain or encoded
	encoded := false // one of the piece's two separators is encoded
	for i := 0; i <= len(p); i++ {
		if i == len(p) || p[i] == '/' {
			if encoded && isDots(p[piece:i]) == 2 {
				return errPathHidden
			}
			piece, encoded = i+1, false
			continue
		}
		if p[i] == '\\' {
			return errPathEscape
		}
		if p[i] != '%' {
			continue
		}
		if i+2 >= len(p) || chars[p[i+1]]&chars[p[i+2]]&charHex == 0 {
			return errPathEscape
		}
		d := unhex(p[i+1])<<4 | unhex(p[i+2])
		slash := d == '/' || d == '\\'
		if d == 0 || reject && (slash || d < 0x20 || d == 0x7f) {
			return errPathEscape
		}
		if slash {
			if isDots(p[piece:i]) == 2 {
				return errPathHidden
			}
			piece, encoded = i+3, true
		}
		i += 2
	}
	return nil
}

// isDots returns 1 for a segment "." and 2 for "../..", in any spelling, otherwise 0.
func isDots(segment []byte) (n int) {
	for len(segment) > 0 {
		switch {
		case segment[0] == '.':
			segment = segment[1:]
		case len(segment) >= 3 && segment[0] == '%' && segment[1] == '2' && lower(segment[2]) == 'e':
			segment = segment[3:]
		default:
			return 0
		}
		if n++; n > 2 {
			return 0
		}
	}
	return n
}

// appendWithoutDots appends p, which begins with '/', without its dot segments.
func appendWithoutDots(dst, p []byte) ([]byte, *Error) {
	for len(p) > 0 { // dst never ends within a segment
		end := 1 + bytes.IndexByte(p[1:], '/')
		last := end == 0
		if last {
			end = len(p)
		}
		switch isDots(p[1:end]) {
		case 1:
			if last {
				dst = append(dst, '/')
			}
		case 2:
			if len(dst) == 0 {
				return nil, errPathRoot
			}
			dst = dst[:bytes.LastIndexByte(dst, '/')]
			if last {
				dst = append(dst, '/')
			}
		default:
			dst = append(dst, p[:end]...)
		}
		p = p[end:]
	}
	return dst, nil
}

// appendRouted appends the routed spelling of p, whose escapes are well-formed.
func appendRouted(dst, p []byte) []byte {
	for i := 0; i < len(p); i++ {
		if p[i] != '%' {
			dst = append(dst, p[i])
			continue
		}
		d := unhex(p[i+1])<<4 | unhex(p[i+2])
		if chars[d]&charPlain != 0 {
			dst = append(dst, d)
		} else {
			const digits = "0123456789ABCDEF"
			dst = append(dst, '%', digits[d>>4], digits[d&15])
		}
		i += 2
	}
	return dst
}
