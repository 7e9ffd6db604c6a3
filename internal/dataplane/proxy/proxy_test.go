package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
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
	for _, head := range []int{1024, h1.DefaultHead, h1.MaxHead} { // the size of the buffers
		t.Run(fmt.Sprintf("buffers of %d", head), func(t *testing.T) { bodiesArePassedOnWhole(t, head) })
	}
}

func bodiesArePassedOnWhole(t *testing.T, head int) {
	b := run(t, []string{upstreamtest.NewHTTP(t, http.HandlerFunc(upstreamtest.Echo))}, func(c *Config, _ *dispatch.Route) { c.Limits.Head = head })
	large := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	for _, body := range []string{"", "x", strings.Repeat("w", 900), strings.Repeat("v", head), strings.Repeat("y", 15<<10), strings.Repeat("z", 17<<10), large} {
		for _, chunked := range []bool{false, true} {
			client, url := b.http("/p")
			req, _ := http.NewRequest("POST", url, strings.NewReader(body))
			if chunked {
				req.ContentLength = -1
			}
			res, err := client.Do(req)
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
	plainClient.CloseIdleConnections()
}

func TestConnectionLimitFollowsTheDescriptors(t *testing.T) {
	for descriptors, want := range map[int]int{0: 65536, 4: 1, 256: 64, 1024: 384, 65536: 32640, 1 << 20: 524160, 1 << 30: 1 << 20} {
		if got := connectionsFor(descriptors); got != want {
			t.Errorf("%d descriptors: %d connections, want %d", descriptors, got, want)
		}
	}
}
