package compress

import (
	"bytes"
	"strings"
)

// Policy says which responses of a route are compressed.
type Policy struct {
	Codings []Coding // that clients may get; of those with the same weight, the first one
	Types   Types
	MinSize int64 // smallest Content-Length in bytes that is worth it
}

// Types are media types in lower case. A type that ends with /* stands for all types before it.
type Types []string

// Has reports whether the value of a Content-Type names one of the types.
func (t Types) Has(value []byte) bool {
	kind, _, _ := bytes.Cut(value, []byte{';'})
	kind = bytes.Trim(kind, " \t")
	for _, want := range t {
		all, wild := strings.CutSuffix(want, "*")
		if wild && len(kind) > len(all) && equalFold(kind[:len(all)], all) || !wild && equalFold(kind, want) {
			return true
		}
	}
	return false
}

// equalFold compares b with text in lower case, without allocation.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// Response is what a Policy needs to know of a response. Fill it with Read, a field at a time.
type Response struct {
	Status int
	Length int64 // -1: unknown
	Body   bool  // it has one, or would have had one if the method were not HEAD

	kind      []byte
	types     int
	coded     bool // it has a coding, a range or a digest
	fixed     bool // no-transform
	varies    bool
	Validator []byte // value of ETag; empty: none
}

// Read notes a field of the response, except ETag and Vary, if they do not matter for the decision.
func (r *Response) Read(name, value []byte) {
	switch {
	case equalFold(name, "content-type"):
		r.kind = value
		r.types++
	case equalFold(name, "content-encoding"):
		r.coded = r.coded || !equalFold(value, "identity")
	case equalFold(name, "content-range"), equalFold(name, "content-digest"), equalFold(name, "repr-digest"), equalFold(name, "digest"), equalFold(name, "content-md5"):
		r.coded = true
	case equalFold(name, "cache-control"):
		r.fixed = r.fixed || hasMember(value, "no-transform")
	case equalFold(name, "etag"):
		r.Validator = value
	case equalFold(name, "vary"):
		r.varies = r.varies || hasMember(value, "accept-encoding") || hasMember(value, "*")
	}
}

// Suits reports whether the policy compresses such a response for a client that accepts it.
func (p *Policy) Suits(r *Response) bool {
	return r.Body && r.Status != 206 && !r.coded && !r.fixed && r.types == 1 && (r.Length < 0 || r.Length >= p.MinSize) && p.Types.Has(r.kind)
}

// Varies reports whether the response already says that it depends on Accept-Encoding.
func (r *Response) Varies() bool { return r.varies }

// NoTransform reports whether the value of a Cache-Control forbids changes of the body.
func NoTransform(value []byte) bool { return hasMember(value, "no-transform") }

// hasMember reports whether a list separated by commas has a member, which is in lower case.
func hasMember(list []byte, lower string) bool {
	for more := true; more; {
		var member []byte
		member, list, more = bytes.Cut(list, []byte{','})
		if equalFold(bytes.Trim(member, " \t"), lower) {
			return true
		}
	}
	return false
}

// AppendWeak appends the weak form of an entity tag: a compressed body has other bytes than the instance's (RFC 9110 §8.8.1).
func AppendWeak(dst, tag []byte) []byte {
	if !bytes.HasPrefix(tag, []byte("W/")) {
		dst = append(dst, "W/"...)
	}
	return append(dst, tag...)
}
