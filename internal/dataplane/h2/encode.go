package h2

import "strconv"

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

// staticNames are the names of the static table that responses use. Read only.
var staticNames = map[string]int{
	"accept-ranges": 18, "access-control-allow-origin": 20, "age": 21, "allow": 22, "cache-control": 24,
	"content-disposition": 25, "content-encoding": 26, "content-language": 27, "content-length": 28, "content-location": 29,
	"content-range": 30, "content-type": 31, "date": 33, "etag": 34, "expires": 36, "last-modified": 44, "link": 45,
	"location": 46, "proxy-authenticate": 48, "retry-after": 53, "server": 54, "set-cookie": 55,
	"strict-transport-security": 56, "vary": 59, "via": 60, "www-authenticate": 61,
}
