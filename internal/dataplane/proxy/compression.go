package proxy

import (
	"bytes"

	"github.com/smartlb/smartlb/internal/dataplane/compress"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/h2"
)

// compression is how the response of an exchange is compressed.
type compression struct {
	policy  *compress.Policy // of the route; nil: none
	coding  compress.Coding  // that the client gets if the response suits
	encoder *compress.Encoder
	coded   bool   // the head names the coding
	varies  bool   // the head says that the response depends on Accept-Encoding
	tag     []byte // ETag instead of the instance's; empty: none
}

// recoded are the fields of the instance that are not true of a compressed body, or written by the proxy.
var recoded = []string{"etag", "accept-ranges", "content-encoding"}

// negotiate chooses the coding for the client of a request that was just routed. HTTP/1.0 has no way to frame a body whose
// length is not known.
func (e *exchange) negotiate() {
	if e.actions == nil || e.actions.Compression == nil || e.grpc {
		return
	}
	p := &e.press
	p.policy = e.actions.Compression
	var weights compress.Weights
	for i := range e.req.Len() {
		name, value, kind := e.req.Field(i)
		switch {
		case kind != h1.Other:
		case h1.EqualFold(name, "accept-encoding"):
			weights.Read(value)
		case h1.EqualFold(name, "cache-control") && compress.NoTransform(value):
			return
		}
	}
	if e.req.Minor > 0 {
		p.coding = weights.Negotiate(p.policy.Codings)
	}
}

// startCompression decides whether the response is compressed, and changes its fields. Without a free encoder the response
// passes unchanged, and is counted.
func (c *conn) startCompression(e *exchange) {
	p, res := &e.press, &e.res
	if p.policy == nil {
		return
	}
	head := string(e.req.Method()) == "HEAD"
	r := compress.Response{Status: res.Status, Length: res.Length, Body: res.Body != h1.NoBody || head && res.Length != 0 && res.Status != 204 && res.Status != 304}
	for i := range res.Len() {
		if name, value, kind := res.Field(i); kind == h1.Other {
			r.Read(name, value)
		}
	}
	if res.Status == 304 {
		p.refresh(e, &r)
		return
	}
	if !p.policy.Suits(&r) || e.edits().Puts("content-encoding") {
		return
	}
	p.varies = !r.Varies()
	if p.coding == compress.Identity {
		return
	}
	if !head {
		if p.encoder = c.p.encoders.Get(p.coding); p.encoder == nil {
			c.p.count.uncompressed.Add(1)
			return
		}
		c.p.count.compressed[p.coding].Add(1)
	}
	p.coded = true
	p.weaken(res, &r)
}

// weaken replaces the validator of the instance, which is that of other bytes.
func (p *compression) weaken(res *h1.Response, r *compress.Response) {
	if len(r.Validator) > 0 {
		p.tag = compress.AppendWeak(p.tag[:0], r.Validator)
	}
	res.Remove(recoded, false)
}

// refresh gives a 304 the validator of the client's copy, if that copy was compressed.
func (p *compression) refresh(e *exchange, r *compress.Response) {
	known, _ := e.req.Header("if-none-match")
	if len(r.Validator) == 0 || r.Validator[0] != '"' {
		return
	}
	p.tag = compress.AppendWeak(p.tag[:0], r.Validator)
	if !bytes.Contains(known, p.tag) {
		p.tag = p.tag[:0]
		return
	}
	e.res.Remove(recoded[:1], false)
	p.varies = !r.Varies()
}

// compressHead writes the head of the response to e.out, with the framing that a compressed body needs.
func (c *conn) compressHead(e *exchange) (keep bool) {
	c.startCompression(e)
	body, length := e.res.Body, e.res.Length
	if e.press.encoder != nil {
		e.res.Body = h1.UntilClose
	}
	if e.press.coded {
		e.res.Length = -1
	}
	keep = c.front.head(c, e, c.mayKeep(e))
	e.res.Body, e.res.Length = body, length
	return keep
}

// appendLines appends the fields that the compression writes, as lines of HTTP/1.1.
func (p *compression) appendLines(out []byte) []byte {
	if p.coded {
		out = append(append(append(out, "Content-Encoding: "...), p.coding.String()...), "\r\n"...)
	}
	if p.varies {
		out = append(out, "Vary: Accept-Encoding\r\n"...)
	}
	if len(p.tag) > 0 {
		out = append(append(append(out, "ETag: "...), p.tag...), "\r\n"...)
	}
	return out
}

// appendFields is appendLines for HTTP/2.
func (p *compression) appendFields(out []byte) []byte {
	if p.coded {
		out = h2.AppendField(out, "content-encoding", p.coding.String())
	}
	if p.varies {
		out = h2.AppendField(out, "vary", "Accept-Encoding")
	}
	if len(p.tag) > 0 {
		out = h2.AppendField(out, "etag", p.tag)
	}
	return out
}

// encode returns body bytes as the client gets them. The result is valid until the next call.
func (p *compression) encode(data []byte, last bool) []byte {
	if p.encoder == nil {
		return data
	}
	return p.encoder.Encode(data, last)
}

// pass sends the n bytes at space[bodyRoom:] to the client. It returns as how many bytes.
func (c *conn) pass(e *exchange, space []byte, n int, last bool) (int, error) {
	if e.press.encoder == nil {
		return n, c.front.more(c, e, space, n, last)
	}
	out := e.press.encode(space[bodyRoom:bodyRoom+n], last)
	total := len(out)
	for len(out) > 0 || last {
		n := copy(space[bodyRoom:len(space)-bodyRoom], out)
		out = out[n:]
		end := last && len(out) == 0
		if err := c.front.more(c, e, space, n, end); err != nil || end {
			return total, err
		}
	}
	return total, nil
}

// endCompression gives the encoder back.
func (c *conn) endCompression(e *exchange) {
	if e.press.encoder != nil {
		c.p.encoders.Put(e.press.encoder)
	}
	e.press = compression{tag: e.press.tag[:0]}
}
