package apiclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/console/problem"
)

// node serves h and returns a client for it.
func node(t *testing.T, timeout time.Duration, h http.HandlerFunc) (*Client, Node) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c := New(Config{Timeout: timeout})
	t.Cleanup(c.CloseIdleConnections)
	return c, Node{URL: server.URL, Token: "secret"}
}

// endless writes until the client goes.
func endless(w http.ResponseWriter, r *http.Request) {
	chunk := []byte(strings.Repeat("x", 1<<20))
	for r.Context().Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func TestCallsCarryTokenAndBody(t *testing.T) {
	c, n := node(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		body := make([]byte, 100)
		read, _ := r.Body.Read(body)
		fmt.Fprintf(w, `{"said": %q}`, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization")+" "+r.Header.Get("Content-Type")+" "+string(body[:read]))
	})
	for _, row := range []struct {
		token, method string
		body          any
		want          string
	}{
		{"secret", "POST", map[string]int{"a": 1}, `POST /x?y=1 Bearer secret application/json {"a":1}`},
		{"", "GET", nil, `GET /x?y=1   `},
	} {
		var answer struct{ Said string }
		n.Token = row.token
		if err := c.Do(t.Context(), n, row.method, "/x?y=1", row.body, &answer); err != nil || answer.Said != row.want {
			t.Errorf("%q, want %q; %v", answer.Said, row.want, err)
		}
	}
}

// Whatever a node or a program in front of it sends, the error has a code and says what came.
func TestAnswersThatAreNotOfTheAPI(t *testing.T) {
	type answer = http.HandlerFunc
	send := func(status int, mediaType, body string) answer {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	const js = "application/json"
	for _, row := range []struct {
		name    string
		answer  answer
		timeout time.Duration
		code    problem.Code
		text    string // part of the error
		hint    string
	}{
		{"a problem", send(409, js, `{"error":"revision 3 came first","code":"conflict","hint":"look"}`), time.Minute, problem.Conflict, "revision 3 came first", "look"},
		{"a code of a newer node", send(409, js, `{"error":"no","code":"brand-new"}`), time.Minute, "brand-new", "no", ""},
		{"a problem of an older node, without a code", send(404, js, `{"error":"no instance z"}`), time.Minute, problem.NotFound, "no instance z", ""},
		{"an error page", send(502, "text/html", "<html>"), time.Minute, problem.Unavailable, "answered 502 without a problem in JSON", "check that this is the admin address of a node"},
		{"JSON that is no problem", send(500, js, `{"message":"no"}`), time.Minute, problem.Unavailable, "answered 500 without a problem in JSON", "check that this is the admin address of a node"},
		{"an endless problem", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", js)
			w.WriteHeader(500)
			fmt.Fprint(w, `{"error":"`)
			endless(w, r)
		}, time.Minute, problem.Unavailable, "answered 500 without a problem in JSON", "check that this is the admin address of a node"},
		{"a page", send(200, "text/html", "<html>"), time.Minute, problem.Unavailable, `answered 200 with "text/html", not with application/json`, "check that this is the admin address of a node"},
		{"half an answer", send(200, js, `{"node":`), time.Minute, problem.Unavailable, "unexpected EOF", ""},
		{"no JSON", send(200, js, `hello`), time.Minute, problem.Unavailable, "invalid character", ""},
		{"an answer without end", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", js)
			fmt.Fprint(w, `{"node":"`)
			endless(w, r)
		}, time.Minute, problem.Unavailable, "more than 64 MiB", ""},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 50 * time.Millisecond, problem.Timeout, "did not answer in time", ""},
		{"an answer that stops", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", js)
			fmt.Fprint(w, `{"node":`)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, 200 * time.Millisecond, problem.Timeout, "did not answer in time", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, n := node(t, row.timeout, row.answer)
			err := c.Do(t.Context(), n, http.MethodGet, "/api/v1/node", nil, &struct{ Node string }{})
			var p *problem.Error
			if !errors.As(err, &p) || p.Code != row.code || p.Hint != row.hint || !strings.Contains(p.Error(), row.text) {
				t.Errorf("%+v, want %s with %q and the hint %q", err, row.code, row.text, row.hint)
			}
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	followed := false
	c, n := node(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		followed = followed || r.URL.Path == "/other"
		http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
	})
	err := c.Do(t.Context(), n, http.MethodGet, "/", nil, &struct{}{})
	if problem.CodeOf(err) != problem.Unavailable || !strings.Contains(err.Error(), `answered 307 and redirects to "/other"`) || followed {
		t.Errorf("%v, followed %v", err, followed)
	}
}

func TestANodeThatIsDownIsUnavailable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c := New(Config{Timeout: time.Minute})
	err := c.Do(t.Context(), Node{URL: server.URL}, http.MethodGet, "/", nil, &struct{}{})
	if problem.CodeOf(err) != problem.Unavailable || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Do(ctx, Node{URL: server.URL}, http.MethodGet, "/", nil, &struct{}{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Lines that end where the reader's buffer does, and events in pieces, come out
// whole and one by one.
func TestEventsArePassedOnWhole(t *testing.T) {
	var want []string
	for _, n := range []int{1, 10, 64<<10 - 7, 64<<10 - 6, 64<<10 - 5, 128<<10 - 6, 300_000} {
		want = append(want, "event: e\ndata: "+strings.Repeat("x", n)+"\n\n")
	}
	c, n := node(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("headers %v", r.Header)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		all := strings.Join(want, "")
		for len(all) > 0 {
			n := min(len(all), 10_007)
			fmt.Fprint(w, all[:n])
			all = all[n:]
			w.(http.Flusher).Flush()
		}
	})
	var got []string
	begun, err := c.Events(t.Context(), n, "/", func(e []byte) error { got = append(got, string(e)); return nil })
	if !begun || err != nil || len(got) != len(want) {
		t.Fatalf("%d events, begun %v, %v", len(got), begun, err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("event %d: %d bytes, want %d", i, len(got[i]), len(want[i]))
		}
	}
	gone := errors.New("the page is gone")
	if begun, err := c.Events(t.Context(), n, "/", func([]byte) error { return gone }); !begun || err != gone {
		t.Errorf("%v %v", begun, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if begun, err := c.Events(ctx, n, "/", func([]byte) error { return nil }); begun || err == nil {
		t.Errorf("ended: %v %v", begun, err)
	}
}

func TestAnEventIsBounded(t *testing.T) {
	c, n := node(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: ")
		endless(w, r)
	})
	begun, err := c.Events(t.Context(), n, "/", func([]byte) error { return nil })
	if begun || problem.CodeOf(err) != problem.Unavailable || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("%v %v", begun, err)
	}
}

func TestAStreamThatIsNoneIsRefused(t *testing.T) {
	c, n := node(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "{}")
	})
	begun, err := c.Events(t.Context(), n, "/", func([]byte) error { return nil })
	if begun || problem.CodeOf(err) != problem.Unavailable || !strings.Contains(err.Error(), "not with text/event-stream") {
		t.Errorf("%v %v", begun, err)
	}
}
