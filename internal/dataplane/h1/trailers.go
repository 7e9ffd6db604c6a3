package h1

import "bytes"

// MayTrail reports whether a field may be a trailer. Fields that frame, route, authenticate or describe a message are
// needed before its body (RFC 9110 §6.5.1); a recipient that merged them into the head would take other bytes for the
// message than this proxy did.
func MayTrail(name []byte) bool {
	if kind := kindOf(name); kind != Other && kind != Underscore {
		return false
	}
	for _, bad := range [...]string{
		"age", "cache-control", "content-encoding", "content-range", "content-type", "expires", "if-match", "if-modified-since", "if-none-match", "if-range",
		"if-unmodified-since", "location", "pragma", "range", "retry-after", "set-cookie", "vary", "warning",
	} {
		if EqualFold(name, bad) {
			return false
		}
	}
	return true
}

// Announced reports whether a list of names, the value of Trailer, holds name.
func Announced(list, name []byte) bool {
	for len(list) > 0 {
		item, rest, _ := bytes.Cut(list, []byte(","))
		if sameFold(bytes.Trim(item, " \t"), name) {
			return true
		}
		list = rest
	}
	return false
}

// AppendTrailers appends the trailers of a chunked body that may be passed on, as lines "name: value CRLF": those that
// its head announced, and that MayTrail. raw are the lines that Body.Trailers returned.
func AppendTrailers(dst, raw, announced []byte) []byte {
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || !Announced(announced, name) || !MayTrail(name) {
			continue
		}
		dst = append(append(dst, name...), ": "...)
		dst = append(append(dst, bytes.Trim(value, " \t")...), "\r\n"...)
	}
	return dst
}
