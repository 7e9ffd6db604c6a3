package proxy

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
)

// guarded starts a proxy whose route has edits for who may use it.
func guarded(t *testing.T, edit func(a *action.Actions)) *bench {
	s := httptest.NewServer(http.HandlerFunc(reveal))
	t.Cleanup(s.Close)
	return run(t, []string{s.Listener.Addr().String()}, func(c *Config, r *dispatch.Route) {
		c.HalfCloseTimeout = soon // a client that closes its connection may still read, as far as the proxy can see
		r.Actions = &action.Actions{}
		edit(r.Actions)
	})
}

func do(t *testing.T, client *http.Client, method, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, _ := http.NewRequest(method, url, strings.NewReader("body"))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res, readAll(t, res.Body)
}

func TestARouteRefusesNetworks(t *testing.T) {
	b := guarded(t, func(a *action.Actions) {
		a.Networks = &action.Networks{Deny: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
		a.Response = headersOf(t, []string{"X-From: route"}, nil, nil)
	})
	for protocol, open := range b.clientsOf("/") {
		client, url := open()
		res, body := do(t, client, "POST", url)
		if res.StatusCode != 403 || !strings.Contains(body, "403 access-denied: ") || res.Header.Get("X-From") != "route" {
			t.Errorf("%s: got %d %v %s", protocol, res.StatusCode, res.Header, body)
		}
	}
	client, url := b.h2Client("/shop.Catalog/List")
	if res, _ := do(t, client, "POST", url, "Content-Type: application/grpc", "TE: trailers"); res.Header.Get("Grpc-Status") != "7" {
		t.Errorf("gRPC: got %d %v", res.StatusCode, res.Header)
	}
	if n := b.lives[0].Requests.Load(); n != 0 {
		t.Errorf("the instance got %d requests", n)
	}
}

func TestARouteNeedsAPassword(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	b := guarded(t, func(a *action.Actions) {
		a.Basic = must[*action.Basic](t)(action.NewBasic("shop", map[string]string{"ann": string(hash)}, action.NewPasswords()))
		a.Request = headersOf(t, []string{"X-User: ${user}"}, nil, []string{"Authorization"})
	})
	right := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("ann:secret"))
	for protocol, open := range b.clientsOf("/") {
		client, url := open()
		for _, headers := range [][]string{nil, {"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("ann:wrong"))}, {"Authorization: Bearer x"}} {
			res, body := do(t, client, "POST", url, headers...)
			if res.StatusCode != 401 || res.Header.Get("WWW-Authenticate") != `Basic realm="shop", charset="UTF-8"` || !strings.Contains(body, "401 unauthorized: ") {
				t.Errorf("%s %v: got %d %v %s", protocol, headers, res.StatusCode, res.Header, body)
			}
		}
		res, body := do(t, client, "POST", url, right, "X-User: forged")
		if seen := res.Header.Get("X-Seen"); res.StatusCode != 200 || body != "body" || !strings.Contains(seen, "X-User:[ann]") || strings.Contains(seen, "Authorization") {
			t.Errorf("%s: got %d %s %s", protocol, res.StatusCode, body, seen)
		}
	}
	client, url := b.h2Client("/shop.Catalog/List")
	if res, _ := do(t, client, "POST", url, "Content-Type: application/grpc", "TE: trailers"); res.Header.Get("Grpc-Status") != "16" {
		t.Errorf("gRPC: got %d %v", res.StatusCode, res.Header)
	}
	eventually(t, "two lines name the user", func() bool { return strings.Count(b.log.String(), `,"user":"ann"`) == 2 })
}

// A rate limit counts requests with wrong passwords too, so it slows down clients that guess passwords.
func TestARateLimitSlowsDownGuesses(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(reveal))
	t.Cleanup(s.Close)
	b := run(t, []string{s.Listener.Addr().String()}, func(_ *Config, r *dispatch.Route) {
		r.Split[0].Limits = twoPerHour()
		r.Actions = &action.Actions{Basic: must[*action.Basic](t)(action.NewBasic("shop", map[string]string{"ann": string(hash)}, action.NewPasswords()))}
	})
	client, url := b.http("/")
	for i, want := range []int{401, 401, 429} {
		if res, _ := do(t, client, "POST", url, "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("ann:wrong"))); res.StatusCode != want {
			t.Errorf("request %d: got %d, want %d", i, res.StatusCode, want)
		}
	}
}

func TestARouteLetsPagesOfOtherOriginsIn(t *testing.T) {
	b := guarded(t, func(a *action.Actions) {
		cors, edits, remove, err := action.NewCORS(action.CORSSettings{Origins: []string{"https://app.example"}, Methods: []string{"GET", "PUT"}, Headers: []string{"X-A"}, Credentials: true})
		if err != nil {
			t.Fatal(err)
		}
		a.CORS = cors
		if a.Response, err = action.NewHeaders(edits, remove); err != nil {
			t.Fatal(err)
		}
		// Preflights have no password.
		a.Basic = must[*action.Basic](t)(action.NewBasic("shop", map[string]string{}, action.NewPasswords()))
	})
	for protocol, open := range b.clientsOf("/") {
		client, url := open()
		for origin, allowed := range map[string]string{"https://app.example": "https://app.example", "https://evil.example": ""} {
			res, body := do(t, client, "OPTIONS", url, "Origin: "+origin, "Access-Control-Request-Method: PUT")
			h := res.Header
			if res.StatusCode != 204 || body != "" || h.Get("Access-Control-Allow-Origin") != allowed || h.Get("Vary") != "Origin" || h.Get("Access-Control-Allow-Methods") != "GET, PUT" || h.Get("Access-Control-Allow-Headers") != "X-A" {
				t.Errorf("%s, preflight of %s: got %d %v", protocol, origin, res.StatusCode, h)
			}
			res, _ = do(t, client, "GET", url, "Origin: "+origin)
			if h := res.Header; res.StatusCode != 401 || h.Get("Access-Control-Allow-Origin") != allowed {
				t.Errorf("%s, error for %s: got %d %v", protocol, origin, res.StatusCode, h)
			}
		}
		if res, _ := do(t, client, "OPTIONS", url); res.StatusCode != 401 {
			t.Errorf("%s, OPTIONS that is no preflight: got %d", protocol, res.StatusCode)
		}
	}
}

// The instance's own headers of CORS do not reach the client: two of them are an error for browsers.
func TestCORSReplacesTheHeadersOfInstances(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Vary", "Accept")
	}))
	t.Cleanup(s.Close)
	b := run(t, []string{s.Listener.Addr().String()}, func(_ *Config, r *dispatch.Route) {
		cors, edits, remove, err := action.NewCORS(action.CORSSettings{Origins: []string{"https://*.example"}, Methods: []string{"GET"}})
		if err != nil {
			t.Fatal(err)
		}
		r.Actions = &action.Actions{CORS: cors}
		if r.Actions.Response, err = action.NewHeaders(edits, remove); err != nil {
			t.Fatal(err)
		}
	})
	for protocol, open := range b.clientsOf("/") {
		client, url := open()
		res, _ := do(t, client, "GET", url, "Origin: https://a.example")
		if h := res.Header; strings.Join(h.Values("Access-Control-Allow-Origin"), "|") != "https://a.example" || h.Get("Access-Control-Allow-Credentials") != "" || strings.Join(h.Values("Vary"), ", ") != "Accept, Origin" {
			t.Errorf("%s: got %v", protocol, h)
		}
	}
}
