package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// headersOf compiles edits of headers, "Name: value" each.
func headersOf(t *testing.T, set, add, remove []string) *action.Headers {
	t.Helper()
	var edits []action.Edit
	for i, lines := range [][]string{set, add} {
		for _, l := range lines {
			name, value, _ := strings.Cut(l, ": ")
			edits = append(edits, action.Edit{Name: name, Value: value, Keep: i == 1})
		}
	}
	h, err := action.NewHeaders(edits, remove)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// reveal is the handler of an instance that tells in its response what it got.
func reveal(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Seen", strings.NewReplacer("\r", "", "\n", "").Replace(fmt.Sprint(r.Header)))
	h.Set("X-Target", r.RequestURI)
	h.Set("X-Host", r.Host)
	h.Set("Server", "secret/1.0")
	h.Add("X-Many", "of the instance")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	body, _ := io.ReadAll(r.Body)
	_, _ = w.Write(body)
}

// Edits and rewrites are the same for each pair of protocols, and for a body that is sent in pieces.
func TestARouteEditsRequestsAndResponses(t *testing.T) {
	for _, toHTTP2 := range []bool{false, true} {
		for _, fromHTTP2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("from HTTP/2 %v, to HTTP/2 %v", fromHTTP2, toHTTP2), func(t *testing.T) {
				addr := ""
				if toHTTP2 {
					addr, _ = h2Instance(t, reveal)
				} else {
					s := httptest.NewServer(http.HandlerFunc(reveal))
					t.Cleanup(s.Close)
					addr = s.Listener.Addr().String()
				}
				b := run(t, []string{addr}, func(_ *Config, r *dispatch.Route) {
					r.Split[0].Leg = &dispatch.Leg{HTTP2: toHTTP2}
					r.Actions = &action.Actions{
						Request:  headersOf(t, []string{"X-Client: ${client} ${requestId}", "X-Names: ${route}/${service}/${instance}", "X-Subject: ${tlsSubject}", "Authorization: Basic abc"}, []string{"X-Many: of the route"}, []string{"X-Secret", "Cookie"}),
						Response: headersOf(t, []string{"X-Frame-Options: DENY", "X-From: ${instance}"}, []string{"X-Many: of the route"}, []string{"Server"}),
						Rewrite:  &action.Rewrite{Host: "inner:81", Path: must[*action.Path](t)(action.NewPrefixPath("/api", "/v2"))},
					}
				})
				client, url := b.http("/%61pi/a%2Fb?q=%20")
				if fromHTTP2 {
					client, url = b.h2Client("/%61pi/a%2Fb?q=%20")
				}
				for _, body := range []string{"", "hello", strings.Repeat("x", 1<<20)} {
					req, _ := http.NewRequest("POST", url, io.MultiReader(strings.NewReader(body)))
					for _, l := range []string{"X-Client: forged", "X.Client: forged", "X-Subject: CN=forged", "X-Many: of the client", "X-Secret: 1", "X-Secret: 2", "Cookie: a=b", "Authorization: Bearer forged", "X-Kept: yes"} {
						name, value, _ := strings.Cut(l, ": ")
						req.Header.Add(name, value)
					}
					res, err := client.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					got, seen := readAll(t, res.Body), res.Header.Get("X-Seen")
					if got != body || res.StatusCode != 200 {
						t.Errorf("got %d with %d bytes", res.StatusCode, len(got))
					}
					if target, host := res.Header.Get("X-Target"), res.Header.Get("X-Host"); target != "/v2/a%2Fb?q=%20" || host != "inner:81" {
						t.Errorf("the instance got %s of %s", target, host)
					}
					id := res.Header.Get("X-Request-Id")
					for _, want := range []string{"X-Client:[127.0.0.1 " + id + "]", "X-Names:[all/s/s-0]", "X-Many:[of the client of the route]", "X-Kept:[yes]", "Authorization:[Basic abc]", "X-Forwarded-Host:[" + b.addr + "]"} {
						if !strings.Contains(seen, want) {
							t.Errorf("the instance got %s without %s", seen, want)
						}
					}
					for _, bad := range []string{"forged", "X-Secret", "Cookie", "X-Subject"} {
						if strings.Contains(seen, bad) {
							t.Errorf("the instance got %s with %s", seen, bad)
						}
					}
					if h := res.Header; h.Get("Server") != "" || fmt.Sprint(h["X-Frame-Options"], h["X-From"], h["X-Many"]) != "[DENY] [s-0] [of the instance of the route]" {
						t.Errorf("the client got %v", h)
					}
				}
				for _, e := range b.entries() {
					if e.Target != "/%61pi/a%2Fb?q=%20" || e.Host != b.addr || e.Instance != "s-0" {
						t.Errorf("access log: %+v", e)
					}
				}
			})
		}
	}
}

// A path that a rewrite turns into none is the client's doing: 400, and the instance is not charged.
func TestARewriteThatLeavesTheRootIsRefused(t *testing.T) {
	b := run(t, []string{echo(t)}, func(_ *Config, r *dispatch.Route) {
		r.Actions = &action.Actions{Rewrite: &action.Rewrite{Path: must[*action.Path](t)(action.NewRegexPath("/of-(.*)/x", "/$1/x"))}}
	})
	c := b.dial()
	for _, tc := range []struct {
		target string
		status int
	}{{"/of-../x", 400}, {"/of-%2e%2e/x", 400}, {"/of-a/x", 200}} {
		c.send("GET " + tc.target + " HTTP/1.1\r\nHost: h\r\n\r\n")
		if res, body := c.response("GET"); res.StatusCode != tc.status {
			t.Errorf("%s: got %d %s", tc.target, res.StatusCode, body)
		}
	}
	if got := b.lives[0].Fails.Load(); got != 0 {
		t.Errorf("the instance is charged with %d failures", got)
	}
	if e := b.entries(); e[0].Status != 400 || e[0].Failure != "client-bad-body" || e[2].Status != 200 {
		t.Errorf("access log: %+v", e)
	}
}

// clientsOf returns a client of each protocol.
func (b *bench) clientsOf(path string) map[string]func() (*http.Client, string) {
	return map[string]func() (*http.Client, string){
		"HTTP/1.1": func() (*http.Client, string) { return b.http(path) },
		"HTTP/2":   func() (*http.Client, string) { return b.h2Client(path) },
	}
}

func TestARouteRedirects(t *testing.T) {
	b := run(t, nil, func(_ *Config, r *dispatch.Route) {
		r.Split = nil
		r.Actions = &action.Actions{
			Redirect: &action.Redirect{Status: 307, Scheme: "https", Host: "shop.example", Path: must[*action.Path](t)(action.NewPrefixPath("/a", "/b"))},
			Response: headersOf(t, []string{"X-From: ${route}${instance}"}, nil, nil),
		}
	})
	for name, of := range b.clientsOf("/a/c%2Fd?x=%0d") {
		client, url := of()
		c := *client
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for _, method := range []string{"GET", "HEAD", "POST"} {
			req, _ := http.NewRequest(method, url, nil)
			res, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if body := readAll(t, res.Body); res.StatusCode != 307 || res.Header.Get("Location") != "https://shop.example/b/c%2Fd?x=%0d" || body != "" || res.Header.Get("X-From") != "all" || res.Header.Get("X-Request-Id") == "" {
				t.Errorf("%s %s: got %d %v %q", name, method, res.StatusCode, res.Header, body)
			}
		}
	}
	client, url := b.h2Client("/a")
	req, _ := http.NewRequest("POST", url, strings.NewReader("\x00\x00\x00\x00\x00"))
	req.Header.Set("Content-Type", "application/grpc")
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if h := res.Header; res.StatusCode != 200 || h.Get("Grpc-Status") != "2" || !strings.Contains(h.Get("Grpc-Message"), "https://shop.example/b") || h.Get("Location") != "" {
		t.Errorf("gRPC: got %d %v", res.StatusCode, h)
	}
	for _, e := range b.entries() {
		if e.Status != 307 || e.Why != "redirect" || e.Route != "all" || e.Service != "" || e.Instance != "" || e.Attempts != 0 {
			t.Errorf("access log: %+v", e)
		}
	}
}

func TestARouteWithoutAHostDoesNotRevealTheAddress(t *testing.T) {
	b := run(t, nil, func(_ *Config, r *dispatch.Route) {
		r.Actions = &action.Actions{Redirect: &action.Redirect{Status: 302, Scheme: "https"}}
	})
	c := b.dial()
	c.send("GET / HTTP/1.0\r\n\r\n")
	if res, _ := c.response("GET"); res.StatusCode != 400 || res.Header.Get("Location") != "" {
		t.Errorf("got %d %v", res.StatusCode, res.Header)
	}
	if e := b.entries(); e[0].Status != 400 || e[0].Why != hostUnknown.Reason {
		t.Errorf("access log: %+v", e)
	}
}

func TestARouteAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		answer   action.Response
		headers  []string
		body     string
		wantType string
		length   string
		grpc     string
	}{
		"a page":             {answer: action.Response{Status: 503, Body: []byte("<h1>Closed</h1>")}, headers: []string{"Content-Type: text/html", "Retry-After: 120", "X-For: ${client}", "X-Both: of the response"}, body: "<h1>Closed</h1>", wantType: "text/html", length: "15", grpc: "14"},
		"a text":             {answer: action.Response{Status: 200, Body: []byte("ok")}, body: "ok", wantType: "text/plain; charset=utf-8", length: "2", grpc: "2"},
		"an empty body":      {answer: action.Response{Status: 403}, length: "0", grpc: "7"},
		"no content":         {answer: action.Response{Status: 204}, grpc: "2"},
		"reset content":      {answer: action.Response{Status: 205}, length: "0", grpc: "2"},
		"a large page":       {answer: action.Response{Status: 200, Body: []byte(strings.Repeat("x", action.MaxFile))}, body: strings.Repeat("x", action.MaxFile), wantType: "text/plain; charset=utf-8", length: fmt.Sprint(action.MaxFile), grpc: "2"},
		"login is necessary": {answer: action.Response{Status: 401}, headers: []string{"WWW-Authenticate: Basic realm=shop"}, length: "0", grpc: "16"},
	} {
		t.Run(name, func(t *testing.T) {
			b := run(t, nil, func(_ *Config, r *dispatch.Route) {
				r.Split = nil
				tc.answer.Headers = headersOf(t, tc.headers, nil, nil)
				r.Actions = &action.Actions{Answer: &tc.answer, Response: headersOf(t, []string{"X-Both: of the route"}, nil, nil)}
			})
			for protocol, of := range b.clientsOf("/") {
				client, url := of()
				for _, method := range []string{"GET", "HEAD", "GET"} {
					req, _ := http.NewRequest(method, url, nil)
					res, err := client.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					want := tc.body
					if method == "HEAD" {
						want = ""
					}
					got, h := readAll(t, res.Body), res.Header
					if got != want || res.StatusCode != tc.answer.Status || h.Get("Content-Type") != tc.wantType || h.Get("Content-Length") != tc.length || fmt.Sprint(h["X-Both"]) != "[of the route]" {
						t.Errorf("%s %s: got %d %v with %d bytes", protocol, method, res.StatusCode, h, len(got))
					}
					if len(tc.headers) == 4 && (fmt.Sprint(h["Retry-After"]) != "[120]" || h.Get("X-For") != "127.0.0.1") {
						t.Errorf("%s %s: got %v", protocol, method, h)
					}
				}
			}
			client, url := b.h2Client("/")
			req, _ := http.NewRequest("POST", url, nil)
			req.Header.Set("Content-Type", "application/grpc")
			if res, err := client.Do(req); err != nil || res.StatusCode != 200 || res.Header.Get("Grpc-Status") != tc.grpc {
				t.Errorf("gRPC: got %v %v", res, err)
			}
			for _, e := range b.entries() {
				if e.Status != tc.answer.Status || e.Why != "fixed-response" || e.Instance != "" || e.Service != "" {
					t.Errorf("access log: %+v", e)
				}
			}
		})
	}
}

// The body of a request that a route answers is not the next request.
func TestTheBodyOfAnAnsweredRequestIsNotARequest(t *testing.T) {
	b := run(t, nil, func(_ *Config, r *dispatch.Route) {
		r.Actions = &action.Actions{Answer: &action.Response{Status: 200}}
	})
	c := b.dial()
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 39\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n    GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
	for range 2 {
		if res, _ := c.response("GET"); res.StatusCode != 200 {
			t.Errorf("got %d", res.StatusCode)
		}
	}
	c = b.dial()
	c.send("POST /large HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 100000))
	if res, _ := c.response("POST"); res.StatusCode != 200 || !res.Close {
		t.Errorf("got %d %v", res.StatusCode, res.Header)
	}
	_ = c.CloseWrite()
	c.ended()
	var targets []string
	for _, e := range b.entries() {
		targets = append(targets, e.Target)
	}
	slices.Sort(targets) // lines of several connections have no order
	if !slices.Equal(targets, []string{"/", "/large", "/next"}) {
		t.Errorf("access log: %q", targets)
	}
}

// Errors of the proxy get the edits of the route as well.
func TestEditsApplyToErrorsOfTheProxy(t *testing.T) {
	b := run(t, []string{"127.0.0.1:1"}, func(_ *Config, r *dispatch.Route) {
		r.Retry.Attempts = 0
		r.Actions = &action.Actions{Response: headersOf(t, []string{"Access-Control-Allow-Origin: *", "Content-Type: text/x-error"}, nil, nil)}
	})
	for name, of := range b.clientsOf("/") {
		client, url := of()
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_ = readAll(t, res.Body)
		if h := res.Header; res.StatusCode != 502 || h.Get("Access-Control-Allow-Origin") != "*" || fmt.Sprint(h["Content-Type"]) != "[text/x-error]" {
			t.Errorf("%s: got %d %v", name, res.StatusCode, h)
		}
	}
}

// A listener's Strict-Transport-Security is the only one, and the server name is a variable.
func TestEditsInsideTLS(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(reveal))
	t.Cleanup(s.Close)
	b := runWith(t, true, []string{s.Listener.Addr().String()}, func(c *Config, r *dispatch.Route) {
		c.Listeners[0].HSTS = "max-age=60"
		r.Actions = &action.Actions{
			Request:  headersOf(t, []string{"X-SNI: ${sni}"}, nil, nil),
			Response: headersOf(t, []string{"Strict-Transport-Security: max-age=1"}, nil, nil),
		}
	})
	for name, of := range b.clientsOf("/") {
		client, url := of()
		tr := client.Transport.(*http.Transport)
		tr.TLSClientConfig = tr.TLSClientConfig.Clone()
		tr.TLSClientConfig.ServerName = "localhost"
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_ = readAll(t, res.Body)
		if h := res.Header; fmt.Sprint(h["Strict-Transport-Security"]) != "[max-age=60]" || !strings.Contains(h.Get("X-Seen"), "X-Sni:[localhost]") {
			t.Errorf("%s: got %v", name, h)
		}
	}
}

// crypto/tls lets a client send any byte as server name. None of them reaches a head.
func TestAServerNameCannotAddAHeader(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(reveal))
	t.Cleanup(s.Close)
	b := runWith(t, true, []string{s.Listener.Addr().String()}, func(_ *Config, r *dispatch.Route) {
		r.Actions = &action.Actions{Request: headersOf(t, []string{"X-SNI: <${sni}>"}, nil, nil)}
	})
	cfg := identity().client.Clone()
	cfg.InsecureSkipVerify, cfg.ServerName = true, "a\r\nx-evil: 1"
	tc, err := tls.Dial("tcp", b.addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer tc.Close()
	_, _ = io.WriteString(tc, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	answer, _ := io.ReadAll(tc)
	if !strings.Contains(string(answer), "X-Sni:[<>]") || strings.Contains(string(answer), "Evil") {
		t.Errorf("%s", answer)
	}
}

func TestTheTunnelOfARouteHasItsEdits(t *testing.T) {
	b, _ := raw(t, func(s *upstreamtest.Session) {
		if s.Head() {
			s.Write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nServer: secret\r\n\r\n")
			s.Hang()
		}
	}, func(_ *Config, r *dispatch.Route) {
		r.Actions = &action.Actions{Response: headersOf(t, []string{"X-From: ${instance}"}, nil, []string{"Server"})}
	})
	c := b.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != 101 || res.Header.Get("X-From") != "s-0" || res.Header.Get("Server") != "" {
		t.Fatalf("got %v %v", res, err)
	}
}

// A service's page replaces the text of an error of the proxy, for people, and not a response of an instance.
func TestErrorPages(t *testing.T) {
	page := &action.Response{Body: []byte("<h1>Back soon</h1>"), Headers: headersOf(t, []string{"Content-Type: text/html", "Retry-After: 30"}, nil, nil)}
	b := run(t, []string{"127.0.0.1:1", upstreamtest.NewRaw(t, upstreamtest.Always("HTTP/1.1 503 Of the instance\r\nContent-Length: 4\r\n\r\nbusy")).Addr}, func(_ *Config, r *dispatch.Route) {
		r.Retry.Attempts = 0
		r.Split[0].Pages = action.Pages{502: page, 503: page}
		r.Actions = &action.Actions{Response: headersOf(t, []string{"X-Route: ${route}"}, nil, nil)}
	})
	for name, of := range b.clientsOf("/") {
		client, url := of()
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		if body, h := readAll(t, res.Body), res.Header; res.StatusCode != 502 || body != "<h1>Back soon</h1>" || fmt.Sprint(h["Content-Type"], h["Retry-After"], h["X-Route"]) != "[text/html] [30] [all]" || h.Get("X-Request-Id") == "" {
			t.Errorf("%s: got %d %v %s", name, res.StatusCode, h, body)
		}
	}
	client, url := b.h2Client("/")
	req, _ := http.NewRequest("POST", url, nil)
	req.Header.Set("Content-Type", "application/grpc")
	if res, err := client.Do(req); err != nil || res.Header.Get("Grpc-Status") != "14" || !strings.Contains(res.Header.Get("Grpc-Message"), "upstream-connect") {
		t.Errorf("gRPC: got %v %v", res, err)
	}
	b.service.Swap(&upstream.Pool{Policy: inTurn{}, Name: "turn", Members: []upstream.Member{{Live: b.lives[1], Weight: 1}}, Live: []int32{0}})
	client, url = b.http("/")
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	if body := readAll(t, res.Body); res.StatusCode != 503 || body != "busy" {
		t.Errorf("the instance's response became %d %s", res.StatusCode, body)
	}
	b.service.Swap(&upstream.Pool{Policy: inTurn{}, Name: "turn", Members: []upstream.Member{{Live: b.lives[1], Weight: 1, Out: upstream.Draining}}})
	if res, err = client.Get(url); err != nil {
		t.Fatal(err)
	}
	if body := readAll(t, res.Body); res.StatusCode != 503 || body != "<h1>Back soon</h1>" {
		t.Errorf("with all instances drained: %d %s", res.StatusCode, body)
	}
	errors := 0 // lines of several connections have no order
	for _, e := range b.entries() {
		if e.Status == 502 && e.Why == "upstream-connect" {
			errors++
		}
	}
	if errors != 3 {
		t.Errorf("the access log has %d errors of the proxy, want 3", errors)
	}
}
