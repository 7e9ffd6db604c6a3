package h1

import "bytes"

// Limits bound the memory and time that a head may use. The zero value means the defaults.
type Limits struct {
	Head   int // bytes of start line and fields; 16384, at most 65535
	Fields int // field lines; 100
	Target int // bytes of the request-target; 8192

	Reserved []string // request fields that clients must not send: removed, whatever stands for '-' in their name

	RejectEncoded bool // refuse encoded slashes, backslashes and control characters in a path
	Underscores   Underscores
}

// Underscores says how to treat request fields with '_' in their name. Fields that imitate a special field
// (X_Forwarded_For) are never forwarded.
type Underscores uint8

// The ways to treat fields with '_'.
const (
	DropUnderscores Underscores = iota
	KeepUnderscores
	RejectUnderscores
)

// Defaults of Limits.
const (
	DefaultHead   = 16 << 10
	DefaultFields = 100
	DefaultTarget = 8 << 10
	MaxHead       = 1<<16 - 1 // offsets are 16 bits wide
)

// WithDefaults replaces zero values with the defaults and limits Head to MaxHead.
func (l Limits) WithDefaults() Limits {
	if l.Head <= 0 {
		l.Head = DefaultHead
	}
	if l.Fields <= 0 {
		l.Fields = DefaultFields
	}
	if l.Target <= 0 {
		l.Target = DefaultTarget
	}
	l.Head = min(l.Head, MaxHead)
	return l
}

// maxMethod is above the length of every registered method.
const maxMethod = 32

// Framing says how the end of a body is found.
type Framing uint8

// The ways a body can end.
const (
	NoBody       Framing = iota
	ByLength             // after Length bytes
	ByChunks             // with the last chunk
	UntilClose           // with the connection, or a stream of HTTP/2
	ByTunnelling         // never: after a 101 both directions belong to another protocol
)

// Request is a parsed request head. It keeps offsets into the buffer given to Parse. It is reused: call Reset before
// each request. It is not safe for concurrent use.
type Request struct {
	Fields
	method, host, path, query []byte
	forward                   []byte // the path as it is forwarded
	raw                       []byte // the request-target as received
	norm                      []byte // storage for spellings of the path that differ from the buffer
	escaped                   []byte // the request-target with escapes, if some of its bytes had to be escaped
	upgrade                   []byte // the protocol that the client requests; nil: none that is passed on

	Minor     int     // HTTP/1.Minor: 0, or 1 for 1 and above
	Body      Framing // NoBody, ByLength (Length > 0), ByChunks, or UntilClose after SetBody
	Length    int64   // with ByLength
	Close     bool    // the client wants the connection closed after the reply
	KeepAlive bool    // an HTTP/1.0 client asked to keep the connection
	Continue  bool    // Expect: 100-continue, and the request has a body
	WebSocket bool    // a complete WebSocket opening handshake
	Dropped   int     // fields with '_' in their name that are not forwarded

	hops          int  // Max-Forwards of OPTIONS and TRACE plus one; 0: no limit
	tls           bool // the target's scheme is https
	started       bool // the request line has been parsed
	line, scanned int  // start of the current line, and where the search for its end stopped
}

// Method returns the request method as received.
func (r *Request) Method() []byte { return r.method }

// Host returns the authority of the request, with its port if it has one: the Host field, or the authority of an
// absolute-form target. It is empty for an HTTP/1.0 request without either.
func (r *Request) Host() []byte { return r.host }

// SetHost sets the authority of an HTTP/1.0 request that has none: an HTTP/1.1 request cannot be written without it.
// host must be valid and stay unchanged while r is in use.
func (r *Request) SetHost(host []byte) { r.host = host }

// SetBody sets the framing of a request whose protocol does not need Content-Length: a body of n bytes, or, if n is
// below 0, one that ends with its stream. A request with a Content-Length keeps it.
func (r *Request) SetBody(n int64) {
	switch {
	case r.Body != NoBody || r.count(ContentLength) > 0:
		return
	case n < 0:
		r.Body = UntilClose
	case n > 0:
		r.Body, r.Length = ByLength, n
	}
	r.Continue = r.Body != NoBody && r.has(Expect)
}

// Path returns the path in the routed spelling: see setPath. It is "/" for OPTIONS *.
func (r *Request) Path() []byte { return r.path }

// RawTarget returns the request-target as received; nil before Parse has found it.
func (r *Request) RawTarget() []byte { return r.raw }

// Query returns the bytes after the first '?', unchanged; nil if there is no '?'.
func (r *Request) Query() []byte { return r.query }

// IsHead reports whether the method is HEAD. The response then has no body, whatever its head says.
func (r *Request) IsHead() bool { return string(r.method) == "HEAD" }

// Reset prepares r for the next head.
func (r *Request) Reset() {
	list, norm, escaped := r.list[:0], r.norm[:0], r.escaped[:0]
	*r = Request{}
	r.list, r.norm, r.escaped = list, norm, escaped
}

// Parse reads a request head from the start of buf. It returns 0 and no error if it needs more bytes. Call it again
// with the same buffer and more bytes in it. The bytes already read must not move, because the results point into the
// buffer. Lines already read are not read again. Otherwise n is the length of the head, and the body starts at buf[n].
//
// Parse skips one empty line before the request line (RFC 9112 §2.2), but no more than one.
func (r *Request) Parse(buf []byte, lim *Limits) (n int, _ *Error) {
	r.buf = buf
	for {
		if !r.started && r.scanned == 0 && len(buf) > 0 {
			// Recognize bytes that are not HTTP at the first byte, not at a timeout.
			if c := buf[0]; c != '\r' && chars[c]&charToken == 0 {
				return 0, notHTTP(c)
			}
		}
		i := bytes.IndexByte(buf[r.scanned:], '\n')
		if i < 0 {
			r.scanned = len(buf)
			return 0, r.tooLong(len(buf), lim)
		}
		start, end := r.line, r.scanned+i-1
		if end < start || buf[end] != '\r' {
			return 0, errLineEnd
		}
		r.line, r.scanned = end+2, end+2
		if err := r.tooLong(r.line, lim); err != nil {
			return 0, err
		}
		switch {
		case !r.started && end == start:
			if bytes.HasPrefix(buf, []byte("\r\n\r\n\x00")) {
				return 0, errProxyHeader // version 2 of the PROXY protocol begins with these bytes
			}
			if start > 0 {
				return 0, errRequestLine
			}
		case !r.started:
			if err := r.requestLine(buf[start:end], lim); err != nil {
				return 0, err
			}
			r.started = true
		case end == start:
			return r.line, r.finish(lim)
		default:
			if err := r.add(buf, start, end, lim.Fields); err != nil {
				return 0, err
			}
		}
	}
}

// Started reports whether Parse has read any byte of a head.
func (r *Request) Started() bool { return r.scanned > 0 }

// tooLong returns an error if n bytes of an incomplete head are above the limits.
func (r *Request) tooLong(n int, lim *Limits) *Error {
	if !r.started && n > lim.Target+maxMethod+len("  HTTP/1.1\r\n\r\n") {
		if sp := bytes.IndexByte(r.buf[:maxMethod+3], ' '); sp > 0 {
			r.raw = r.buf[sp+1 : n]
		}
		return errTargetLong
	}
	if n > lim.Head {
		return errHeadLarge
	}
	return nil
}

func (r *Request) requestLine(line []byte, lim *Limits) *Error {
	sp := bytes.IndexByte(line, ' ')
	if sp <= 0 {
		return errRequestLine
	}
	method, rest := line[:sp], line[sp+1:]
	sp = bytes.IndexByte(rest, ' ')
	if sp <= 0 {
		if string(method) == "PROXY" && string(rest) == "UNKNOWN" {
			return errProxyHeader
		}
		return errRequestLine // HTTP/0.9 has no version
	}
	target, version := rest[:sp], rest[sp+1:]
	if string(method) == "PROXY" && (string(target) == "TCP4" || string(target) == "TCP6" || string(target) == "UNKNOWN") {
		return errProxyHeader
	}
	if len(method) > maxMethod {
		return errMethodLong
	}
	if !all(method, charToken) { // case-sensitive: "get" is another method than GET (RFC 9110 §9.1)
		return errMethod
	}
	if len(version) != 8 || string(version[:5]) != "HTTP/" || version[6] != '.' ||
		version[5] < '0' || version[5] > '9' || version[7] < '0' || version[7] > '9' {
		return errVersion
	}
	if string(method) == "PRI" {
		return ErrPreface // RFC 9113 §3.4
	}
	if version[5] != '1' {
		return errVersionNew
	}
	if EqualFold(method, "connect") {
		return errConnect
	}
	r.method, r.Minor, r.raw = method, min(int(version[7]-'0'), 1), target // RFC 9110 §2.5: HTTP/1.2 is read as HTTP/1.1
	if len(target) > lim.Target {
		return errTargetLong
	}
	return r.target(target, lim.RejectEncoded)
}

// finish checks what requires the complete head.
func (r *Request) finish(lim *Limits) *Error {
	r.reserve(lim.Reserved)
	if err := r.underscores(lim.Underscores); err != nil {
		return err
	}
	if err := r.checkHost(); err != nil {
		return err
	}
	con, err := r.applyConnection(nil)
	if err != nil {
		return err
	}
	chunked, length, err := r.framing(r.Minor, nil)
	if err != nil {
		return err
	}
	switch {
	case chunked:
		r.Body = ByChunks
	case length > 0:
		r.Body, r.Length = ByLength, length
	}
	r.Close = con.close || r.Minor == 0 && !con.keepAlive
	r.KeepAlive = r.Minor == 0 && con.keepAlive && !con.close
	r.readMaxForwards()
	if err := r.checkExpect(); err != nil {
		return err
	}
	return r.checkUpgrade(con)
}

// notHTTP returns the error for a first byte that cannot begin a request.
func notHTTP(c byte) *Error {
	switch c {
	case '\n':
		return errLineEnd
	case 0x16: // a handshake record (RFC 8446 §5.1)
		return errTLS
	}
	return errMethod
}

func (r *Request) underscores(how Underscores) *Error {
	if how == KeepUnderscores {
		for i := range r.list {
			if r.list[i].kind == Underscore {
				r.list[i].kind = Other
			}
		}
	}
	for i := range r.list {
		if k := r.list[i].kind; k == Underscore || k == Alias {
			r.Dropped++
		}
	}
	if how == RejectUnderscores && r.Dropped > 0 {
		return errUnderscore
	}
	return nil
}

// readMaxForwards reads how often an OPTIONS or TRACE may be forwarded (RFC 9110 §7.6.2). The field passes unchanged
// with other methods, or if its value is not a number.
func (r *Request) readMaxForwards() {
	if r.count(MaxForwards) != 1 || string(r.method) != "OPTIONS" && string(r.method) != "TRACE" {
		return
	}
	if n, err := parseLength(r.first(MaxForwards)); err == nil {
		r.hops = 1 + int(min(n, 1<<30))
	}
}

// MustAnswer reports whether the proxy must answer the request instead of forwarding it.
func (r *Request) MustAnswer() bool { return r.hops == 1 }

// checkUpgrade decides how to treat Upgrade (RFC 9110 §7.8). A single token is passed on, and the connection becomes a
// tunnel if the instance agrees.
//
// A proxy may ignore Upgrade. This function ignores it if passing it on would be useless or harmful: a list, HTTP/1.0,
// a WebSocket without its key, and changes to another HTTP or to TLS. The proxy would not inspect the requests in such
// a tunnel (CVE-2026-88008). Java's HttpClient and curl request h2c with every POST.
func (r *Request) checkUpgrade(con connection) *Error {
	if r.count(Upgrade) != 1 || !con.upgrade || r.Minor == 0 {
		return nil
	}
	token := r.first(Upgrade)
	switch {
	case len(token) == 0 || len(token) > maxUpgrade || !isProtocol(token) || isHTTPOrTLS(token):
		return nil
	case r.Body != NoBody:
		return errUpgradeBody // CVE-2026-2833: the owner of the bytes after it is ambiguous
	case EqualFold(token, "websocket"):
		key, _ := r.Header("sec-websocket-key")
		r.WebSocket = string(r.method) == "GET" && len(key) == 24 && !con.close
		if !r.WebSocket {
			return nil
		}
	case con.close:
		return nil
	}
	r.upgrade = token
	return nil
}

const maxUpgrade = 64 // bytes of the name of a protocol

// isProtocol reports whether token is one name with an optional version.
func isProtocol(token []byte) bool {
	slash := bytes.IndexByte(token, '/')
	if slash < 0 {
		return all(token, charToken)
	}
	return slash > 0 && slash < len(token)-1 && all(token[:slash], charToken) && all(token[slash+1:], charToken)
}

func isHTTPOrTLS(token []byte) bool {
	return EqualFold(token, "h2c") || EqualFold(token, "h2") || EqualFold(token, "http") || EqualFold(token, "tls") ||
		hasPrefixFold(token, "http/") || hasPrefixFold(token, "tls/")
}

// Upgrade returns the protocol that the client requests and that is passed on, nil if there is none.
func (r *Request) Upgrade() []byte { return r.upgrade }

func (r *Request) checkExpect() *Error {
	for i := range r.list {
		l := &r.list[i]
		if l.kind != Expect || r.Minor == 0 { // RFC 9110 §10.1.1: ignored in HTTP/1.0
			continue
		}
		if !EqualFold(r.buf[l.value:l.end], "100-continue") {
			return errExpect
		}
		r.Continue = r.Body != NoBody
	}
	return nil
}

func (r *Request) checkHost() *Error {
	var host []byte
	switch r.count(Host) {
	case 0:
		if r.Minor == 1 {
			return errHostMissing
		}
		return nil
	case 1:
	default:
		return errHostTwice
	}
	for i := range r.list {
		if l := &r.list[i]; l.kind == Host {
			host = r.buf[l.value:l.end]
		}
	}
	if host = withoutEmptyPort(host); !validAuthority(host) {
		return errHost
	}
	if r.host == nil {
		r.host = host
	} else if !sameAuthority(r.host, host, r.tls) {
		return errHostMismatch
	}
	return nil
}

// withoutEmptyPort removes the colon of "h:", which means the same as "h" (RFC 3986 §3.2.3).
func withoutEmptyPort(host []byte) []byte {
	if n := len(host); n > 1 && host[n-1] == ':' {
		return host[:n-1]
	}
	return host
}

// sameAuthority compares the authority of a target with Host. Either may omit the default port of the scheme.
func sameAuthority(a, b []byte, tls bool) bool {
	port := ":80"
	if tls {
		port = ":443"
	}
	return sameFold(bytes.TrimSuffix(a, []byte(port)), bytes.TrimSuffix(b, []byte(port)))
}
