package h1

import "strconv"

// AppendHead appends the head to forward for r: the request line in origin-form with the forwarded path, Host, the
// fields, the framing, and a change of protocol that is passed on. It omits fields that end at a proxy, fields with an
// underscore in their name, and fields whose kind is in drop. It does not append the empty line: the caller first
// appends its own fields and then calls AppendEnd.
func (r *Request) AppendHead(dst []byte, drop Kinds) []byte {
	dst = append(dst, r.method...)
	dst = append(dst, ' ')
	dst = r.AppendTarget(dst)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, r.host...)
	return r.appendRest(append(dst, "\r\n"...), drop)
}

// appendRest appends the fields and the framing.
func (r *Request) appendRest(dst []byte, drop Kinds) []byte {
	drop |= 1<<Underscore | 1<<Alias
	if r.hops > 0 {
		drop |= 1 << MaxForwards
	}
	dst = r.AppendFields(dst, drop)
	if r.hops > 0 {
		dst = append(dst, "Max-Forwards: "...)
		dst = strconv.AppendInt(dst, int64(max(r.hops-2, 0)), 10)
		dst = append(dst, "\r\n"...)
	}
	switch {
	case r.Body == ByChunks, r.Body == UntilClose:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case r.Body == ByLength:
		dst = appendLength(dst, r.Length)
	case r.count(ContentLength) > 0:
		dst = appendLength(dst, 0) // an explicitly empty body, as a POST should have
	}
	if r.upgrade != nil {
		dst = AppendUpgrade(dst, r.upgrade)
	}
	return dst
}

// AppendUpgrade appends the fields that request a change of protocol, or agree to it.
func AppendUpgrade(dst, protocol []byte) []byte {
	dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
	dst = append(dst, protocol...)
	return append(dst, "\r\n"...)
}

// AppendTarget appends the path and the query as they are forwarded.
func (r *Request) AppendTarget(dst []byte) []byte {
	return r.appendQuery(append(dst, r.forward...))
}

// appendQuery appends the query with its question mark, if there is one.
func (r *Request) appendQuery(dst []byte) []byte {
	if r.query != nil {
		dst = append(dst, '?')
		dst = append(dst, r.query...)
	}
	return dst
}

// AppendHead appends the status line and the fields that cross a proxy. The caller appends the framing (AppendLength,
// AppendChunkedField), because it depends on the client.
func (r *Response) AppendHead(dst []byte, drop Kinds) []byte {
	dst = AppendStatusLine(dst, r.Status, r.reason)
	return r.AppendFields(dst, drop)
}

// AppendStatusLine appends an HTTP/1.1 status line.
func AppendStatusLine(dst []byte, status int, reason []byte) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, reason...)
	return append(dst, "\r\n"...)
}

// AppendLength appends a Content-Length field.
func AppendLength(dst []byte, n int64) []byte { return appendLength(dst, n) }

func appendLength(dst []byte, n int64) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, "\r\n"...)
}

// AppendChunkedField appends Transfer-Encoding: chunked.
func AppendChunkedField(dst []byte) []byte {
	return append(dst, "Transfer-Encoding: chunked\r\n"...)
}

// AppendEnd appends the empty line that ends a head.
func AppendEnd(dst []byte) []byte { return append(dst, "\r\n"...) }

// ChunkRoom is the maximum length of a chunk's size line in bytes.
const ChunkRoom = 16 + 2

// LastChunk ends a chunked body without trailers.
const LastChunk = "0\r\n\r\n"

// AppendLastChunk ends a chunked body with trailers, which are lines "name: value CRLF".
func AppendLastChunk(dst, trailers []byte) []byte {
	dst = append(dst, "0\r\n"...)
	dst = append(dst, trailers...)
	return append(dst, "\r\n"...)
}

// AppendChunkSize appends the size line of a chunk of n bytes; n must be above 0. The caller must append CRLF after the
// data.
func AppendChunkSize(dst []byte, n int) []byte {
	dst = strconv.AppendInt(dst, int64(n), 16)
	return append(dst, "\r\n"...)
}

// AppendChunk appends a whole chunk. It appends nothing for empty data, because an empty chunk would end the body.
func AppendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = AppendChunkSize(dst, len(data))
	dst = append(dst, data...)
	return append(dst, "\r\n"...)
}
