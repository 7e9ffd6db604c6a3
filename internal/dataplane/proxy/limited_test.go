package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/ratelimit"
)

// limitOf returns a limit named per-client of the route.
func limitOf(s ratelimit.Spec) *ratelimit.Limit {
	s.ID = ratelimit.ID{Route: "all", Name: "per-client"}
	return ratelimit.New(s, nil)
}

// twoPerHour lets two requests of a client pass; the next token comes back after half an hour.
func twoPerHour() []*ratelimit.Limit {
	return []*ratelimit.Limit{limitOf(ratelimit.Spec{Count: 2, Per: time.Hour, Burst: 2, By: ratelimit.By{Kind: ratelimit.Client}, Keys: 1000})}
}

func okInstance(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// limitFields checks the fields of a refused request. Up to a minute of the half hour may have passed.
func limitFields(t *testing.T, h http.Header) {
	t.Helper()
	wait := h.Get("Retry-After")
	if d, err := time.ParseDuration(wait + "s"); err != nil || d < 25*time.Minute || d > 30*time.Minute {
		t.Errorf("Retry-After %q", wait)
	}
	if p, l := h.Get("RateLimit-Policy"), h.Get("RateLimit"); p != `"per-client";q=2;w=3600` || l != `"per-client";r=0;t=`+wait {
		t.Errorf("RateLimit-Policy %s, RateLimit %s, Retry-After %s", p, l, wait)
	}
}

func TestARequestAboveALimitGets429(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		b := run(t, []string{okInstance(t)}, func(_ *Config, r *dispatch.Route) {
			r.Split[0].Limits = twoPerHour()
			r.Actions = &action.Actions{Response: headersOf(t, []string{"X-Route: ${route} ${service} ${instance}"}, nil, nil)}
		})
		client, url := b.http("/")
		if http2 {
			client, url = b.h2Client("/")
		}
		for i, method := range []string{"GET", "POST", "POST", "HEAD", "GET"} {
			req, _ := http.NewRequest(method, url, strings.NewReader(strings.Repeat("x", i*1000)))
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body := readAll(t, res.Body)
			if i < 2 {
				if res.StatusCode != 200 || res.Header.Get("RateLimit") != "" {
					t.Errorf("request %d got %d %v", i, res.StatusCode, res.Header)
				}
				continue
			}
			if res.StatusCode != 429 || method != "HEAD" && !strings.Contains(body, "smartlb: 429 rate-limited: the rate limit per-client allows 2 requests per hour\n") {
				t.Errorf("request %d got %d %s", i, res.StatusCode, body)
			}
			if v := strings.TrimSpace(res.Header.Get("X-Route")); v != "all s" {
				t.Errorf("the edits of the route made %q", v)
			}
			limitFields(t, res.Header)
		}
		refused := 0
		for _, e := range b.entries() {
			if e.Status == 200 {
				continue
			}
			if refused++; e.Status != 429 || e.Why != "rate-limited" || e.Route != "all" || e.Service != "s" || e.Instance != "" || e.Attempts != 0 {
				t.Errorf("access log: %+v", e)
			}
		}
		if refused != 3 {
			t.Errorf("the access log has %d refused requests, want 3", refused)
		}
		if l := b.lives[0]; l.Requests.Load() != 2 || l.Errors.Load() != 0 {
			t.Errorf("the instance is charged for %d requests and %d errors", l.Requests.Load(), l.Errors.Load())
		}
	}
}

// A body that the proxy has not read ends the connection, as with every reply before the body.
func TestARequestAboveALimitDoesNotHoldItsBody(t *testing.T) {
	b := run(t, []string{okInstance(t)}, func(_ *Config, r *dispatch.Route) { r.Split[0].Limits = twoPerHour() })
	for range 2 {
		c := b.dial()
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		c.response("GET")
	}
	c := b.dial()
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
	if res, _ := c.response("POST"); res.StatusCode != 429 || !res.Close {
		t.Errorf("got %d, close %v", res.StatusCode, res.Close)
	}
	c.ended()
	c = b.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if res, _ := c.response("GET"); res.StatusCode != 429 || res.Close {
		t.Errorf("without a body: got %d, close %v", res.StatusCode, res.Close)
	}
}

func TestAClientOfGRPCAboveALimitGetsResourceExhausted(t *testing.T) {
	b := run(t, []string{okInstance(t)}, func(_ *Config, r *dispatch.Route) { r.Split[0].Limits = twoPerHour() })
	client, url := b.h2Client("/shop.Catalog/List")
	for i := range 3 {
		req, _ := http.NewRequest("POST", url, nil)
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("TE", "trailers")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, res.Body)
		if i < 2 {
			continue
		}
		if h := res.Header; res.StatusCode != 200 || h.Get("Grpc-Status") != "8" || h.Get("Grpc-Message") != "smartlb: 429 rate-limited: the rate limit per-client allows 2 requests per hour" {
			t.Errorf("got %d %v", res.StatusCode, h)
		}
		limitFields(t, res.Header)
	}
}

// The page of the service for 429 replaces the text, and both page and route may set or remove the fields.
func TestFieldsOfALimitGiveWayToThoseOfTheRoute(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		b := run(t, []string{okInstance(t)}, func(_ *Config, r *dispatch.Route) {
			r.Split[0].Limits = twoPerHour()
			r.Split[0].Pages = action.Pages{429: {Headers: headersOf(t, []string{"Retry-After: 7"}, nil, nil), Body: []byte("slow down")}}
			r.Actions = &action.Actions{Response: headersOf(t, nil, nil, []string{"RateLimit-Policy"})}
		})
		client, url := b.http("/")
		if http2 {
			client, url = b.h2Client("/")
		}
		for i := range 3 {
			res, err := client.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			body, h := readAll(t, res.Body), res.Header
			if i == 2 && (res.StatusCode != 429 || body != "slow down" || strings.Join(h["Retry-After"], ",") != "7" || h.Get("RateLimit-Policy") != "" || !strings.HasPrefix(h.Get("RateLimit"), `"per-client";r=0;t=`)) {
				t.Errorf("got %d %v %s", res.StatusCode, h, body)
			}
		}
	}
}

// A route that answers itself has limits too, and a limit in dry run refuses none.
func TestLimitsOfARouteThatAnswersItself(t *testing.T) {
	dry := limitOf(ratelimit.Spec{Count: 1, Per: time.Hour, Burst: 1, DryRun: true})
	b := run(t, []string{okInstance(t)}, func(_ *Config, r *dispatch.Route) {
		r.Limits = append([]*ratelimit.Limit{dry}, twoPerHour()...)
		r.Split, r.Actions = nil, &action.Actions{Redirect: &action.Redirect{Status: 302, Host: "www.example.com"}}
	})
	c := b.dial()
	for i := range 3 {
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		want := 302
		if i == 2 {
			want = 429
		}
		if res, _ := c.response("GET"); res.StatusCode != want {
			t.Errorf("request %d got %d, want %d", i, res.StatusCode, want)
		}
	}
	if s := dry.Stats(b.p.cfg.Now()); s.DryRun != 2 || s.Enforced != 0 {
		t.Errorf("got %+v", s)
	}
	if e := b.entries()[2]; e.Why != "rate-limited" || e.Route != "all" || e.Service != "" {
		t.Errorf("access log: %+v", e)
	}
}
