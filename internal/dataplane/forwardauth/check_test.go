package forwardauth

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

const longest = time.Minute // of questions whose end does not depend on time

// service is an authentication service, and a check that asks it.
type service struct {
	*httptest.Server
	check *Check
	log   *lockedBuffer
	conns atomic.Int64
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func serve(t *testing.T, answer http.HandlerFunc, edit func(*Settings)) *service {
	t.Helper()
	s := &service{log: &lockedBuffer{}}
	s.Server = httptest.NewUnstartedServer(answer)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	s.Start()
	client := NewClient(slog.New(slog.NewTextHandler(s.log, nil)))
	t.Cleanup(func() { client.Close(); s.Server.CloseClientConnections(); s.Close() })
	settings := Settings{Route: "r", URL: s.URL + "/verify?a=b", Timeout: time.Second, Client: client, Counts: new(Counts)}
	if edit != nil {
		edit(&settings)
	}
	s.check = New(settings)
	return s
}

func TestTheServiceGetsFieldsAndNoBody(t *testing.T) {
	var got *http.Request
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header()["Remote-Groups"] = []string{"a,b", "c"}
		w.Header().Set("Remote-User", "ann")
		_, _ = io.WriteString(w, "ignored")
	}, func(s *Settings) {
		s.Pass, s.Take = []string{"x-api-key"}, []string{"remote-user", "Remote-Groups", "Absent"}
	})
	fields := http.Header{"X-Forwarded-Uri": {"/a?b"}}
	for _, f := range [][2]string{{"AUTHORIZATION", "Bearer t"}, {"cookie", "a=1"}, {"Cookie", "b=2"}, {"X-Api-Key", "k"}, {"x-api-key", "l"}, {"X-Other", "o"}} {
		s.check.Add(fields, []byte(f[0]), []byte(f[1]))
	}
	a, r := s.check.Ask(t.Context(), fields, longest)
	if r != Admitted || a.Status != 200 || !slices.Equal(a.Values, []string{"ann", "a,b,c", ""}) || a.Header != nil || a.Body != nil {
		t.Fatalf("%+v %s", a, r)
	}
	h := got.Header
	if got.Method != "GET" || got.URL.String() != "/verify?a=b" || got.ContentLength != 0 || h.Get("Authorization") != "Bearer t" || h.Get("Cookie") != "a=1; b=2" ||
		!slices.Equal(h["X-Api-Key"], []string{"k", "l"}) || h.Get("X-Other") != "" || h.Get("X-Forwarded-Uri") != "/a?b" {
		t.Errorf("%+v", got)
	}
}

// Only listed fields of an answer that admits are for the client, and a client never gets those of a failed question.
func TestTheClientGetsListedFields(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Set-Cookie"], h["X-Level"], h["X-Other"] = []string{"a=1", "b=2"}, []string{"3"}, []string{"o"}
		if r.Header.Get("Cookie") == "none" {
			delete(h, "Set-Cookie")
			delete(h, "X-Level")
		}
	}, func(s *Settings) { s.Give = []string{"set-cookie", "x-level", "Absent"} })
	a, r := s.check.Ask(t.Context(), http.Header{}, longest)
	if r != Admitted || len(a.Header) != 2 || !slices.Equal(a.Header["Set-Cookie"], []string{"a=1", "b=2"}) || a.Header.Get("X-Level") != "3" {
		t.Errorf("%+v %s", a, r)
	}
	if a, r := s.check.Ask(t.Context(), http.Header{"Cookie": {"none"}}, longest); r != Admitted || a.Header != nil {
		t.Errorf("%+v %s", a, r)
	}
}

// A service with a certificate of another authority than those in the file is no service.
func TestAuthoritiesAreThoseOfTheFile(t *testing.T) {
	ours, theirs := certtest.New(t, "ours"), certtest.New(t, "theirs")
	service := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	service.TLS = &tls.Config{Certificates: []tls.Certificate{ours.Issue(certtest.Options{}, "127.0.0.1")}}
	service.Config.ErrorLog = log.New(io.Discard, "", 0)
	service.StartTLS()
	client := NewClient(slog.New(slog.DiscardHandler))
	t.Cleanup(func() { client.Close(); service.CloseClientConnections(); service.Close() })
	file := filepath.Join(t.TempDir(), "ca.pem")
	trusting := func(pem []byte) *Client {
		t.Helper()
		if err := os.WriteFile(file, pem, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := client.Trusting(file)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ask := func(c *Client) Result {
		_, r := New(Settings{URL: service.URL, Timeout: longest, Client: c, Counts: new(Counts)}).Ask(t.Context(), http.Header{}, longest)
		return r
	}
	right := trusting(ours.PEM())
	if got := ask(right); got != Admitted {
		t.Errorf("the right authority: %s", got)
	}
	if trusting(ours.PEM()) != right {
		t.Error("a reload without a change ends the connections")
	}
	if got := ask(trusting(theirs.PEM())); got != Failed {
		t.Errorf("another authority: %s", got)
	}
	if got := ask(client); got != Failed {
		t.Errorf("the authorities of the system: %s", got)
	}
	if err := os.WriteFile(file, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Trusting(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
	delete(client.private, file)
	for i := range maxPrivate {
		client.private[fmt.Sprint(i)] = private{client: right}
	}
	if trusting(ours.PEM()); len(client.private) != 1 {
		t.Errorf("%d clients are kept", len(client.private))
	}
}

func TestAnswersDecide(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/login")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	hijack := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(c, text)
				_ = c.Close()
			}
		}
	}
	large := strings.Repeat("x", maxBody)
	for name, row := range map[string]struct {
		answer http.HandlerFunc
		want   Result
		status int // of an answer that the client could get; 0: none
	}{
		"204":                       {answer(204, ""), Admitted, 204},
		"299":                       {answer(299, ""), Admitted, 299},
		"200 with a large body":     {answer(200, large+large), Admitted, 200},
		"a redirect":                {answer(302, ""), Refused, 302},
		"304":                       {answer(304, ""), Refused, 304},
		"401":                       {answer(401, "log in"), Refused, 401},
		"403 with the largest body": {answer(403, large), Refused, 403},
		"a body that is too large":  {answer(403, large+"x"), Failed, 0},
		"500":                       {answer(500, "sorry"), Failed, 500},
		"status 600":                {hijack("HTTP/1.1 600 x\r\nContent-Length: 0\r\n\r\n"), Failed, 0},
		"101":                       {hijack("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), Failed, 0},
		"no HTTP":                   {hijack("hello\r\n\r\n"), Failed, 0},
		"nothing":                   {hijack(""), Failed, 0},
		"half a body":               {hijack("HTTP/1.1 403 x\r\nContent-Length: 10\r\n\r\nabc"), Failed, 0},
		"a head that is too large":  {hijack("HTTP/1.1 403 x\r\nX: " + strings.Repeat("x", 2*maxHead) + "\r\nContent-Length: 0\r\n\r\n"), Failed, 0},
		"two lengths":               {hijack("HTTP/1.1 403 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), Failed, 0},
	} {
		s := serve(t, row.answer, nil)
		a, got := s.check.Ask(t.Context(), http.Header{}, longest)
		status := 0
		if a != nil {
			status = a.Status
		}
		if got != row.want || status != row.status || s.check.Counts.Results(got) != 1 {
			t.Errorf("%s: got %s, status %d", name, got, status)
		}
		if got == Refused && a.Header.Get("Location") != "/login" {
			t.Errorf("%s: %+v", name, a)
		}
		if failed := strings.Contains(s.log.String(), "authentication service failed"); failed != (got == Failed) {
			t.Errorf("%s: log %q", name, s.log)
		}
	}
}

// A service that is down, silent or slow costs the time limit at most.
func TestQuestionsHaveAnEnd(t *testing.T) {
	wait := func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	slow := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status); wait(w, r) }
	}
	for name, row := range map[string]struct {
		answer http.HandlerFunc
		want   Result
	}{"no head": {silent, TimedOut}, "no body of a 403": {slow(403), TimedOut}, "no body of a 200": {slow(200), Admitted}} {
		s := serve(t, row.answer, func(s *Settings) { s.Timeout = 50 * time.Millisecond })
		if _, got := s.check.Ask(t.Context(), http.Header{}, s.check.Timeout); got != row.want {
			t.Errorf("%s: got %s", name, got)
		}
	}
	s := serve(t, silent, nil)
	s.Close()
	if _, got := s.check.Ask(t.Context(), http.Header{}, longest); got != Failed {
		t.Errorf("down: got %s", got)
	}
	s = serve(t, silent, nil)
	if _, got := s.check.Ask(t.Context(), http.Header{}, 50*time.Millisecond); got != Left || s.log.String() != "" {
		t.Errorf("the client has less time than the service: got %s, log %q", got, s.log)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, got := s.check.Ask(ctx, http.Header{}, longest); got != Left || s.check.Counts.Waiting() != 0 || s.log.String() != "" {
		t.Errorf("the client left: got %s, log %q", got, s.log)
	}
}

func TestTheRequestsThatWaitAreBounded(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {}, nil)
	s.check.Counts.waiting.Store(maxWaiting)
	if a, got := s.check.Ask(t.Context(), http.Header{}, longest); a != nil || got != Busy || s.check.Counts.Waiting() != maxWaiting {
		t.Errorf("got %s, %d wait", got, s.check.Counts.Waiting())
	}
	s.check.Counts.waiting.Store(maxWaiting - 1)
	if _, got := s.check.Ask(t.Context(), http.Header{}, longest); got != Admitted {
		t.Errorf("got %s", got)
	}
}

// Answers with bodies of moderate size leave their connection usable, and many failures are one line of the log.
func TestConnectionsAreKeptAndLinesAreFew(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		status := map[string]int{"a": 200, "b": 403, "c": 500}[r.Header.Get("Cookie")]
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "some text")
	}, nil)
	for range 10 {
		for _, c := range []string{"a", "b", "c"} {
			s.check.Ask(t.Context(), http.Header{"Cookie": {c}}, longest)
		}
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	if n := strings.Count(s.log.String(), "\n"); n != 1 {
		t.Errorf("%d lines: %s", n, s.log)
	}
	if c := s.check.Counts; c.Results(Admitted) != 10 || c.Results(Refused) != 10 || c.Results(Failed) != 10 {
		t.Errorf("%+v", c)
	}
}
