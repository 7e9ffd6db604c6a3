package h2

import (
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"strings"

	"golang.org/x/net/http2/hpack"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// head builds the text of an HTTP/1.1 request head from the fields of a header block (RFC 9113 §8.3). What HTTP/1.1
// checks as well is left to the parser of package h1; here only what HTTP/2 adds is checked, and that no byte of a field
// can end its line.
type head struct {
	limit    int
	response bool // of a response: the text is a status line and fields
	trailers bool
	bad      string // why the request is malformed
	size     int    // as SETTINGS_MAX_HEADER_LIST_SIZE counts
	tooLarge bool
	regular  bool // a field that is not a pseudo-header was seen
	announce bool // the field Trailer was seen
	length   int64

	method, scheme, path, authority, host, status, protocol string
	has                                                     [6]bool
	cookie                                                  []byte
	fields                                                  []byte
	text                                                    []byte
}

const keepText = 32 << 10 // larger buffers are not kept

func (h *head) reset(trailers bool) {
	fields, text, cookie := h.fields[:0], h.text[:0], h.cookie[:0]
	if cap(fields)+cap(text)+cap(cookie) > keepText {
		fields, text, cookie = nil, nil, nil
	}
	*h = head{limit: h.limit, response: h.response, trailers: trailers, length: -1, fields: fields, text: text, cookie: cookie}
}

// add takes one field. hpack calls it.
func (h *head) add(f hpack.HeaderField) {
	if h.bad != "" {
		return
	}
	if h.size += len(f.Name) + len(f.Value) + 32; h.size > h.limit {
		h.tooLarge = true
	}
	if strings.HasPrefix(f.Name, ":") {
		h.pseudo(f.Name, f.Value)
		return
	}
	h.regular = true
	if !validName(f.Name) {
		h.bad = "malformed field name"
		return
	}
	if !validValue(f.Value) {
		h.bad = "malformed field value"
		return
	}
	if h.trailers {
		h.trailer(f.Name, f.Value)
		return
	}
	switch f.Name {
	case "sec-websocket-key": // has no meaning in HTTP/2 (RFC 8441 §5); finish makes one for the instance
		if !h.has[5] {
			h.line(f.Name, f.Value)
		}
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		h.bad = "a field for connections of HTTP/1.1"
	case "te":
		if f.Value != "trailers" {
			h.bad = "TE with another value than trailers"
		}
		h.line(f.Name, f.Value)
	case "host":
		if h.response {
			h.line(f.Name, f.Value)
			return
		}
		if h.host != "" && h.host != f.Value {
			h.bad = "more than one Host"
		}
		h.host = f.Value
	case "cookie": // RFC 9113 §8.2.3
		if h.response {
			h.line(f.Name, f.Value)
			return
		}
		if len(h.cookie) > 0 {
			h.cookie = append(h.cookie, "; "...)
		}
		if !h.tooLarge {
			h.cookie = append(h.cookie, f.Value...)
		}
	case "content-length":
		h.contentLength(f.Value)
		h.line(f.Name, f.Value)
	case "trailer":
		h.announce = true
		h.line(f.Name, f.Value)
	default:
		h.line(f.Name, f.Value)
	}
}

func (h *head) line(name, value string) {
	if h.tooLarge {
		return
	}
	h.fields = append(h.fields, name...)
	h.fields = append(h.fields, ": "...)
	h.fields = append(h.fields, value...)
	h.fields = append(h.fields, "\r\n"...)
}

// contentLength notes a valid length. The parser of HTTP/1.1 refuses invalid and repeated ones.
func (h *head) contentLength(v string) {
	n := int64(0)
	if v == "" || len(v) > 18 {
		return
	}
	for i := range len(v) {
		if v[i] < '0' || v[i] > '9' {
			return
		}
		n = n*10 + int64(v[i]-'0')
	}
	h.length = n
}

func (h *head) pseudo(name, value string) {
	if h.trailers {
		h.bad = "a pseudo-header in trailers"
		return
	}
	if h.regular {
		h.bad = "a pseudo-header after a field"
		return
	}
	if (name == ":status") != h.response {
		h.bad = "a pseudo-header that does not belong there"
		return
	}
	at, slot := -1, (*string)(nil)
	switch name {
	case ":status":
		at, slot = 4, &h.status
	case ":method":
		at, slot = 0, &h.method
	case ":scheme":
		at, slot = 1, &h.scheme
	case ":path":
		at, slot = 2, &h.path
	case ":authority":
		at, slot = 3, &h.authority
	case ":protocol":
		at, slot = 5, &h.protocol
	default:
		h.bad = "unknown pseudo-header"
		return
	}
	if h.has[at] {
		h.bad = "a pseudo-header twice"
		return
	}
	h.has[at] = true
	*slot = value
}

// finish builds the text, and returns why the request is malformed.
func (h *head) finish(end bool) (reason string) {
	switch {
	case h.bad != "":
		return h.bad
	case h.method == "" || !isWord(h.method):
		return "no valid :method"
	case h.has[5] && (h.method != "CONNECT" || h.authority == "" || h.protocol == "" || !isWord(h.protocol)):
		return ":protocol without CONNECT or :authority, or without a name"
	case h.method == "CONNECT" && !h.has[5]:
		if h.has[1] || h.has[2] || h.authority == "" {
			return "CONNECT with :scheme or :path, or without :authority"
		}
		h.path = h.authority
	case h.scheme != "http" && h.scheme != "https":
		return "no :scheme, or another one than http and https"
	case h.path == "" || h.path[0] != '/' && h.path != "*":
		return "no valid :path"
	}
	if !isWord(h.path) {
		return "no valid :path"
	}
	if !validValue(h.authority) {
		return "no valid :authority"
	}
	if end && h.length > 0 {
		return "Content-Length of a request without a body"
	}
	if h.authority == "" {
		h.authority = h.host
	} else if h.host != "" && !strings.EqualFold(h.host, h.authority) {
		return "Host differs from :authority"
	}
	if h.tooLarge {
		h.path = h.path[:min(len(h.path), 1024)]
	}
	if h.has[5] {
		h.method = "GET"
	}
	t := append(h.text[:0], h.method...)
	t = append(t, ' ')
	t = append(t, h.path...)
	t = append(t, " HTTP/1.1\r\n"...)
	if h.authority != "" {
		t = append(t, "host: "...)
		t = append(t, h.authority...)
		t = append(t, "\r\n"...)
	}
	if h.has[5] {
		t = h.appendUpgrade(t)
	}
	if !h.tooLarge {
		t = append(t, h.fields...)
		if len(h.cookie) > 0 {
			t = append(t, "cookie: "...)
			t = append(t, h.cookie...)
			t = append(t, "\r\n"...)
		}
	}
	h.text = append(t, "\r\n"...)
	return ""
}

// appendUpgrade appends the fields that ask an instance of HTTP/1.1 for what an extended CONNECT asks for (RFC 8441 §5).
func (h *head) appendUpgrade(t []byte) []byte {
	t = append(t, "connection: Upgrade\r\nupgrade: "...)
	t = append(t, h.protocol...)
	t = append(t, "\r\n"...)
	if h.protocol == "websocket" {
		var key [16]byte // shows only that the answer belongs to the request
		binary.NativeEndian.PutUint64(key[:], rand.Uint64())
		binary.NativeEndian.PutUint64(key[8:], rand.Uint64())
		t = append(t, "sec-websocket-key: "...)
		t = base64.StdEncoding.AppendEncode(t, key[:])
		t = append(t, "\r\n"...)
	}
	return t
}

// trailer takes a field of trailers if a trailer may have that name.
func (h *head) trailer(name, value string) {
	if h1.MayTrail([]byte(name)) {
		h.line(name, value)
	}
}

// finishResponse builds the text of a response head, and returns why the response is malformed.
func (h *head) finishResponse() (reason string) {
	switch {
	case h.bad != "":
		return h.bad
	case h.tooLarge:
		return "head too large"
	case len(h.status) != 3 || h.status == "101":
		return "no valid :status"
	}
	t := append(h.text[:0], "HTTP/1.1 "...)
	t = append(t, h.status...)
	t = append(t, " \r\n"...)
	t = append(t, h.fields...)
	h.text = append(t, "\r\n"...)
	return ""
}

// isWord reports whether s has no byte that could end a word of a request line.
func isWord(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// validName accepts the names of RFC 9113 §8.2.1: a token without upper-case letters.
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			continue
		}
		if !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) || c >= 0x80 {
			return false
		}
	}
	return s != ""
}

// validValue accepts the values of RFC 9113 §8.2.1 without control characters.
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return s == "" || !isBlank(s[0]) && !isBlank(s[len(s)-1])
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
