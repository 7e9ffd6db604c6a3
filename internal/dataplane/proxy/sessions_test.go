package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/affinity"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// bound starts three instances of a service with sessions. The instances answer with their number.
func bound(t *testing.T, edit func(*Config, *dispatch.Route)) *bench {
	var addrs []string
	for _, name := range []string{"0", "1", "2"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=60")
			w.Header().Add("Set-Cookie", "of=instance")
			if r.URL.Path == "/fail" {
				w.WriteHeader(500)
			}
			_, _ = io.WriteString(w, name)
		}))
		t.Cleanup(s.Close)
		addrs = append(addrs, s.Listener.Addr().String())
	}
	return run(t, addrs, func(c *Config, r *dispatch.Route) {
		r.Split[0].Session = affinity.NewKeys().For("s", affinity.Settings{Cookie: "SESSION"}, []string{"s-0", "s-1", "s-2"})
		if edit != nil {
			edit(c, r)
		}
	})
}

func TestSessionsBindClients(t *testing.T) {
	b := bound(t, nil)
	for protocol, open := range b.clientsOf("/") {
		client, url := open()
		cookie := ""
		ask := func(url string) (body string, set []string, private bool) {
			req, _ := http.NewRequest("GET", url, nil)
			if cookie != "" {
				req.Header.Set("Cookie", "other=1; SESSION="+cookie+"; more=2")
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range res.Header.Values("Set-Cookie") {
				if strings.HasPrefix(c, "SESSION=") {
					set = append(set, c)
				}
			}
			if len(res.Header.Values("Set-Cookie")) != len(set)+1 {
				t.Errorf("%s: the instance's own cookie is lost: %v", protocol, res.Header)
			}
			return readAll(t, res.Body), set, strings.HasSuffix(strings.Join(res.Header.Values("Cache-Control"), ", "), ", private")
		}
		first, set, private := ask(url)
		if len(set) != 1 || !private || strings.Contains(set[0], "Secure") != b.tls || !strings.Contains(set[0], "; Path=/; HttpOnly; SameSite=Lax") {
			t.Fatalf("%s: %v, private %v", protocol, set, private)
		}
		cookie, _, _ = strings.Cut(strings.TrimPrefix(set[0], "SESSION="), ";")
		for range 7 {
			if in, set, private := ask(url); in != first || len(set) > 0 || private {
				t.Errorf("%s: %s after %s, %v, private %v", protocol, in, first, set, private)
			}
		}
		cookie = ""
		if _, set, _ := ask(url + "fail"); len(set) > 0 {
			t.Errorf("%s: an error of the instance binds the client: %v", protocol, set)
		}
		cookie = "AAAAAAAAAAAAAAAAAAAAAA"
		if _, set, _ := ask(url); len(set) != 1 {
			t.Errorf("%s: a forged cookie gives %v", protocol, set)
		}
	}
}

// A proxy in front that ends TLS says which scheme the client uses.
func TestTheSessionCookieIsSecureIfTheClientUsesHTTPS(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		b := bound(t, func(c *Config, _ *dispatch.Route) {
			if trusted {
				c.TrustedProxies = loopback
			}
		})
		c := b.dial()
		c.send("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: https\r\n\r\n")
		res, _ := c.response("GET")
		if got := strings.Contains(strings.Join(res.Header.Values("Set-Cookie"), " "), "; Secure"); got != (trusted || b.tls) {
			t.Errorf("trusted %v: Secure %v", trusted, got)
		}
	}
}

// The answers of the proxy itself bind nobody; a tunnel does.
func TestSessionsOfOtherAnswers(t *testing.T) {
	sessions := func(_ *Config, r *dispatch.Route) {
		r.Split[0].Session = affinity.NewKeys().For("s", affinity.Settings{Cookie: "SESSION"}, []string{"s-0"})
		r.Retry = dispatch.Retry{}
	}
	b, _ := raw(t, func(s *upstreamtest.Session) {
		if s.Head() {
			s.Reset()
		}
	}, sessions)
	c := b.dial()
	c.send(get)
	if res, _ := c.response("GET"); res.StatusCode != 502 || len(res.Header.Values("Set-Cookie")) > 0 {
		t.Errorf("got %d %v", res.StatusCode, res.Header)
	}
	b, _ = raw(t, func(s *upstreamtest.Session) {
		if s.Head() {
			s.Write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			s.Hang()
		}
	}, sessions)
	c = b.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != 101 || len(res.Header.Values("Set-Cookie")) != 1 {
		t.Errorf("got %v %v", res, err)
	}
}
