package probe

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

func statuses(low, high int) (s upstream.StatusSet) {
	s.Add(low, high)
	return s
}

func TestWhatAnHTTPCheckExpects(t *testing.T) {
	long := strings.Repeat("x", maxMatch)
	for _, tc := range []struct {
		name   string
		expect Expect
		status int
		body   string
		ok     bool
		reason string
	}{
		{"200 by default", Expect{}, 200, "", true, ""},
		{"299 by default", Expect{}, 299, "", true, ""},
		{"no redirect by default", Expect{}, 304, "", false, ""},
		{"a status of a range", Expect{Statuses: statuses(300, 399)}, 304, "", true, ""},
		{"a status beside the range", Expect{Statuses: statuses(300, 399)}, 200, "", false, ""},
		{"the text", Expect{Text: "ready"}, 200, "we are ready.", true, ""},
		{"the text in another case", Expect{Text: "ready"}, 200, "READY", false, "the body does not match"},
		{"the text with another status", Expect{Text: "ready"}, 503, "ready", false, ""},
		{"the expression", Expect{Regex: `"db":\s*"up"`}, 200, `{"db":  "up"}`, true, ""},
		{"the expression in no part", Expect{Regex: `^ok$`}, 200, "not ok", false, "the body does not match"},
		{"an empty body", Expect{Text: "ready"}, 200, "", false, "the body does not match"},
		{"a match at the end of what is read", Expect{Text: "ready"}, 200, long[:maxMatch-5] + "ready" + long, true, ""},
		{"a match behind what is read", Expect{Text: "ready"}, 200, long[:maxMatch-4] + "ready", false, "no match in the first 32768 bytes of the body"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			}))
			defer s.Close()
			r := check(context.Background(), Target{Addr: s.Listener.Addr().String(), Check: "http", Path: "/", Timeout: time.Minute}, newExpectation(tc.expect))
			if r.OK != tc.ok || r.Reason != tc.reason || r.StatusCode != tc.status || len(r.Body) > maxBody {
				t.Errorf("got %v %q, status %d, %d bytes; want %v %q", r.OK, r.Reason, r.StatusCode, len(r.Body), tc.ok, tc.reason)
			}
		})
	}
}

// A check of an instance that never ends its body reads only what it compares.
func TestAnEndlessBodyIsNotRead(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("x", 1000)); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	r := check(context.Background(), Target{Addr: s.Listener.Addr().String(), Check: "http", Path: "/", Timeout: time.Minute}, newExpectation(Expect{Regex: "y"}))
	if r.OK || !strings.HasPrefix(r.Reason, "no match") {
		t.Errorf("got %v %q %q", r.OK, r.Reason, r.Body)
	}
}

func TestTheRequestOfACheck(t *testing.T) {
	got := make(chan string, 10)
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got <- fmt.Sprintf("%s %s %s %s %s %s", r.Proto, r.Method, r.Host, r.Header.Get("X-Key"), r.UserAgent(), r.URL)
	})
	s := httptest.NewUnstartedServer(handler)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	base := Target{Addr: s.Listener.Addr().String(), Check: "http", Path: "/ready?deep=1", Host: "shop", Timeout: time.Minute}
	for want, edit := range map[string]func(*Target){
		"HTTP/1.1 GET shop  smartlb-probe /ready?deep=1":                  func(*Target) {},
		"HTTP/1.1 POST shop a b: c smartlb-probe /ready?deep=1":           func(t *Target) { t.Method, t.Headers = "POST", "X-Key: a b: c\n" },
		"HTTP/1.1 PROPFIND shop  own /ready?deep=1":                       func(t *Target) { t.Method, t.Headers = "PROPFIND", "User-Agent: own\n" },
		"HTTP/2.0 HEAD shop k smartlb-probe /ready?deep=1":                func(t *Target) { t.HTTP2, t.Method, t.Headers = true, "HEAD", "X-Key: k\n" },
		"HTTP/1.1 OPTIONS " + base.Addr + "  smartlb-probe /ready?deep=1": func(t *Target) { t.Host, t.Method = "", "OPTIONS" },
	} {
		tg := base
		edit(&tg)
		if r := check(context.Background(), tg, newExpectation(tg.Expect)); !r.OK {
			t.Errorf("%s: %+v", want, r)
		} else if req := <-got; req != want {
			t.Errorf("got %q, want %q", req, want)
		}
	}
}

// The protocol inside TLS is that of the check, whatever requests of clients speak.
func TestTheProtocolOfACheckWinsInTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	for _, requests := range []string{"h2", "http/1.1"} {
		for http2, want := range map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"} {
			security := &upstream.TLS{Config: func(host string) *tls.Config {
				return &tls.Config{RootCAs: roots, ServerName: host, NextProtos: []string{requests}}
			}}
			tg := Target{Addr: s.Listener.Addr().String(), Check: "http", Path: "/", HTTP2: http2, TLS: security, Timeout: time.Minute, Expect: Expect{Text: want}}
			if r := check(context.Background(), tg, newExpectation(tg.Expect)); !r.OK {
				t.Errorf("requests %s, check over HTTP/2 %v: %+v", requests, http2, r)
			}
		}
	}
}

// A new expression of a check is used, and the same one keeps the state of the instance.
func TestAChangedExpectationRestartsTheChecks(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "warm") }))
	defer s.Close()
	tg := target(s.Listener.Addr().String())
	tg.Expect = Expect{Regex: "warm"}
	p, results := start(t, tg, false)
	await(t, results, "up", func(r Result) bool { return r.Up })
	p.Set([]Target{tg})
	if r := await(t, results, "a check", func(Result) bool { return true }); r.Changed {
		t.Error("the same target began anew")
	}
	tg.Expect.Regex = "hot"
	p.Set([]Target{tg})
	await(t, results, "down", func(r Result) bool { return r.Changed && !r.Up && r.Reason == "the body does not match" })
}

func TestChecksOfAPortNobodyListensOn(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	r := check(context.Background(), Target{Addr: addr, Check: "http", Path: "/", Timeout: time.Minute}, newExpectation(Expect{Text: "x"}))
	if r.OK || r.Body != "connection refused" || r.Reason != "" {
		t.Errorf("got %+v", r)
	}
}
