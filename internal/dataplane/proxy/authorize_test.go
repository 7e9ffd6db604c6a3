package proxy

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/forwardauth"
)

// asked is a proxy whose route asks an authentication service.
type asked struct {
	*bench
	counts *forwardauth.Counts
}

func askFirst(t *testing.T, service http.HandlerFunc, edit func(*forwardauth.Settings)) asked {
	t.Helper()
	s := httptest.NewServer(service)
	client := forwardauth.NewClient(slog.New(slog.DiscardHandler))
	t.Cleanup(func() { client.Close(); s.CloseClientConnections(); s.Close() })
	settings := forwardauth.Settings{Route: "r", URL: s.URL + "/verify", Timeout: testTimeout, Client: client, Counts: new(forwardauth.Counts), Take: []string{"X-User", "X-Role"}, Pass: []string{"X-Key"}}
	if edit != nil {
		edit(&settings)
	}
	return asked{guarded(t, func(a *action.Actions) {
		a.ForwardAuth = forwardauth.New(settings)
		a.Request = must[*action.Headers](t)(action.NewHeaders(action.ProvenEdits(settings.Take), nil))
	}), settings.Counts}
}

func TestARouteAsksAnAuthenticationService(t *testing.T) {
	scheme := "http"
	if *overTLS {
		scheme = "https"
	}
	b := askFirst(t, func(w http.ResponseWriter, r *http.Request) {
		h := r.Header
		switch body, _ := io.ReadAll(r.Body); {
		case r.Method != "GET", r.URL.Path != "/verify", len(body) > 0, h.Get("X-Forwarded-Method") != "POST", h.Get("X-Forwarded-Uri") != "/a%20b?c=d",
			h.Get("X-Forwarded-Host") == "", h.Get("X-Forwarded-For") != "127.0.0.1", h.Get("X-Forwarded-Proto") != scheme, h.Get("X-Request-Id") == "",
			h.Get("X-Key") != "k", h.Get("X-Other") != "", h.Get("X-Real-Ip") != "", h.Get("User-Agent") != "", h.Get("Content-Type") != "":
			t.Errorf("the service got %s %s %v %s", r.Method, r.URL, h, body)
		}
		switch h.Get("Authorization") {
		case "yes":
			w.Header().Set("X-User", "ann")
			w.Header().Set("X-Evil", "1")
		case "no":
			w.WriteHeader(403)
		default:
			w.Header().Add("Set-Cookie", "a=1")
			w.Header().Add("Set-Cookie", "b=${client}")
			w.Header().Set("Location", "https://login.example/?rd=x")
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(302)
			_, _ = io.WriteString(w, "<a>log in</a>")
		}
	}, nil)
	for protocol, open := range b.clientsOf("/a%20b?c=d") {
		client, url := open()
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		own := []string{"X-User: root", "X_User: root", "X-Role: admin", "X-Key: k", "X-Other: o", "X-Real-Ip: 6.6.6.6", "User-Agent: "}
		res, body := do(t, client, "POST", url, append(own, "Authorization: yes")...)
		seen := res.Header.Get("X-Seen")
		if res.StatusCode != 200 || body != "body" || !strings.Contains(seen, "X-User:[ann]") || strings.Contains(seen, "root") || strings.Contains(seen, "Role") || strings.Contains(seen, "Evil") {
			t.Errorf("%s: got %d %s %s", protocol, res.StatusCode, body, seen)
		}
		if res, body := do(t, client, "POST", url, append(own, "Authorization: no")...); res.StatusCode != 403 || body != "" {
			t.Errorf("%s: got %d %s", protocol, res.StatusCode, body)
		}
		res, body = do(t, client, "POST", url, own...)
		if h := res.Header; res.StatusCode != 302 || body != "<a>log in</a>" || h.Get("Location") != "https://login.example/?rd=x" || strings.Join(h["Set-Cookie"], ",") != "a=1,b=${client}" || strings.Join(h["Content-Type"], ",") != "text/html" || len(h["Date"]) != 1 {
			t.Errorf("%s: got %d %v %s", protocol, res.StatusCode, res.Header, body)
		}
	}
	client, url := b.h2Client("/a%20b?c=d")
	for header, want := range map[string]string{"no": "7", "": "16", "yes": ""} {
		res, _ := do(t, client, "POST", url, "Content-Type: application/grpc", "TE: trailers", "X-Key: k", "User-Agent: ", "Authorization: "+header)
		if got := res.Header.Get("Grpc-Status"); got != want {
			t.Errorf("gRPC, %s: got %s, want %s: %v", header, got, want, res.Header)
		}
	}
	if n := b.lives[0].Requests.Load(); n != 3 {
		t.Errorf("the instance got %d requests", n)
	}
	if a, r := b.counts.Results(forwardauth.Admitted), b.counts.Results(forwardauth.Refused); a != 3 || r != 6 {
		t.Errorf("%d admitted, %d refused", a, r)
	}
	eventually(t, "the log says why", func() bool {
		text := b.log.String()
		return strings.Count(text, `"attempts":0,"auth_ms":`) == 6 && strings.Count(text, `"why":"auth-refused"`) == 6
	})
}

// A service that fails costs no instance and, if the route says so, no request.
func TestAnAuthenticationServiceFails(t *testing.T) {
	for name, row := range map[string]struct {
		service http.HandlerFunc
		status  int
		text    string
		result  forwardauth.Result
	}{
		"5xx": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502); _, _ = io.WriteString(w, "sorry") }, 502, "sorry", forwardauth.Failed},
		"huge": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(403)
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
		}, 503, "503 auth-unavailable: ", forwardauth.Failed},
		"silent": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 503, "did not answer in time", forwardauth.TimedOut},
		"broken": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 503, "503 auth-unavailable: ", forwardauth.Failed},
	} {
		for _, open := range []bool{false, true} {
			b := askFirst(t, row.service, func(s *forwardauth.Settings) {
				s.Open = open
				if row.result == forwardauth.TimedOut {
					s.Timeout = 20 * time.Millisecond
				}
			})
			for protocol, start := range b.clientsOf("/") {
				client, url := start()
				res, body := do(t, client, "POST", url, "X-User: root")
				switch {
				case open && (res.StatusCode != 200 || body != "body" || strings.Contains(res.Header.Get("X-Seen"), "root")):
					t.Errorf("%s, %s, open: got %d %v %s", name, protocol, res.StatusCode, res.Header, body)
				case !open && (res.StatusCode != row.status || !strings.Contains(body, row.text)):
					t.Errorf("%s, %s: got %d %s", name, protocol, res.StatusCode, body)
				}
			}
			client, url := b.h2Client("/")
			if res, _ := do(t, client, "POST", url, "Content-Type: application/grpc", "TE: trailers"); !open && res.Header.Get("Grpc-Status") != "14" {
				t.Errorf("%s, gRPC: got %v", name, res.Header)
			}
			if n := b.counts.Results(row.result); n != 3 {
				t.Errorf("%s, open %t: %d are counted", name, open, n)
			}
			if n := b.lives[0].Errors.Load(); n != 0 {
				t.Errorf("%s: the instance is charged for %d errors", name, n)
			}
		}
	}
}

// A client that leaves ends the question, and so does the end of the proxy.
func TestAClientLeavesDuringTheQuestion(t *testing.T) {
	ended := make(chan struct{}, 10)
	b := askFirst(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); ended <- struct{}{} }, nil)
	for protocol, open := range b.clientsOf("/") {
		client, url := open()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
		if res, err := client.Do(req); err == nil {
			t.Errorf("%s: got %d", protocol, res.StatusCode)
		}
		cancel()
		<-ended
	}
	eventually(t, "the requests end", func() bool { return strings.Count(b.log.String(), `"why":"client-gone"`) == 2 })
	if n := b.counts.Results(forwardauth.Left); n != 2 || b.counts.Waiting() != 0 {
		t.Errorf("%d are counted, %d wait", n, b.counts.Waiting())
	}
}

// What a HEAD request and a 304 get has no body.
func TestAnswersWithoutABody(t *testing.T) {
	b := askFirst(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "same" {
			w.WriteHeader(304)
			return
		}
		w.WriteHeader(401)
		_, _ = io.WriteString(w, "log in")
	}, nil)
	for protocol, open := range b.clientsOf("/") {
		client, url := open()
		for range 2 { // on one connection: the first answer ended where the client thinks
			for header, want := range map[string]int{"same": 304, "": 401} {
				req, _ := http.NewRequest("HEAD", url, nil)
				req.Header.Set("Authorization", header)
				res, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if body := readAll(t, res.Body); res.StatusCode != want || body != "" {
					t.Errorf("%s: got %d %q", protocol, res.StatusCode, body)
				}
			}
		}
	}
}
