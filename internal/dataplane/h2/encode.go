package h2

import (
	"bytes"
	"strconv"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// The encoder of response heads uses the static table of HPACK only. It has no state, so a stream can encode its head
// without a lock, and a client cannot make the proxy keep a table. nginx and HAProxy do the same.

// AppendStatus appends the :status pseudo-header (RFC 7541, appendix A).
func AppendStatus(dst []byte, status int) []byte {
	switch status {
	case 200:
		return append(dst, 0x80|8)
	case 204:
		return append(dst, 0x80|9)
	case 206:
		return append(dst, 0x80|10)
	case 304:
		return append(dst, 0x80|11)
	case 400:
		return append(dst, 0x80|12)
	case 404:
		return append(dst, 0x80|13)
	case 500:
		return append(dst, 0x80|14)
	}
	dst = append(dst, 8, 3)
	return strconv.AppendInt(dst, int64(status), 10)
}

// AppendField appends a field with its name in lower case, as a literal that is not indexed.
func AppendField[N, V string | []byte](dst []byte, name N, value V) []byte {
	at := len(dst)
	dst = append(dst, 0)
	dst = appendInt(dst, len(name), 7)
	start := len(dst)
	for i := range len(name) {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	if index := staticNames[string(dst[start:])]; index > 0 {
		dst = appendIndex(dst[:at], index)
	}
	dst = appendInt(dst, len(value), 7)
	return append(dst, value...)
}

// appendIndex appends the name of a literal by its place in the static table.
func appendIndex(dst []byte, index int) []byte {
	if index < 15 {
		return append(dst, byte(index))
	}
	return append(dst, 15, byte(index-15))
}

// appendInt appends an integer with a prefix of bits (RFC 7541 §5.1) whose other bits are 0.
func appendInt(dst []byte, n, bits int) []byte {
	most := 1<<bits - 1
	if n < most {
		return append(dst, byte(n))
	}
	dst = append(dst, byte(most))
	for n -= most; n >= 128; n >>= 7 {
		dst = append(dst, byte(n&127|128))
	}
	return append(dst, byte(n))
}

// staticNames are the names of the static table that requests and responses use. Read only.
var staticNames = map[string]int{
	"accept": 19, "accept-charset": 15, "accept-encoding": 16, "accept-language": 17, "accept-ranges": 18, "access-control-allow-origin": 20, "age": 21, "allow": 22, "cache-control": 24,
	"content-disposition": 25, "content-encoding": 26, "content-language": 27, "content-length": 28, "content-location": 29,
	"content-range": 30, "content-type": 31, "date": 33, "cookie": 32, "etag": 34, "expect": 35, "authorization": 23, "from": 37, "host": 38, "if-match": 39, "if-modified-since": 40, "if-none-match": 41, "if-range": 42, "if-unmodified-since": 43, "max-forwards": 47, "range": 50, "referer": 51, "user-agent": 58, "expires": 36, "last-modified": 44, "link": 45,
	"location": 46, "proxy-authenticate": 48, "retry-after": 53, "server": 54, "set-cookie": 55,
	"strict-transport-security": 56, "vary": 59, "via": 60, "www-authenticate": 61,
}

// AppendRequest converts the text of an HTTP/1.1 request head that this proxy wrote to a header block: the first line and
// Host become pseudo-headers, and the fields of the connection are left out, also the key of
// a WebSocket.
func AppendRequest(dst, head []byte, scheme string) []byte {
	method, target, rest := parts(head)
	switch string(method) {
	case "GET":
		dst = append(dst, 0x80|2)
	case "POST":
		dst = append(dst, 0x80|3)
	default:
		dst = append(dst, 2)
		dst = appendString(dst, method)
	}
	return appendRest(dst, scheme, target, rest)
}

// AppendConnect converts the text of an HTTP/1.1 request that asks for an upgrade to an extended CONNECT (RFC 8441).
func AppendConnect(dst, head, protocol []byte, scheme string) []byte {
	_, target, rest := parts(head)
	dst = append(dst, 2)
	dst = appendString(dst, []byte("CONNECT"))
	dst = AppendField(dst, ":protocol", protocol)
	return appendRest(dst, scheme, target, rest)
}

// parts returns the method and the target of a request head, and the lines of its fields.
func parts(head []byte) (method, target, fields []byte) {
	line, fields, _ := bytes.Cut(head, crlf)
	method, line, _ = bytes.Cut(line, space)
	target, _, _ = bytes.Cut(line, space)
	return method, target, fields
}

func appendRest(dst []byte, scheme string, target, fields []byte) []byte {
	if scheme == "https" {
		dst = append(dst, 0x80|7)
	} else {
		dst = append(dst, 0x80|6)
	}
	dst = append(dst, 4)
	dst = appendString(dst, target)
	return AppendFields(dst, fields, true)
}

// AppendFields converts lines "name: value CRLF" to fields of a header block. In a request, Host becomes :authority.
func AppendFields(dst, lines []byte, request bool) []byte {
	for len(lines) > 0 {
		line, rest, _ := bytes.Cut(lines, crlf)
		lines = rest
		name, value, found := bytes.Cut(line, colon)
		if !found {
			continue // the empty line
		}
		switch {
		case request && h1.EqualFold(name, "host"):
			dst = append(dst, 1)
			dst = appendString(dst, value)
		case h1.EqualFold(name, "transfer-encoding"), h1.EqualFold(name, "connection"), h1.EqualFold(name, "upgrade"), request && h1.EqualFold(name, "sec-websocket-key"):
		default:
			dst = AppendField(dst, name, value)
		}
	}
	return dst
}

func appendString(dst, s []byte) []byte { return append(appendInt(dst, len(s), 7), s...) }

var crlf, space, colon = []byte("\r\n"), []byte(" "), []byte(": ")
