// Package tracecontext reads and writes the headers traceparent and tracestate of W3C Trace Context level 1. It has no
// I/O, and a request that it reads costs no allocation.
package tracecontext

import (
	"bytes"
	"encoding/hex"
)

// Context names a span of a trace.
type Context struct {
	TraceID [16]byte // not all zero
	SpanID  [8]byte  // not all zero
	Sampled bool     // spans of this trace are recorded
}

const (
	versionLen = 55 // bytes of a traceparent of version 00
	maxMembers = 32 // of a tracestate
)

// Parse reads the value of a traceparent. A version above 00 may have more fields after the flags, which are ignored.
func Parse(v []byte) (c Context, ok bool) {
	if len(v) < versionLen || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return Context{}, false
	}
	var version, flags [1]byte
	if !unhex(version[:], v[:2]) || !unhex(c.TraceID[:], v[3:35]) || !unhex(c.SpanID[:], v[36:52]) || !unhex(flags[:], v[53:55]) {
		return Context{}, false
	}
	switch {
	case version[0] == 0xff, version[0] == 0 && len(v) != versionLen, len(v) > versionLen && v[versionLen] != '-':
		return Context{}, false
	case c.TraceID == [16]byte{}, c.SpanID == [8]byte{}:
		return Context{}, false
	}
	c.Sampled = flags[0]&1 != 0
	return c, true
}

// unhex decodes lower case digits only, which is all that the standard allows.
func unhex(dst, src []byte) bool {
	for i := range dst {
		high, low := digit(src[2*i]), digit(src[2*i+1])
		if high < 0 || low < 0 {
			return false
		}
		dst[i] = byte(high<<4 | low)
	}
	return true
}

func digit(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b >= 'a' && b <= 'f':
		return int(b-'a') + 10
	}
	return -1
}

// Append appends c as the value of a traceparent of version 00.
func (c Context) Append(dst []byte) []byte {
	dst = append(dst, "00-"...)
	dst = hex.AppendEncode(dst, c.TraceID[:])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, c.SpanID[:])
	if c.Sampled {
		return append(dst, "-01"...)
	}
	return append(dst, "-00"...)
}

// ValidState reports whether v is the value of a tracestate: at most 32 members key=value with different keys. Empty members
// are allowed.
func ValidState(v []byte) bool {
	var keys [maxMembers][]byte
	n := 0
	for more := true; more; {
		var member []byte
		member, v, more = bytes.Cut(v, []byte{','})
		if member = bytes.Trim(member, " \t"); len(member) == 0 {
			continue
		}
		key, value, ok := bytes.Cut(member, []byte{'='})
		if !ok || n == maxMembers || !validKey(key) || !validValue(value) {
			return false
		}
		for _, other := range keys[:n] {
			if bytes.Equal(other, key) {
				return false
			}
		}
		keys[n] = key
		n++
	}
	return n > 0
}

// validKey accepts a simple key of 256 characters at most, or tenant@system with at most 241 and 14.
func validKey(k []byte) bool {
	tenant, system, multi := bytes.Cut(k, []byte{'@'})
	if !multi {
		return len(k) <= 256 && keyChars(k) && isLetter(k[0])
	}
	return len(tenant) <= 241 && keyChars(tenant) && len(system) <= 14 && keyChars(system) && isLetter(system[0])
}

// keyChars reports whether k begins with a letter or digit and has only characters of a key.
func keyChars(k []byte) bool {
	for i, b := range k {
		alphanumeric := isLetter(b) || b >= '0' && b <= '9'
		if !alphanumeric && (i == 0 || b != '_' && b != '-' && b != '*' && b != '/') {
			return false
		}
	}
	return len(k) > 0
}

func isLetter(b byte) bool { return b >= 'a' && b <= 'z' }

func validValue(v []byte) bool {
	for _, b := range v {
		if b < 0x20 || b > 0x7e || b == ',' || b == '=' {
			return false
		}
	}
	return len(v) > 0 && len(v) <= 256
}
