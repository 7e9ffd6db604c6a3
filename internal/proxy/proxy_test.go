package proxy

import (
	"net/http"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/upstreamtest"
)

func TestGetIsAnsweredByTheInstance(t *testing.T) {
	b := run(t, []string{upstreamtest.NewHTTP(t, http.HandlerFunc(upstreamtest.Echo))}, nil)
	c := b.dial()
	for range 3 { // keep-alive
		c.send("GET /users/1?a=b HTTP/1.1\r\nHost: example.com\r\n\r\n")
		res, body := c.response("GET")
		if want := "GET /users/1?a=b example.com 0\n"; res.StatusCode != 200 || body != want {
			t.Fatalf("got %d %q, want 200 %q", res.StatusCode, body, want)
		}
		if id := res.Header.Get("X-Request-Id"); len(id) != 32 {
			t.Errorf("X-Request-Id %q, want 32 digits", id)
		}
	}
	if s := b.p.Stats(); s.UpstreamDials != 1 || s.UpstreamReuses != 2 || s.Requests != 3 {
		t.Errorf("stats %+v: want one dial, two reuses, three requests", s)
	}
	got := b.entries()
	if len(got) != 3 || got[0].Target != "/users/1?a=b" || got[0].Status != 200 || got[0].Instance != "s-0" {
		t.Errorf("access log %+v", got)
	}
}

func TestBodiesArePassedOnWhole(t *testing.T) {
	b := run(t, []string{upstreamtest.NewHTTP(t, http.HandlerFunc(upstreamtest.Echo))}, nil)
	large := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	for _, body := range []string{"", "x", strings.Repeat("y", 15<<10), strings.Repeat("z", 17<<10), large} {
		for _, chunked := range []bool{false, true} {
			req, _ := http.NewRequest("POST", "http://"+b.addr+"/p", strings.NewReader(body))
			if chunked {
				req.ContentLength = -1
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got := readAll(t, res.Body)
			_, rest, _ := strings.Cut(got, "\n")
			if res.StatusCode != 200 || rest != body {
				t.Errorf("body of %d bytes, chunked %v: got %d and %d bytes back", len(body), chunked, res.StatusCode, len(rest))
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
