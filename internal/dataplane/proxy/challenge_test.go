package proxy

import (
	"net/http"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// An authority that verifies a name is answered before redirects and routes, and no instance has a part in it. All other
// requests go their way.
func TestAnAuthorityIsAnsweredBeforeRedirectsAndRoutes(t *testing.T) {
	const path = "/.well-known/acme-challenge/token"
	for name, tc := range map[string]struct {
		tls, redirect bool
		request       string
		status        int
		body          string
	}{
		"GET":                  {request: "GET " + path + " HTTP/1.1\r\nHost: a.example\r\n", status: 200, body: "token.print"},
		"with a port":          {request: "GET " + path + " HTTP/1.1\r\nHost: a.example:80\r\n", status: 200, body: "token.print"},
		"before a redirect":    {redirect: true, request: "GET " + path + " HTTP/1.1\r\nHost: a.example\r\n", status: 200, body: "token.print"},
		"POST":                 {request: "POST " + path + " HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n", status: 200, body: "instance"},
		"another host":         {request: "GET " + path + " HTTP/1.1\r\nHost: b.example\r\n", status: 200, body: "instance"},
		"another token":        {request: "GET " + path + "2 HTTP/1.1\r\nHost: a.example\r\n", status: 200, body: "instance"},
		"another, redirected":  {redirect: true, request: "GET " + path + "2 HTTP/1.1\r\nHost: a.example\r\n", status: 301},
		"a listener with TLS":  {tls: true, request: "GET " + path + " HTTP/1.1\r\nHost: a.example\r\n", status: 200, body: "instance"},
		"a path that is above": {request: "GET /x/.." + path + " HTTP/1.1\r\nHost: a.example\r\n", status: 200, body: "token.print"}, // the same path for every server
	} {
		t.Run(name, func(t *testing.T) {
			instance := upstreamtest.NewHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("instance")) }))
			var challenges certs.Challenges
			challenges.Set([]certs.Challenge{{Name: "a.example", Type: certs.HTTP01, Token: "token", KeyAuthorization: "token.print"}})
			b := runWith(t, tc.tls, []string{instance}, func(c *Config, _ *dispatch.Route) {
				c.Challenges = &challenges
				if tc.redirect {
					c.Listeners[0].HTTPSPort = 443
				}
			})
			c := b.dial()
			for range 2 { // the connection stays open
				c.send(tc.request + "\r\n")
				if res, body := c.response("GET"); res.StatusCode != tc.status || body != tc.body {
					t.Errorf("got %d %q, want %d %q", res.StatusCode, body, tc.status, tc.body)
				}
			}
			for _, e := range b.entries() {
				if answered := e.Why == "acme-challenge"; answered != (tc.body == "token.print") || answered && (e.Instance != "" || e.BytesOut != int64(len(tc.body))) {
					t.Errorf("access log: %+v", e)
				}
			}
		})
	}
}

// The body of a request of an authority is not read.
func TestABodyDoesNotFollowAChallenge(t *testing.T) {
	var challenges certs.Challenges
	challenges.Set([]certs.Challenge{{Name: "a.example", Type: certs.HTTP01, Token: "token", KeyAuthorization: "token.print"}})
	b := runWith(t, false, nil, func(c *Config, _ *dispatch.Route) { c.Challenges = &challenges })
	c := b.dial()
	c.send("GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\n")
	if res, body := c.response("GET"); res.StatusCode != 200 || body != "token.print" || !res.Close {
		t.Errorf("got %d %q, closed %v", res.StatusCode, body, res.Close)
	}
}
