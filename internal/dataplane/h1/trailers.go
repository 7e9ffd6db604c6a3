package h1

import (
	"bytes"
	"slices"
)

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

// AppendTrailers appends the trailers of a chunked response that may be passed on, as lines "name: value CRLF": those that
// its head announced, and that MayTrail. raw are the lines that Body.Trailers returned.
func AppendTrailers(dst, raw, announced []byte) []byte {
	return appendTrailers(dst, raw, func(name []byte) bool { return Announced(announced, name) && MayTrail(name) })
}

// RemoveTrailers appends the lines of trailers whose name is not in names, which are in lower case. Names are compared as CGI
// does, as in Fields.Remove.
func RemoveTrailers(dst, lines []byte, names []string) []byte {
	return appendTrailers(dst, lines, func(name []byte) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return sameVariable(name, n) })
	})
}

func appendTrailers(dst, raw []byte, pass func(name []byte) bool) []byte {
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || !pass(name) {
			continue
		}
		dst = append(append(dst, name...), ": "...)
		dst = append(append(dst, bytes.Trim(value, " \t")...), "\r\n"...)
	}
	return dst
}

// AnnouncesTrailers reports whether the head has a Trailer field.
func (f *Fields) AnnouncesTrailers() bool {
	for i := range f.list {
		if f.isTrailer(i) {
			return true
		}
	}
	return false
}

func (f *Fields) isTrailer(i int) bool {
	l := &f.list[i]
	return l.kind == Hop && EqualFold(f.buf[l.name:l.colon], "trailer")
}

// AppendTrailerField appends a Trailer field with the announced names that pass to an instance. It appends nothing if there
// is no such name.
func (r *Request) AppendTrailerField(dst []byte, lim *Limits) []byte {
	start := len(dst)
	for i := range r.list {
		if !r.isTrailer(i) {
			continue
		}
		for item := range bytes.SplitSeq(r.buf[r.list[i].value:r.list[i].end], []byte(",")) {
			name := trim(item)
			if !r.trailerPasses(name, lim) {
				continue
			}
			if len(dst) == start {
				dst = append(dst, "Trailer: "...)
			} else {
				dst = append(dst, ", "...)
			}
			dst = append(dst, name...)
		}
	}
	if len(dst) > start {
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// AppendTrailers appends the trailers of the request that pass to an instance, as lines "name: value CRLF": those that the
// head announced and that an instance cannot take for a field that it must not get. raw are lines of fields.
func (r *Request) AppendTrailers(dst, raw []byte, lim *Limits) []byte {
	return appendTrailers(dst, raw, func(name []byte) bool { return r.announced(name) && r.trailerPasses(name, lim) })
}

func (r *Request) announced(name []byte) bool {
	for i := range r.list {
		if r.isTrailer(i) && Announced(r.buf[r.list[i].value:r.list[i].end], name) {
			return true
		}
	}
	return false
}

// trailerPasses reports whether a trailer with that name may pass to an instance. An instance may add trailers to the
// fields of the head, and CGI gives two names one variable, so the rules for fields of the head apply as well: names with
// '_', reserved names, and names that Connection holds.
func (r *Request) trailerPasses(name []byte, lim *Limits) bool {
	if len(name) == 0 || !all(name, charToken) || !MayTrail(name) || !MayTrail(asVariable(name)) {
		return false
	}
	if lim.Underscores != KeepUnderscores && bytes.IndexByte(name, '_') >= 0 {
		return false
	}
	for _, reserved := range lim.Reserved {
		if sameVariable(name, reserved) {
			return false
		}
	}
	for i := range r.list {
		if l := &r.list[i]; l.kind == Connection && Announced(r.buf[l.value:l.end], name) {
			return false // RFC 9110 §7.6.1
		}
	}
	return true
}
