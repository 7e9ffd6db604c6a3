package routing_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/cli/routing"
	"github.com/smartlb/smartlb/internal/console/api"
)

// A drain of two seconds ended before a request of six did. `drain --wait` went
// on asking until its timeout of five minutes, and said then that the instance
// stayed drained; with `&& systemctl restart` it matters what it says.
func TestDrainWaitTellsADrainThatEnds(t *testing.T) {
	type answer struct {
		state    string
		inFlight int64
	}
	for _, c := range []struct {
		name    string
		answers []answer // the last one is repeated
		words   string   // on stderr
		code    int
	}{
		{"requests end", []answer{{"in", 1}, {"draining", 1}, {"draining", 0}}, "", 0},
		{"the drain ends first", []answer{{"draining", 2}, {"in", 2}}, "i1: the drain ended with 2 requests in flight, and the instance takes requests again", 1},
		{"both end between two questions", []answer{{"draining", 1}, {"in", 0}}, "the drain ended with 0 requests in flight", 1},
		{"requests do not end", []answer{{"draining", 1}}, "i1 still has 1 request in flight after 1s; it stays drained", 1},
		{"another override came", []answer{{"in", 1}}, "i1 is not drained on the node of --admin after 1s, 1 request in flight", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if r.Method == http.MethodPost {
					_ = json.NewEncoder(w).Encode(api.Overridden{Result: "drain s/i1", Published: true})
					return
				}
				a := c.answers[min(int(asked.Add(1)), len(c.answers))-1]
				_ = json.NewEncoder(w).Encode(api.Explanation{Service: "s", Instance: "i1", Detail: api.Instance{State: a.state, InFlight: a.inFlight}})
			}))
			defer node.Close()
			var out, words bytes.Buffer
			env := &cli.Env{In: strings.NewReader(""), Out: &out, Err: &words, Getenv: func(string) string { return "" }}
			timeout := "1s"
			if c.code == 0 || len(c.answers) > 1 {
				timeout = "2m"
			}
			code := cli.Execute(t.Context(), env, []string{"drain", "s/i1", "--wait", "--timeout", timeout, "--admin", node.Listener.Addr().String()}, routing.Commands)
			if code != c.code || !strings.Contains(words.String(), c.words) {
				t.Errorf("exit code %d, want %d; %q on stderr, want %q; stdout %q", code, c.code, words.String(), c.words, out.String())
			}
		})
	}
}
