package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/kafka"
)

// slow is messages whose every reading lasts until its caller leaves.
type slow struct {
	messages
	began, ended chan string
}

func (s slow) wait(ctx context.Context, what string) error {
	s.began <- what
	<-ctx.Done()
	s.ended <- what
	return context.Cause(ctx)
}

func (s slow) Search(ctx context.Context, _ browse.Query, out browse.Found) (browse.End, error) {
	_ = out.Progress(browse.Progress{})
	return browse.End{}, s.wait(ctx, "search")
}

func (s slow) Export(ctx context.Context, _ browse.Query, _ func(kafka.Record) error) (browse.End, error) {
	return browse.End{}, s.wait(ctx, "export")
}

func (s slow) Picked(ctx context.Context, _ string, _ browse.Picks, _ func(kafka.Record) error) error {
	return s.wait(ctx, "picked")
}

func (s slow) Raw(ctx context.Context, _ string, _ int32, _ int64, _ bool) ([]byte, error) {
	return nil, s.wait(ctx, "raw")
}

func (s slow) Live(ctx context.Context, _ browse.Query, _ int, _ func(browse.Live) error, _ func(error) error) error {
	return s.wait(ctx, "live")
}

func (s slow) Redrive(ctx context.Context, _ browse.RedriveSpec) (browse.Redrive, error) {
	return browse.Redrive{}, s.wait(ctx, "redrive")
}

// shared is an API with users a to f, a token, and slow messages.
func shared(t *testing.T) (*httptest.Server, slow) {
	t.Helper()
	cfg := access.Config{Token: "a token of nodes"}
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		hash, err := bcrypt.GenerateFromPassword([]byte("password-"+name), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Users = append(cfg.Users, access.User{Name: name, Hash: string(hash), Role: access.Viewer})
	}
	gate, err := access.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := slow{began: make(chan string, 1000), ended: make(chan string, 1000)}
	src := full()
	src.Gate, src.Messages = gate, m
	server := httptest.NewServer(api.Guard(api.New(src, quiet)))
	t.Cleanup(server.Close)
	return server, m
}

// begin sends a request in a user's name, and gives how it was answered before
// its end; with a status of 0 it is under way.
func begin(t *testing.T, server *httptest.Server, m slow, user, method, path, body string) (status int, retry string, leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, method, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.SetBasicAuth(user, "password-"+user)
	if user == "token" {
		req.Header.Set("Authorization", "Bearer a token of nodes")
	}
	answer := make(chan *http.Response, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			answer <- resp
		}
	}()
	select {
	case <-m.began:
		return 0, "", cancel
	case resp := <-answer:
		select { // a stream is answered before it is under way
		case <-m.began:
			return 0, "", func() { cancel(); resp.Body.Close() }
		case <-time.After(map[bool]time.Duration{true: 0, false: time.Minute}[resp.StatusCode != http.StatusOK]):
		}
		defer cancel()
		defer resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Retry-After"), func() {}
	case <-time.After(2 * time.Minute):
		t.Fatalf("%s %s of %s is neither answered nor under way", method, path, user)
		return 0, "", nil
	}
}

// Four searches of one user kept everybody from searching.
func TestOneUserLeavesSearchesAndStreamsToOthers(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	for _, c := range []struct {
		kind  string
		paths []string
	}{
		{"searches", []string{"GET /topics/t/search", "GET /topics/t/export", "GET /topics/t/export?pick=0:1", "POST /topics/t.dlq/redrive?dryRun=true"}},
		{"live streams", []string{"GET /topics/t/events"}},
		{"downloads", []string{"GET /topics/t/partitions/0/offsets/1/raw"}},
	} {
		t.Run(c.kind, func(t *testing.T) {
			server, m := shared(t)
			n := 0
			take := func(user string) (status int, retry string, leave func()) {
				method, path, _ := strings.Cut(c.paths[n%len(c.paths)], " ")
				n++
				body := ""
				if method == "POST" {
					body = "{}"
				}
				return begin(t, server, m, user, method, "/api/v1"+path, body)
			}
			var all []func()
			greedy := 0
			for {
				status, retry, leave := take("a")
				if status != 0 {
					if status != 429 || retry == "" {
						t.Errorf("beyond its share: %d, Retry-After %q", status, retry)
					}
					break
				}
				all = append(all, leave)
				if greedy++; greedy > 100 {
					t.Fatal("there is no bound")
				}
			}
			for _, user := range []string{"b", "c"} {
				status, _, leave := take(user)
				if status != 0 {
					t.Errorf("%s after %d of a: %d", user, greedy, status)
				}
				all = append(all, leave)
			}
			taken := len(all)
			for full := false; !full; { // nodes may take all that is left
				status, retry, leave := take("token")
				if full = status != 0; full {
					if status != 503 || retry == "" {
						t.Errorf("when all are in use: %d, Retry-After %q", status, retry)
					}
					break
				}
				all = append(all, leave)
			}
			if status, _, _ := take("f"); status != 503 {
				t.Errorf("when all are in use: %d", status)
			}
			for _, leave := range all { // who leaves ends what they began, and others may
				leave()
			}
			for range all {
				select {
				case <-m.ended:
				case <-time.After(2 * time.Minute):
					t.Fatal("it goes on after its client left")
				}
			}
			for try := 0; ; try++ {
				status, _, leave := take("f")
				if leave(); status == 0 {
					break
				}
				if try > 1000 {
					t.Fatalf("afterwards: %d", status)
				}
			}
			t.Logf("one user %d, all %d, %d before nodes", greedy, len(all), taken)
		})
	}
}

func TestStreamsOfOneUserAreBounded(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	server, _ := shared(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	open := func(user string) *http.Response {
		req, _ := http.NewRequestWithContext(ctx, "GET", server.URL+"/api/v1/overview/events", nil)
		req.SetBasicAuth(user, "password-"+user)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	n := 0
	for ; ; n++ {
		resp := open("a")
		defer resp.Body.Close()
		if resp.StatusCode == 429 && resp.Header.Get("Retry-After") != "" {
			break
		}
		if resp.StatusCode != 200 || n > 1000 {
			t.Fatalf("stream %d: %d", n, resp.StatusCode)
		}
	}
	resp := open("b")
	defer resp.Body.Close()
	if resp.StatusCode != 200 || n < 20 {
		t.Errorf("after %d streams of another user: %d", n, resp.StatusCode)
	}
}

// Where nobody logs in, an address is a party; the limits are of the process.
func TestLimitsAreSharedByListenersAndCountAddresses(t *testing.T) {
	m := slow{began: make(chan string, 1000), ended: make(chan string, 1000)}
	src := full()
	src.Messages, src.Limits = m, api.NewLimits()
	first, second := api.New(src, quiet), api.New(src, quiet)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ask := func(h http.Handler, address string) (int, string) {
		r := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/topics/t/search", nil)
		r.RemoteAddr = address + ":1"
		w := httptest.NewRecorder()
		done := make(chan struct{})
		go func() { defer close(done); h.ServeHTTP(w, r) }()
		select {
		case <-m.began:
			return 0, ""
		case <-done:
			return w.Code, w.Body.String()
		}
	}
	for i := range 4 {
		if status, body := ask([]http.Handler{first, second}[i%2], "203.0.113.9"); status != 0 {
			t.Fatalf("search %d: %d %s", i, status, body)
		}
	}
	if status, body := ask(second, "203.0.113.9"); status != 429 || !strings.Contains(body, "the limit of searches") {
		t.Errorf("a fifth search: %d %s", status, body)
	}
	if status, body := ask(first, "198.51.100.7"); status != 0 {
		t.Errorf("another address: %d %s", status, body)
	}
	for name, q := range src.Limits.Quotas() {
		if n, refused := q.Stats(); name == "searches" && (n != 5 || refused.Share != 1) || name != "searches" && n != 0 {
			t.Errorf("%s: %d in use, %s", name, n, fmt.Sprint(refused))
		}
	}
	cancel()
	for range 5 {
		<-m.ended
	}
}
