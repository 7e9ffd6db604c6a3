package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// TestTolerableAnswersAreServed: answers with one reading became 502, which no other proxy does. They are passed on in
// correct form and counted, and an instance of a strict service still gets 502 for them.
func TestTolerableAnswersAreServed(t *testing.T) {
	for name, tc := range map[string]struct {
		answer string
		kind   h1.Tolerances
		status int
		body   string
	}{
		"LF line ends":        {"HTTP/1.1 200 OK\nContent-Length: 2\nA: b\n\nok", h1.LineEnds, 200, "ok"},
		"two equal lengths":   {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", h1.RepeatedLength, 200, "ok"},
		"a list of lengths":   {"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", h1.RepeatedLength, 200, "ok"},
		"status 600":          {"HTTP/1.1 600 Odd\r\nContent-Length: 2\r\n\r\nok", h1.OddStatus, 600, "ok"},
		"HTTP/1.2":            {"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok", h1.NewerVersion, 200, "ok"},
		"a control character": {"HTTP/1.1 200 OK\r\nA: b\x01c\r\nContent-Length: 2\r\n\r\nok", h1.ControlChars, 200, "ok"},
		"chunked in HTTP/1.0": {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", h1.OldChunked, 200, "ok"},
		"blank behind a size": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0  \r\n\r\n", h1.ChunkBlank, 200, "ok"},
		"blank in the stream": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n" + strings.Repeat("x", 0x20000) + "\r\n0 \r\n\r\n", h1.ChunkBlank, 200, strings.Repeat("x", 0x20000)},
		"20 interim heads":    {strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 20) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", h1.ManyInterim, 200, "ok"},
		"Connection names":    {"HTTP/1.1 200 OK\r\nConnection: x, Authorization\r\nContent-Length: 2\r\n\r\nok", h1.ConnectionNames, 200, "ok"},
		"a folded line":       {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok", h1.FoldedLine, 200, "ok"},
		"blank before colon":  {"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 2\r\n\r\nok", h1.BlankName, 200, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := raw(t, upstreamtest.Always(tc.answer), nil)
			c := b.dial()
			for range 2 { // nothing of the first is left for the second
				c.send(get)
				res, err := http.ReadResponse(c.r, nil)
				for err == nil && res.StatusCode < 200 {
					res, err = http.ReadResponse(c.r, nil)
				}
				if err != nil {
					t.Fatal(err)
				}
				if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != tc.status || string(body) != tc.body {
					t.Fatalf("got %d, %d bytes, %v; want %d, %d bytes", res.StatusCode, len(body), err, tc.status, len(tc.body))
				}
			}
			b.stop()
			for i, n := range b.p.Stats().Tolerated {
				if want := tc.kind>>i&1 == 1; want && n != 2 || !want && n != 0 {
					t.Errorf("%s was counted %d times", h1.ToleranceName(i), n)
				}
			}
		})
		t.Run(name+", strict", func(t *testing.T) {
			b, _ := raw(t, upstreamtest.Always(tc.answer), func(_ *Config, r *dispatch.Route) { r.Split[0].Leg = &dispatch.Leg{Strict: true} })
			c := b.dial()
			c.send(get)
			res, err := http.ReadResponse(c.r, nil)
			for err == nil && res.StatusCode < 200 {
				res, err = http.ReadResponse(c.r, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(res.Body); err == nil && res.StatusCode != 502 {
				t.Errorf("got %d with a whole body", res.StatusCode)
			}
		})
	}
}
