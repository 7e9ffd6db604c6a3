package h1

import "bytes"

// Kind says how a proxy must treat a field. Most fields need no special treatment (Other).
type Kind uint8

// The fields that a proxy treats specially.
const (
	Other Kind = iota
	Host
	ContentLength
	TransferEncoding
	Connection
	Hop // Keep-Alive, Proxy-Connection, TE, Trailer, HTTP2-Settings, Proxy-Authorization, Proxy-Authenticate
	Upgrade
	Expect
	ForwardedFor
	ForwardedProto
	ForwardedHost
	Forwarded // Forwarded, X-Real-Ip, any other X-Forwarded-*
	RequestID
	Explain    // X-Smartlb-*
	Underscore // a name with '_': CGI and WSGI read it as '-', so it can imitate any other field
	Named      // named by Connection, so meant for this proxy only
	Protected  // Authorization, Cookie: Connection must not name them
	Challenge  // WWW-Authenticate
	Alias      // a name with '_' that would be a special field if it had '-'
	Via
	MaxForwards
	Date
	TransportSecurity // Strict-Transport-Security
	Reserved          // named by Limits.Reserved
	Removed           // by Remove
)

// Kinds is a set of Kind.
type Kinds uint32

// Set returns the set of the given kinds.
func Set(kinds ...Kind) (s Kinds) {
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

// hopByHop fields are never forwarded unchanged. They either end at the proxy (RFC 9110 §7.6.1) or the proxy writes
// them again from the parsed value.
const hopByHop Kinds = 1<<Host | 1<<ContentLength | 1<<TransferEncoding | 1<<Connection |
	1<<Hop | 1<<Upgrade | 1<<Expect | 1<<Explain | 1<<Named | 1<<Reserved | 1<<Removed

// kindOf returns the kind of a valid field name.
func kindOf(name []byte) Kind {
	switch len(name) {
	case 2:
		if EqualFold(name, "te") {
			return Hop
		}
	case 3:
		if EqualFold(name, "via") {
			return Via
		}
	case 4:
		if EqualFold(name, "host") {
			return Host
		}
		if EqualFold(name, "date") {
			return Date
		}
	case 6:
		if EqualFold(name, "expect") {
			return Expect
		}
		if EqualFold(name, "cookie") {
			return Protected
		}
	case 7:
		if EqualFold(name, "upgrade") {
			return Upgrade
		}
		if EqualFold(name, "trailer") {
			return Hop
		}
	case 9:
		if EqualFold(name, "forwarded") || EqualFold(name, "x-real-ip") {
			return Forwarded
		}
	case 10:
		if EqualFold(name, "connection") {
			return Connection
		}
		if EqualFold(name, "keep-alive") {
			return Hop
		}
	case 12:
		if EqualFold(name, "x-request-id") {
			return RequestID
		}
		if EqualFold(name, "max-forwards") {
			return MaxForwards
		}
	case 13:
		if EqualFold(name, "authorization") {
			return Protected
		}
	case 14:
		if EqualFold(name, "content-length") {
			return ContentLength
		}
		if EqualFold(name, "http2-settings") {
			return Hop
		}
	case 15:
		if EqualFold(name, "x-forwarded-for") {
			return ForwardedFor
		}
	case 16:
		if EqualFold(name, "x-forwarded-host") {
			return ForwardedHost
		}
		if EqualFold(name, "proxy-connection") {
			return Hop
		}
		if EqualFold(name, "www-authenticate") {
			return Challenge
		}
	case 17:
		if EqualFold(name, "transfer-encoding") {
			return TransferEncoding
		}
		if EqualFold(name, "x-forwarded-proto") {
			return ForwardedProto
		}
	case 18:
		if EqualFold(name, "proxy-authenticate") {
			return Hop
		}
	case 19:
		if EqualFold(name, "proxy-authorization") {
			return Hop
		}
	case 25:
		if EqualFold(name, "strict-transport-security") {
			return TransportSecurity
		}
	}
	if hasPrefixFold(name, "x-forwarded-") {
		return Forwarded
	}
	if hasPrefixFold(name, "x-smartlb-") {
		return Explain
	}
	return Other
}

// field is one line of a head, as offsets into its buffer. Heads are below 64 KiB (Limits), so 16 bits are enough, and
// the garbage collector has no pointer to follow.
type field struct {
	name, colon, value, end uint16
	kind                    Kind
	plain                   bool // exactly "name: value CRLF": may be copied together with adjacent lines
}

// Fields are the field lines of a head. They point into the parsed buffer and are valid as long as the buffer is.
type Fields struct {
	buf   []byte
	list  []field
	binds bool
}

// Len returns the number of field lines.
func (f *Fields) Len() int { return len(f.list) }

// Field returns line i: its name as sent, its value without surrounding blanks, and its kind.
func (f *Fields) Field(i int) (name, value []byte, kind Kind) {
	l := &f.list[i]
	return f.buf[l.name:l.colon], f.buf[l.value:l.end], l.kind
}

// Header returns the value of the first field with that name, ignoring ASCII case. It does not find fields that are not
// forwarded because of their name (with an underscore, reserved, or named by Connection).
func (f *Fields) Header(name string) ([]byte, bool) {
	for i := range f.list {
		l := &f.list[i]
		if int(l.colon-l.name) != len(name) || l.kind == Underscore || l.kind == Alias || l.kind == Named || l.kind == Reserved {
			continue
		}
		n := f.buf[l.name:l.colon]
		j := 0
		for j < len(name) && lower(n[j]) == lower(name[j]) {
			j++
		}
		if j == len(name) {
			return f.buf[l.value:l.end], true
		}
	}
	return nil, false
}

// add parses buf[start:end], one field line without its CRLF.
func (f *Fields) add(buf []byte, start, end, limit int) *Error {
	if len(f.list) == limit {
		return errManyFields
	}
	line := buf[start:end]
	if line[0] == ' ' || line[0] == '\t' {
		return errFold
	}
	colon, under := 0, false
	for colon < len(line) && chars[line[colon]]&charToken != 0 {
		under = under || line[colon] == '_'
		colon++
	}
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		return errFieldName // no colon, an empty name, or space before the colon
	}
	from, to := colon+1, len(line)
	for from < to && (line[from] == ' ' || line[from] == '\t') {
		from++
	}
	for to > from && (line[to-1] == ' ' || line[to-1] == '\t') {
		to--
	}
	if !all(line[from:to], charValue) {
		return errFieldValue
	}
	kind := kindOf(line[:colon])
	if under {
		kind = underscored(line[:colon])
	}
	if kind == Challenge || kind == Protected && colon == len("authorization") {
		f.binds = f.binds || bindsConnection(line[from:to])
	}
	f.list = append(f.list, field{
		name: uint16(start), colon: uint16(start + colon), value: uint16(start + from), end: uint16(start + to),
		kind: kind, plain: from == colon+2 && line[colon+1] == ' ' && to == len(line),
	})
	return nil
}

// underscored returns the kind of a name with '_'. It is an Alias if the same name with '-' would be a special field.
// CGI and WSGI treat both names alike.
func underscored(name []byte) Kind {
	var dashed [32]byte
	if len(name) > len(dashed) {
		name = name[:len(dashed)] // long enough for every prefix that matters
	}
	for i, c := range name {
		if c == '_' {
			c = '-'
		}
		dashed[i] = c
	}
	if kindOf(dashed[:len(name)]) != Other {
		return Alias
	}
	return Underscore
}

// has reports whether there is a line of that kind.
func (f *Fields) has(kind Kind) bool {
	for i := range f.list {
		if f.list[i].kind == kind {
			return true
		}
	}
	return false
}

// maxConnectionOptions limits the work of matching options with fields. No client needs more.
const maxConnectionOptions = 16

// connection holds the options of the Connection fields of a head.
type connection struct {
	close, keepAlive, upgrade bool
}

// applyConnection reads all Connection fields and marks the fields that they name (RFC 9110 §7.6.1).
//
// A Connection field must not name a field that routes, frames or authenticates a message, or that the proxy adds. Such
// an option is an attack on systems that trust the named field (CVE-2021-32813, CVE-2024-45410), so the message is
// refused. In a response the option is ignored if tolerated is not nil.
func (f *Fields) applyConnection(tolerated *Tolerances) (c connection, _ *Error) {
	options := 0
	for i := range f.list {
		if f.list[i].kind != Connection {
			continue
		}
		rest := f.buf[f.list[i].value:f.list[i].end]
		for len(rest) > 0 {
			var option []byte
			if comma := bytes.IndexByte(rest, ','); comma >= 0 {
				option, rest = trim(rest[:comma]), rest[comma+1:]
			} else {
				option, rest = trim(rest), nil
			}
			if len(option) == 0 {
				continue
			}
			if options++; options > maxConnectionOptions || !all(option, charToken) {
				return c, errConnection
			}
			switch {
			case EqualFold(option, "close"):
				c.close = true
			case EqualFold(option, "keep-alive"):
				c.keepAlive = true
			case EqualFold(option, "upgrade"):
				c.upgrade = true
			default:
				if err := f.markNamed(option); err != nil {
					if tolerated == nil {
						return c, err
					}
					*tolerated |= ConnectionNames // the field stays: nothing that the proxy needs is removed
				}
			}
		}
	}
	return c, nil
}

func (f *Fields) markNamed(name []byte) *Error {
	switch kindOf(name) {
	case Host, ContentLength, TransferEncoding, Connection, Expect, ForwardedFor, ForwardedProto, ForwardedHost,
		Forwarded, RequestID, Explain, Protected, Via, MaxForwards:
		return errConnectionKey
	}
	for i := range f.list {
		l := &f.list[i]
		if l.kind == Other && sameFold(f.buf[l.name:l.colon], name) {
			l.kind = Named
		}
	}
	return nil
}

// framing reads Content-Length and Transfer-Encoding as in RFC 9112 §6. It accepts none of the tolerated variants of
// the RFC, except those that tolerated allows.
func (f *Fields) framing(minor int, tolerated *Tolerances) (chunked bool, length int64, _ *Error) {
	length = -1
	codings := 0
	for i := range f.list {
		l := &f.list[i]
		switch l.kind {
		case ContentLength:
			n, err := parseLength(f.buf[l.value:l.end])
			if err != nil && tolerated != nil && bytes.IndexByte(f.buf[l.value:l.end], ',') >= 0 {
				n, err = equalLengths(f.buf[l.value:l.end])
				*tolerated |= RepeatedLength
			}
			if err != nil {
				return false, 0, err
			}
			if length >= 0 {
				if tolerated == nil || n != length {
					return false, 0, errLengthTwice
				}
				*tolerated |= RepeatedLength
			}
			length = n
		case TransferEncoding:
			if codings++; codings > 1 {
				return false, 0, errCodingTwice
			}
			v := f.buf[l.value:l.end]
			switch {
			case EqualFold(v, "chunked"):
				chunked = true
			case len(v) > 0 && all(v, charToken):
				return false, 0, errCoding
			default:
				return false, 0, errCodingBad
			}
		}
	}
	if codings > 0 && minor == 0 {
		if tolerated == nil {
			return false, 0, errCodingOld
		}
		*tolerated |= OldChunked
	}
	if codings > 0 && length >= 0 {
		return false, 0, errBoth
	}
	return chunked, length, nil
}

// maxLengthDigits keeps a length within an int64 without an overflow check.
const maxLengthDigits = 18

func parseLength(v []byte) (n int64, _ *Error) {
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, errLength
		}
	}
	if len(v) == 0 {
		return 0, errLength
	}
	if len(v) > maxLengthDigits {
		return 0, errLengthLarge
	}
	for _, c := range v {
		n = n*10 + int64(c-'0')
	}
	return n, nil
}

// first returns the value of the first line of that kind.
func (f *Fields) first(kind Kind) []byte {
	for i := range f.list {
		if l := &f.list[i]; l.kind == kind {
			return f.buf[l.value:l.end]
		}
	}
	return nil
}

// count returns the number of lines of that kind.
func (f *Fields) count(kind Kind) (n int) {
	for i := range f.list {
		if f.list[i].kind == kind {
			n++
		}
	}
	return n
}

// Crosses returns line i if it crosses a proxy and its kind is not in drop.
func (f *Fields) Crosses(i int, drop Kinds) (name, value []byte, ok bool) {
	l := &f.list[i]
	if (drop|hopByHop)&(1<<l.kind) != 0 {
		return nil, nil, false
	}
	return f.buf[l.name:l.colon], f.buf[l.value:l.end], true
}

// AppendFields appends every line whose kind is not in drop, in the received order. It always drops fields that end at
// a proxy.
func (f *Fields) AppendFields(dst []byte, drop Kinds) []byte {
	drop |= hopByHop
	for i := 0; i < len(f.list); i++ {
		l := &f.list[i]
		if drop&(1<<l.kind) != 0 {
			continue
		}
		if !l.plain {
			dst = append(dst, f.buf[l.name:l.colon]...)
			dst = append(dst, ": "...)
			dst = append(dst, f.buf[l.value:l.end]...)
			dst = append(dst, "\r\n"...)
			continue
		}
		last := l // copy a run of plain lines at once
		for i+1 < len(f.list) && f.list[i+1].plain && drop&(1<<f.list[i+1].kind) == 0 {
			i++
			last = &f.list[i]
		}
		dst = append(dst, f.buf[l.name:int(last.end)+2]...)
	}
	return dst
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
