package h1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// FuzzRequest: what we accept, net/http accepts with the same method, host,
// fields, framing and body; so does it what we write in its place.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		typical,
		"POST /a/%2e./b?c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n0\r\nA: b\r\n\r\nrest",
		"GET http://a:80/x HTTP/1.1\r\nHost: a:80\r\nConnection: x, close\r\nX: y\r\n\r\n",
		"OPTIONS * HTTP/1.0\r\n\r\n",
		"GET /a%2f%5c%41/.%2e/%0d%0a HTTP/1.1\r\nHost: a\r\n\r\n",
		"get http://a:80/ HTTP/1.1\r\nHost: a:\r\nVia: 1.1 x\r\nX_Y: z\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n",
		"GET /a%2f..%2fb HTTP/1.1\r\nHost: a\r\n\r\n",
		"\r\nGET / HTTP/1.1\r\nHost: [::1]\r\nExpect: 100-continue\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := new(Request)
		buf := bytes.Clone(in)
		n, err := r.Parse(buf, &defaults)
		if err != nil || n == 0 {
			return
		}
		var body Body
		body.Start(r.Body, r.Length)
		data, used, err := body.Take(bytes.Clone(in[n:]))
		if err != nil {
			return
		}
		std := readStd(t, "the original", in)
		sameRequest(t, r, std, data, body.Done())
		if len(r.Host()) == 0 {
			r.SetHost([]byte("default"))
		}
		if body.Done() {
			rest := make([]byte, 1)
			want := in[n+used:]
			if k, _ := std.rest.Read(rest); k > 0 && (len(want) == 0 || want[0] != rest[0]) || k == 0 && len(want) > 0 {
				t.Fatalf("net/http ends the request elsewhere: %q", in)
			}
		}

		out := AppendEnd(r.AppendHead(nil, 0))
		if r.Body == ByChunks {
			out = AppendChunk(out, data)
			if body.Done() {
				out = append(out, LastChunk...)
			}
		} else {
			out = append(out, data...)
		}
		sameRequest(t, r, readStd(t, "what we wrote", out), data, body.Done())
		again := new(Request)
		if n, err := again.Parse(bytes.Clone(out), &defaults); err != nil || n == 0 {
			t.Fatalf("we refuse what we wrote: %v: %q", err, out)
		}
		if string(r.forward) != "*" {
			samePath(t, string(r.forward))
		}
		if !bytes.Equal(again.Path(), r.Path()) || !bytes.Equal(again.forward, r.forward) || again.Body != r.Body || again.Length != r.Length {
			t.Fatalf("%q was written as %q", in, out)
		}
	})
}

type stdRequest struct {
	*http.Request
	rest *bufio.Reader
	body []byte
	err  error
}

func readStd(t *testing.T, what string, in []byte) stdRequest {
	t.Helper()
	// An empty line before the request is allowed to us and unknown to ReadRequest.
	br := bufio.NewReaderSize(bytes.NewReader(bytes.TrimPrefix(in, []byte("\r\n"))), 1<<16)
	req, err := http.ReadRequest(br)
	if err != nil {
		t.Fatalf("net/http refuses %s: %v: %q", what, err, in)
	}
	body, err := io.ReadAll(req.Body)
	return stdRequest{req, br, body, err}
}

func sameRequest(t *testing.T, r *Request, std stdRequest, data []byte, done bool) {
	t.Helper()
	if std.Method != string(r.Method()) || std.ProtoMajor != 1 {
		t.Fatalf("method %q and %q", std.Method, r.Method())
	}
	if !strings.EqualFold(strings.TrimSuffix(std.Host, ":"), string(r.Host())) {
		t.Fatalf("host %q and %q", std.Host, r.Host())
	}
	if (std.err == nil) != done || !bytes.Equal(std.body, data) {
		t.Fatalf("body %q (%v) and %q (done %v)", std.body, std.err, data, done)
	}
	switch {
	case len(std.TransferEncoding) > 0 != (r.Body == ByChunks):
		t.Fatalf("transfer coding %v and framing %d", std.TransferEncoding, r.Body)
	case r.Body == ByLength && std.ContentLength != r.Length:
		t.Fatalf("length %d and %d", std.ContentLength, r.Length)
	}
	for i := range r.Len() {
		name, value, kind := r.Field(i)
		if kind != Other {
			continue
		}
		found := false
		for _, v := range std.Header.Values(string(name)) {
			found = found || v == string(value)
		}
		if !found {
			t.Fatalf("field %q: %q is not in %v", name, value, std.Header)
		}
	}
}

// FuzzResponse is FuzzRequest for responses.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.0 200 OK\r\n\r\nuntil the end",
		"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nHTTP/1.1",
		"HTTP/1.1 204 No Content\r\nConnection: close, x\r\nX: y\r\n\r\n",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, head bool) {
		r := new(Response)
		n, err := r.Parse(bytes.Clone(in), head, false, &defaults)
		if err != nil || n == 0 || r.Status == 101 {
			return
		}
		var body Body
		body.Start(r.Body, r.Length)
		data, _, err := body.Take(bytes.Clone(in[n:]))
		if err != nil {
			return
		}
		method := "GET"
		if head {
			method = "HEAD"
		}
		res, stdErr := http.ReadResponse(bufio.NewReaderSize(bytes.NewReader(in), 1<<16), &http.Request{Method: method})
		if stdErr != nil {
			t.Fatalf("net/http refuses what we accept: %v: %q", stdErr, in)
		}
		got, stdErr := io.ReadAll(res.Body)
		if res.StatusCode != r.Status || !bytes.Equal(got, data) {
			t.Fatalf("net/http reads %d %q, we %d %q: %q", res.StatusCode, got, r.Status, data, in)
		}
		if done := body.Done() || r.Body == UntilClose; (stdErr == nil) != done {
			t.Fatalf("net/http: %v, we: done %v: %q", stdErr, done, in)
		}
	})
}

// FuzzTolerantResponse: where a strict reader takes a response, a tolerant one
// reads the same; and what is written for the client in place of a tolerated
// response, net/http reads as the same status, fields and body. So no tolerance
// can bring a second response into what a client gets.
func FuzzTolerantResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\nA: b\nContent-Length: 2\n\nok",
		"HTTP/1.2 600 OK\r\nContent-Length: 2, 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
		"HTTP/1.0 200 O\x00K\r\nTransfer-Encoding: chunked\r\n\r\n2 \t;x\r\nok\r\n0 \r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nB : d\rX: y\r\nConnection: x, Authorization\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\r\nC: d\nE : f\r\nG: h\r\nContent-Length: 0\r\n\r\n",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, head bool) {
		strict, r := new(Response), new(Response)
		n, err := strict.Parse(bytes.Clone(in), head, false, &defaults)
		m, bad := r.Parse(bytes.Clone(in), head, true, &defaults)
		if err == nil && n > 0 && (bad != nil || m != n || r.Tolerated != 0 || r.Status != strict.Status || r.Body != strict.Body || r.Length != strict.Length || r.Len() != strict.Len()) {
			t.Fatalf("a strict reader takes %q otherwise: %v, %+v and %+v", in, bad, strict, r)
		}
		if bad != nil || m == 0 || r.Status < 200 {
			return
		}
		var body Body
		body.Start(r.Body, r.Length)
		body.Tolerate()
		data, _, bad := body.Take(bytes.Clone(in[m:]))
		if bad != nil || r.Body == ByChunks && !body.Done() || r.Body == ByLength && !body.Done() {
			return
		}
		out := r.AppendHead(nil, 0)
		if r.Body != NoBody || r.Length >= 0 && r.Status != 204 {
			length := int64(len(data))
			if r.Body == NoBody {
				length = r.Length
			}
			out = AppendLength(out, length)
		}
		out = append(AppendEnd(out), data...)
		method := "GET"
		if head {
			method = "HEAD"
		}
		br := bufio.NewReaderSize(bytes.NewReader(out), 1<<16)
		res, stdErr := http.ReadResponse(br, &http.Request{Method: method})
		if stdErr != nil {
			t.Fatalf("net/http refuses what we wrote: %v: %q for %q", stdErr, out, in)
		}
		got, stdErr := io.ReadAll(res.Body)
		if stdErr != nil || res.StatusCode != r.Status || r.Body != NoBody && !bytes.Equal(got, data) {
			t.Fatalf("%q was written as %q, which net/http reads as %d %q, %v", in, out, res.StatusCode, got, stdErr)
		}
		fields := 0
		for _, v := range res.Header {
			fields += len(v)
		}
		want := 0
		for i := range r.Len() {
			if _, _, kind := r.Field(i); hopByHop&(1<<kind) == 0 {
				want++
			}
		}
		if fields -= len(res.Header["Content-Length"]); fields != want {
			t.Fatalf("%q was written as %q with %d fields, want %d", in, out, fields, want)
		}
	})
}
