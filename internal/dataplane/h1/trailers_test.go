package h1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// FuzzTrailers: however a chunked body arrives, its trailers are the same; those that are passed on were announced, may be
// trailers, and mean the same to another parser.
func FuzzTrailers(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\nX-Sum:  5 \r\nX-Other: 1\r\n\r\nnext"), "X-Sum, x-other", uint8(1))
	f.Add([]byte("0\r\nContent-Length: 5\r\nX: \r\nx: \t2\r\n\r\n"), "content-length,X,", uint8(3))
	f.Add([]byte("0\r\nX: a\r\n b\r\n\r\n"), "x", uint8(2))
	f.Add([]byte("0\r\nX: a\nY: b\r\n\r\n"), "x,y", uint8(7))
	f.Add([]byte("0\r\n: a\r\n\r\n"), "", uint8(7))
	f.Fuzz(func(t *testing.T, raw []byte, announced string, step uint8) {
		whole, done := trailersIn(raw, len(raw))
		pieces, doneToo := trailersIn(raw, int(step)+1)
		if done != doneToo || !bytes.Equal(whole, pieces) {
			t.Fatalf("in one piece %q %v, in pieces of %d %q %v", whole, done, step+1, pieces, doneToo)
		}
		out := AppendTrailers(nil, whole, []byte(announced))
		if !done || len(out) == 0 {
			return
		}
		text := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + string(out) + "\r\n"
		res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(res.Body); err != nil {
			return // net/http accepts fewer bytes in a value
		}
		n := 0
		for name, values := range res.Trailer {
			n += len(values)
			if !Announced([]byte(announced), []byte(name)) || !MayTrail([]byte(name)) {
				t.Fatalf("%q is passed on; announced %q", name, announced)
			}
		}
		if lines := bytes.Count(out, []byte("\n")); n != lines {
			t.Fatalf("%d trailers in %d lines %q", n, lines, out)
		}
	})
}

// trailersIn decodes a chunked body in pieces of step bytes.
func trailersIn(raw []byte, step int) (trailers []byte, done bool) {
	raw = bytes.Clone(raw) // Take moves data
	var b Body
	b.Start(ByChunks, 0)
	b.KeepTrailers()
	for len(raw) > 0 && !b.Done() {
		piece := raw[:min(step, len(raw))]
		raw = raw[len(piece):]
		if _, _, bad := b.Take(piece); bad != nil {
			return nil, false
		}
	}
	return bytes.Clone(b.Trailers()), b.Done()
}
