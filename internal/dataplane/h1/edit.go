package h1

import "bytes"

// Remove marks the fields with the given names, in lower case, so that they are not forwarded. Header still finds them. With loose, any character
// other than a letter or digit in a name counts as '-', because CGI cannot tell such names apart.
func (f *Fields) Remove(names []string, loose bool) {
	for i := range f.list {
		l := &f.list[i]
		name := f.buf[l.name:l.colon]
		for _, n := range names {
			if loose && sameVariable(name, n) || !loose && EqualFold(name, n) {
				l.kind = Removed
				break
			}
		}
	}
}

// editable are the kinds of fields that may be changed although a proxy reads them.
var editable = Set(Other, Protected, Forwarded, Challenge, TransportSecurity)

// Editable reports whether a route may change the field with that name. It may not change fields that frame or route a
// message, fields of a connection, and fields that the proxy writes.
func Editable(name string) bool {
	folded := make([]byte, len(name))
	for i := range folded {
		folded[i] = variable(name[i])
	}
	return editable&Set(kindOf(folded)) != 0
}

// IsToken reports whether s is a valid name of a field (RFC 9110 §5.6.2).
func IsToken(s string) bool { return s != "" && all([]byte(s), charToken) }

// IsAuthority reports whether s is a host, or host:port.
func IsAuthority(s string) bool { return validAuthority([]byte(s)) }

// LiteralPath returns path as it is forwarded: without dot segments, and with escapes for the characters that are not
// allowed in a request-target. path must begin with '/'.
func LiteralPath(path string) (string, *Error) {
	p := bytes.ReplaceAll(appendEscaped(nil, []byte(path)), []byte("?"), []byte("%3F"))
	clean, err := CleanPath(p)
	return string(clean), err
}

// CleanPath returns p, which begins with '/', without dot segments. It refuses what a request-target must not have
// either: see setPath. The result may be p itself.
func CleanPath(p []byte) ([]byte, *Error) {
	if isCanonical(p) {
		return p, nil
	}
	if err := checkEscapes(p, false); err != nil {
		return nil, err
	}
	return appendWithoutDots(nil, p)
}

// IsPathText reports whether s may be a part of a path: no query, no blank, and whole escapes.
func IsPathText(s string) bool {
	b := []byte(s)
	return all(b, charTarget) && bytes.IndexByte(b, '?') < 0 && checkEscapes(b, false) != errPathEscape
}

// PathUnit returns the length of the first character of a forwarded path, which may be an escape, and its length in the
// routed spelling. p is not empty.
func PathUnit(p []byte) (forwarded, routed int) {
	if p[0] != '%' || len(p) < 3 {
		return 1, 1
	}
	if d := unhex(p[1])<<4 | unhex(p[2]); chars[d]&charPlain != 0 {
		return 3, 1
	}
	return 3, 3
}

// AppendRewritten is AppendHead with another path and another host. An empty value stands for that of r.
func (r *Request) AppendRewritten(dst, path []byte, host string, drop Kinds) []byte {
	if len(path) == 0 {
		path = r.forward
	}
	dst = append(append(dst, r.method...), ' ')
	dst = r.appendQuery(append(dst, path...))
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	if host != "" {
		dst = append(dst, host...)
	} else {
		dst = append(dst, r.host...)
	}
	return r.appendRest(append(dst, "\r\n"...), drop)
}

// ForwardPath returns the path in the forwarded spelling, "*" for OPTIONS *.
func (r *Request) ForwardPath() []byte { return r.forward }
