package e2e

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/leftout"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// site is a running proxy with a file of docs/examples/sites: HAProxy, nginx or smartlb.
type site struct {
	t        *testing.T
	name     string
	addr     string
	client   *http.Client
	down     *[3]atomic.Bool // instances that answer 503, also to health checks
	hold     chan struct{}   // /hold is answered when it is closed
	arrivals *atomic.Int64   // requests of /hold
}

// ask sends a request and returns "STATUS BODY", without the texts of the proxies' own errors.
func (s *site) ask(method, target string, headers ...string) (string, http.Header) {
	s.t.Helper()
	host, path, _ := strings.Cut(target, "/")
	req, err := http.NewRequest(method, "http://"+s.addr+"/"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Host = host
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Body" {
			req.Header.Set("Expect", "100-continue") // a refusal comes before the body, which could not be sent whole
			req.Body, req.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", len(value)<<20))), int64(len(value)<<20)
			continue
		}
		req.Header.Set(name, value)
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatalf("%s: %s %s: %v", s.name, method, target, err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return "101", res.Header
	}
	body, _ := io.ReadAll(res.Body)
	text := strings.TrimSpace(string(body))
	if res.StatusCode >= 300 && !strings.HasPrefix(text, "<h1>We ") && !strings.HasPrefix(text, "<h1>Try ") {
		text = ""
	}
	return strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", text)), res.Header
}

// expect compares the answer of a request.
func (s *site) expect(want, method, target string, headers ...string) http.Header {
	s.t.Helper()
	got, h := s.ask(method, target, headers...)
	if got != want {
		s.t.Errorf("%s: %s %s %q: got %q, want %q", s.name, method, target, headers, got, want)
	}
	return h
}

// sites has what both proxies of a pair must do.
var sites = map[string]func(s *site){
	"api-limits.conf": func(s *site) {
		s.expect("200 one a /", "GET", "a/")
		for range 3 {
			s.expect("200 one a /search?q=1", "GET", "a/search?q=1")
		}
		s.expect("429", "GET", "a/search?q=1")
		s.expect("403", "GET", "a/status")
		s.expect("401", "GET", "a/reports")
		s.expect("401", "GET", "a/reports", "Authorization: Basic YW5uOndyb25nLWhvcnNl")
		s.expect("200 one a /reports", "GET", "a/reports", "Authorization: Basic YW5uOmNvcnJlY3QtaG9yc2U=")
		s.expect("200 one a /", "POST", "a/", "Body: x")
		s.expect("413", "POST", "a/", "Body: xx")
	},
	"sticky-shop.cfg": func(s *site) {
		for range 4 {
			first, h := s.ask("GET", "a/")
			cookie, _, _ := strings.Cut(h.Get("Set-Cookie"), ";")
			if !strings.HasPrefix(cookie, "SERVERID=") || !strings.Contains(h.Get("Set-Cookie"), "HttpOnly") {
				s.t.Errorf("%s: Set-Cookie %q", s.name, h.Get("Set-Cookie"))
			}
			for range 3 {
				s.expect(first, "GET", "a/", "Cookie: "+cookie)
			}
		}
		s.down[0].Store(true)
		s.down[1].Store(true)
		eventually(s.t, s.name+": the backup answers", func() bool { got, _ := s.ask("GET", "a/"); return got == "200 next a /" })
		s.down[0].Store(false)
		eventually(s.t, s.name+": a server is back", func() bool { got, _ := s.ask("GET", "a/"); return got == "200 one a /" })
	},
	"grpc.conf": func(s *site) {
		headers := []string{"Content-Type: application/grpc", "TE: trailers"}
		s.expect("200 one a /shop.Catalog/List", "POST", "a/shop.Catalog/List", headers...)
		s.expect("200 two a /shop.Cart/Add", "POST", "a/shop.Cart/Add", headers...)
	},
	"canary.cfg": func(s *site) {
		s.expect("200 next a /", "GET", "a/", "X-Tester: yes")
		by := map[string]int{}
		for range 100 {
			got, _ := s.ask("GET", "a/")
			by[got]++
		}
		if by["200 one a /"] != 90 || by["200 next a /"] != 10 {
			s.t.Errorf("%s: shares %v", s.name, by)
		}
		s.down[2].Store(true)
		for range 20 {
			s.expect("200 one a /", "GET", "a/")
		}
	},
	"maintenance.conf": func(s *site) {
		s.expect("200 ok", "GET", "a/health")
		if h := s.expect("503 <h1>We are back at noon</h1>", "GET", "a/orders/1"); h.Get("Retry-After") != "3600" || h.Get("Content-Type") != "text/html" {
			s.t.Errorf("%s: headers of the maintenance page: %v", s.name, h)
		}
		s.expect("502 <h1>Try again later</h1>", "GET", "a/")
	},
	"spa-cors.conf": func(s *site) {
		origin := "Origin: https://app.example.com"
		h := s.expect("204", "OPTIONS", "a/api/users", origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization")
		if h.Get("Access-Control-Allow-Origin") != "https://app.example.com" || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") || !strings.EqualFold(h.Get("Access-Control-Allow-Headers"), "authorization") {
			s.t.Errorf("%s: preflight: %v", s.name, h)
		}
		if h := s.expect("200 one a /users?x=1", "GET", "a/api/users?x=1", origin); h.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
			s.t.Errorf("%s: %v", s.name, h)
		}
		s.expect("101", "GET", "a/socket", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
	},
	"hosts.cfg": func(s *site) {
		if h := s.expect("301", "GET", "example.com/a?b=c"); h.Get("Location") != "http://www.example.com/a?b=c" {
			s.t.Errorf("%s: Location %s", s.name, h.Get("Location"))
		}
		if h := s.expect("200 one www.example.com /a unknown", "GET", "www.example.com/a"); h.Get("Cache-Control") != "no-store" {
			s.t.Errorf("%s: Cache-Control %q", s.name, h.Get("Cache-Control"))
		}
		s.expect("200 two api.internal /b unknown", "GET", "eu.api.example.com/b")
		s.expect("404", "POST", "eu.api.example.com/b")
		s.expect("404", "GET", "other.example.com/")
	},
	"abuse.cfg": func(s *site) {
		for range 5 {
			s.expect("200 one a /login", "GET", "a/login")
		}
		s.expect("429", "GET", "a/login")
		held := make(chan string)
		go func() { got, _ := s.ask("GET", "a/hold"); held <- got }()
		eventually(s.t, s.name+": the server is busy", func() bool { return s.arrivals.Load() == 1 })
		s.expect("503", "GET", "a/")
		close(s.hold)
		if got := <-held; got != "200 one a /hold" {
			s.t.Errorf("%s: the request before got %q", s.name, got)
		}
		half, err := net.Dial("tcp", s.addr)
		if err != nil {
			s.t.Fatal(err)
		}
		defer half.Close()
		_ = half.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(half, "GET / HTTP/1.1\r\nHost: a\r\n")
		if text, _ := io.ReadAll(half); !strings.HasPrefix(string(text), "HTTP/1.1 408 ") && !strings.HasPrefix(string(text), "HTTP/1.0 408 ") {
			s.t.Errorf("%s: half a head got %q", s.name, text)
		}
	},
}

// TestTypicalFilesOfHAProxyAndNginxAnswerAlike runs each pair of files of docs/examples/sites.
func TestTypicalFilesOfHAProxyAndNginxAnswerAlike(t *testing.T) {
	t.Parallel()
	haproxy, nginx := leftout.Unless(t, "typical files of HAProxy", "haproxy"), leftout.Unless(t, "typical files of nginx", "nginx")
	files, err := os.ReadDir("../../docs/examples/sites")
	if err != nil || len(files) != 2*len(sites) {
		t.Fatalf("%v: %d files, want a pair for each of %d sites", err, len(files), len(sites))
	}
	for name, check := range sites {
		for _, proxy := range []string{"the other proxy", "smartlb"} {
			t.Run(name+", "+proxy, func(t *testing.T) {
				t.Parallel()
				s := &site{t: t, name: name + ", " + proxy, addr: porttest.Address(t), down: new([3]atomic.Bool), hold: make(chan struct{}), arrivals: new(atomic.Int64)}
				tr := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true, ExpectContinueTimeout: time.Minute}
				tr.Protocols.SetHTTP1(name != "grpc.conf")
				tr.Protocols.SetUnencryptedHTTP2(name == "grpc.conf")
				t.Cleanup(tr.CloseIdleConnections)
				s.client = &http.Client{Transport: tr, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
				addresses := []string{"10.0.1.11:8080", s.instance(0), "10.0.1.12:8080", s.instance(1), "10.0.1.21:8080", s.instance(2)}
				if name == "maintenance.conf" {
					addresses[1] = porttest.Refused(t)
				}
				s.start(name, haproxy, nginx, proxy == "smartlb", addresses)
				check(s)
			})
		}
	}
}

// instance starts one of three servers.
func (s *site) instance(i int) string {
	name := [...]string{"one", "two", "next"}[i]
	instance := serveH2C(s.t, true, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.down[i].Load():
			w.WriteHeader(503)
			return
		case r.Header.Get("Upgrade") != "":
			w.Header().Set("Upgrade", r.Header.Get("Upgrade"))
			w.Header().Set("Connection", "Upgrade")
			accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 §1.3
			w.Header().Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(accept[:]))
			w.WriteHeader(101)
			return
		case r.URL.Path == "/hold":
			s.arrivals.Add(1)
			select {
			case <-s.hold:
			case <-r.Context().Done():
			}
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		fmt.Fprintln(w, strings.TrimSpace(fmt.Sprint(name, " ", r.Host, " ", r.RequestURI, " ", r.Header.Get("X-Country"))))
	}))
	return instance.Listener.Addr().String()
}

// start runs a proxy with the file of a site, at the addresses of the test.
func (s *site) start(name, haproxy, nginx string, smartlb bool, addresses []string) {
	t, dir := s.t, s.t.TempDir()
	stem, kind, _ := strings.Cut(name, ".")
	path := "../../docs/examples/sites/" + name
	if smartlb {
		path = "../../docs/examples/sites/" + stem + ".smartlb.yaml"
	}
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(addresses...).Replace(string(src))
	switch {
	case smartlb:
		p := startIn(t, append(cleanEnv(t), "SESSION_KEY="+strings.Repeat("k", 32)), true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", mustWrite(t, strings.ReplaceAll(text, `":80"`, `"`+s.addr+`"`)), "--admin", "127.0.0.1:0", "--data", dir)
		p.Address("web")
	case kind == "cfg":
		beside(t, haproxy, "-db", "-f", mustWrite(t, strings.Replace(text, "bind :80", "bind "+s.addr, 1)))
		listens(t, s.name, s.addr)
	default:
		const users = "ann:$2a$12$DFRkuPml9kKpXv7Ab0LUr.tulme7K5R4U1hBjKqWQRqqqsWoYmrXa\n"
		if err := os.WriteFile(dir+"/users", []byte(users), 0o644); err != nil {
			t.Fatal(err)
		}
		inside := fmt.Sprintf("http {\naccess_log off; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;\n", dir)
		text = strings.NewReplacer("listen 80", "listen "+s.addr, "http {\n", inside, "auth_basic_user_file users;", "auth_basic_user_file "+dir+"/users;").Replace(text)
		beside(t, nginx, "-p", dir, "-e", "stderr", "-c", mustWrite(t, fmt.Sprintf("daemon off;\nmaster_process off;\npid %s/pid;\n", dir)+text))
		listens(t, s.name, s.addr)
	}
}
