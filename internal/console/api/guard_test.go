package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/configlog"

	"github.com/smartlb/smartlb/internal/event"
)

func TestGuardRefusesOtherHostsAndOrigins(t *testing.T) {
	h := Guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }), "lb.example.com")
	for _, c := range []struct {
		why, method, host string
		headers           map[string]string
		want              int
	}{
		{"curl to localhost", "GET", "localhost:8081", nil, 200},
		{"curl to the address", "POST", "127.0.0.1:8081", nil, 200},
		{"an IPv6 address", "GET", "[::1]:8081", nil, 200},
		{"an address without port", "GET", "127.0.0.1", nil, 200},
		{"a name that was given", "GET", "LB.example.com:8081", nil, 200},
		{"a name whose DNS an attacker turns to us", "GET", "evil.example.com:8081", nil, 421},
		{"a name that begins like ours", "GET", "localhost.evil.example.com", nil, 421},
		{"no host", "GET", "", nil, 421},
		{"a change from the console itself", "POST", "localhost:8083", map[string]string{"Origin": "http://localhost:8083", "Sec-Fetch-Site": "same-origin"}, 200},
		{"a change from another page", "POST", "localhost:8083", map[string]string{"Origin": "http://evil.example.com", "Sec-Fetch-Site": "cross-site"}, 403},
		{"a change from another port of this machine", "POST", "localhost:8083", map[string]string{"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}, 403},
		{"a change from a browser without Sec-Fetch-Site", "POST", "localhost:8083", map[string]string{"Origin": "http://evil.example.com"}, 403},
		{"a sandboxed page", "POST", "localhost:8083", map[string]string{"Origin": "null"}, 403},
	} {
		r := httptest.NewRequest(c.method, "http://x/api/v1/node", nil)
		r.Host = c.host
		for k, v := range c.headers {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d", c.why, w.Code, c.want)
		}
		if w.Code == 200 && w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: security headers are missing", c.why)
		}
	}
}

// <img src="http://localhost:8083/api/v1/topics/t/search?where=..."> on any page
// started a search with the rights of the one who reads that page.
func TestGuardRefusesReadsForPagesOfOtherOrigins(t *testing.T) {
	h := Guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	for _, path := range []string{"/api/v1/topics/t/search?text=x", "/api/v1/topics/t/export", "/api/v1/overview/events", "/api/v1/overview", "/api/v1/audit", "/api/v1/openapi.yaml", "/%61pi/v1/overview", "/metrics"} {
		for _, c := range []struct {
			why     string
			headers map[string]string
			want    int
		}{
			{"the console", map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
			{"an address typed by a person", map[string]string{"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, 200},
			{"curl", nil, 200},
			{"an image", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403},
			{"a link", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 403},
			{"a page on another port", map[string]string{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403},
			{"a value of tomorrow", map[string]string{"Sec-Fetch-Site": "near-site"}, 403},
			{"a script, over http to another machine", map[string]string{"Origin": "http://evil.example"}, 403},
			{"a sandboxed page", map[string]string{"Origin": "null"}, 403},
			{"the console, over http to another machine", map[string]string{"Origin": "http://10.0.0.1:8083"}, 200},
		} {
			for _, method := range []string{"GET", "HEAD"} {
				r := httptest.NewRequest(method, "http://10.0.0.1:8083"+path, nil)
				for k, v := range c.headers {
					r.Header.Set(k, v)
				}
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != c.want {
					t.Errorf("%s of %s from %s: %d, want %d", method, path, c.why, w.Code, c.want)
				}
			}
		}
	}
	for _, path := range []string{"/", "/topics/t/messages?text=x", "/assets/index.js", "/api/v1/login/oidc", "/api/v1/login/oidc/callback?code=1", "/healthz", "/readyz"} {
		r := httptest.NewRequest("GET", "http://10.0.0.1:8083"+path, nil)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 200 {
			t.Errorf("%s is refused: %d", path, w.Code)
		}
	}
}

// bad bodies: each is the caller's mistake and changes nothing.
func TestChangesRefuseBadBodies(t *testing.T) {
	changes := 0
	s := New(Sources{
		Override: func(context.Context, event.Override, string, string) (configlog.Applied, error) {
			changes++
			return configlog.Applied{Published: true}, nil
		},
		Fault: func(context.Context, string, *Fault) error { changes++; return nil },
	}, slog.New(slog.DiscardHandler))
	override, fault := "/api/v1/services/s/instances/i/override", "/api/v1/demo/instances/i/fault"
	for _, c := range []struct {
		path, contentType, body string
		want                    int
	}{
		{override, "application/json", `{"action":"drain"}`, 200},
		{override, "application/json; charset=utf-8", `{"action":"weight","weight":3}`, 200},
		{override, "text/plain", `{"action":"drain"}`, 415},
		{override, "", `{"action":"drain"}`, 415},
		{override, "application/json", ``, 400},
		{override, "application/json", `{`, 400},
		{override, "application/json", `{"action":"explode"}`, 400},
		{override, "application/json", `{"action":"weight","weight":-1}`, 400},
		{override, "application/json", `{"action":"weight","weight":1e300}`, 400},
		{override, "application/json", `{"action":"weight","weight":NaN}`, 400},
		{override, "application/json", `{"action":"drain","extra":1}`, 400},
		{override, "application/json", `{"action":"drain"}{"action":"drain"}`, 400},
		{override, "application/json", strings.Repeat("[", 1<<16), 400},
		{override, "application/json", `{"action":"` + strings.Repeat("x", 2<<20) + `"}`, 413},
		{fault, "application/json", `{"errorRate":1,"latencyMs":1}`, 200},
		{fault, "application/json", `{"heal":true}`, 200},
		{fault, "application/json", `{"errorRate":1.5}`, 400},
		{fault, "application/json", `{"latencyMs":-1}`, 400},
		{fault, "application/json", `{"latencyMs":1e9}`, 400},
	} {
		before := changes
		r := httptest.NewRequest("POST", c.path, strings.NewReader(c.body))
		if c.contentType != "" {
			r.Header.Set("Content-Type", c.contentType)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != c.want || (changes > before) != (c.want == 200) {
			t.Errorf("%.60s (%s): %d with %d changes, want %d", c.body, c.contentType, w.Code, changes-before, c.want)
		}
		var p problem.Problem
		if c.want != 200 && (json.Unmarshal(w.Body.Bytes(), &p) != nil || p.Error == "" || p.Code.Status() != c.want) {
			t.Errorf("%.60s: answered %q, want a problem", c.body, w.Body)
		}
	}
}

func TestErrorsOfSourcesHaveTheirStatus(t *testing.T) {
	for err, want := range map[error]int{
		problem.Errorf(problem.NotFound, "x"): 404, problem.Errorf(problem.Unavailable, "x"): 503, context.DeadlineExceeded: 503, errors.New("x"): 500,
	} {
		s := New(Sources{Overview: func(context.Context) (Overview, error) { return Overview{}, err }}, slog.New(slog.DiscardHandler))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/overview", nil))
		if w.Code != want {
			t.Errorf("%v: %d, want %d", err, w.Code, want)
		}
	}
	w := httptest.NewRecorder()
	New(Sources{}, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/topics", nil))
	if w.Code != 404 || !strings.Contains(w.Body.String(), "hint") {
		t.Errorf("without the role: %d %s", w.Code, w.Body)
	}
}

// A page that is closed frees its handler and whatever reads for it.
func TestStreamsEndWithTheirClient(t *testing.T) {
	ended := make(chan struct{})
	s := New(Sources{
		Overview: func(context.Context) (Overview, error) { return Overview{}, nil },
		Messages: flooded{flood: flood{ended}},
	}, slog.New(slog.DiscardHandler))
	server := httptest.NewServer(s)
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	for _, path := range []string{"/api/v1/overview/events", "/api/v1/topics/t/events?last=500"} {
		ctx, cancel := context.WithCancel(context.Background())
		req, _ := http.NewRequestWithContext(ctx, "GET", server.URL+path, nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := resp.Body.Read(make([]byte, 100)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		cancel()
		resp.Body.Close()
	}
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		t.Error("the reader of a closed page goes on")
	}
}

// flooded answers nothing else.
type flooded struct {
	Messages
	flood
}

// flood is a topic without end.
type flood struct{ ended chan struct{} }

func (f flooded) Live(ctx context.Context, _ browse.Query, _ int, out func(browse.Live) error, _ func(error) error) error {
	defer close(f.flood.ended)
	for ctx.Err() == nil {
		if err := out(browse.Live{Messages: make([]browse.Message, 1000)}); err != nil {
			return err
		}
	}
	return nil
}
