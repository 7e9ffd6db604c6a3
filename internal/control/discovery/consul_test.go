package discovery

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/control/config"
)

// catalog answers as the health endpoint of Consul is documented to: at once without an index or with an old one, otherwise
// when the answer changes or the wait has passed.
type catalog struct {
	t       *testing.T
	mu      sync.Mutex
	index   uint64
	body    string
	changed chan struct{}
	queries []string
	tokens  map[string]bool
}

func newCatalog(t *testing.T) (*catalog, *registry) {
	c := &catalog{t: t, index: 7, body: "[]", changed: make(chan struct{}), tokens: map[string]bool{}}
	r := newRegistry(t)
	r.say(c.serve)
	return c, r
}

func (c *catalog) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/health/service/pay ments" {
		c.t.Errorf("path %s", r.URL.Path)
	}
	q := r.URL.Query()
	wait, _ := time.ParseDuration(q.Get("wait"))
	c.mu.Lock()
	c.queries = append(c.queries, r.URL.RawQuery)
	c.tokens[r.Header.Get("X-Consul-Token")] = true
	changed, current := c.changed, q.Get("index") == strconv.FormatUint(c.index, 10)
	c.mu.Unlock()
	if current {
		select {
		case <-changed:
		case <-time.After(wait):
		case <-r.Context().Done():
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("X-Consul-Index", strconv.FormatUint(c.index, 10))
	_, _ = io.WriteString(w, c.body)
}

// put replaces the answer.
func (c *catalog) put(index uint64, body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index, c.body = index, body
	close(c.changed)
	c.changed = make(chan struct{})
}

func consulAnswer(node, id, address string, port int) string {
	return fmt.Sprintf(`{"Node": {"ID": "x", "Node": %q, "Address": "10.0.9.9", "Datacenter": "dc1", "Meta": {"consul-network-segment": "", "zone": "a"}},
		"Service": {"ID": %q, "Service": "pay ments", "Tags": ["v2"], "Address": %q, "Port": %d, "Meta": {"zone": "b"}, "Weights": {"Passing": 10, "Warning": 1}}, "Checks": [{"Status": "passing"}]}`, node, id, address, port)
}

func consulService(address string) config.Service {
	return service(config.Discovery{Consul: &config.ConsulDiscovery{Address: address, Service: "pay ments", Tags: []string{"v2", "eu"}, Datacenter: "dc1", Wait: time.Minute, Timeout: 10 * time.Second}})
}

func TestConsulIsFollowed(t *testing.T) {
	c, r := newCatalog(t)
	c.put(7, "["+consulAnswer("n1", "pay", "10.0.0.1", 80)+","+consulAnswer("n2", "pay", "", 80)+"]")
	n := start(t, Config{Node: config.DiscoveryNode{Logins: []config.DiscoveryLogin{{Server: r.URL, Headers: map[string]secret.Ref{"X-Consul-Token": "${env:PATH}"}}}}}, consulService(r.URL+"/"))
	n.await(t, "s", "10.0.0.1:80 10.0.9.9:80")
	eventually(t, "a query that waits", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.queries) == 2 })
	c.put(8, "["+consulAnswer("n2", "pay", "", 80)+","+consulAnswer("n3", "pay", "10.0.0.3", 81)+"]")
	n.await(t, "s", "10.0.9.9:80 10.0.0.3:81")                  // by id
	c.put(3, "["+consulAnswer("n4", "pay", "10.0.0.4", 80)+"]") // restored from a backup
	eventually(t, "the index of the restored catalog", func() bool { return strings.Contains(n.addresses("s"), "10.0.0.4:80") })
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := c.queries[:2]; got[0] != "dc=dc1&passing=1&tag=v2&tag=eu" || got[1] != "dc=dc1&index=7&passing=1&tag=v2&tag=eu&wait=60000ms" {
		t.Errorf("queries %q", got)
	}
	if len(c.tokens) != 1 || c.tokens[""] {
		t.Errorf("tokens %v", c.tokens)
	}
	for _, q := range c.queries {
		if strings.Contains(q, "index=0") {
			t.Errorf("query %s does not wait", q)
		}
	}
}

func TestEntriesOfConsul(t *testing.T) {
	got, err := parseConsul([]byte("["+consulAnswer("node/1", "_nomad-7", "", 8080)+"]"), 1)
	if want := "[{node-1:_nomad-7 10.0.9.9:8080 10 map[datacenter:dc1 zone:b] false  false }]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("got %v, %v, want %s", got, err, want)
	}
	for src, want := range map[string]string{
		"null": "got null", "{}": "cannot unmarshal object", "[": "unexpected end", "": "unexpected end",
		"[" + consulAnswer("n", "a", "", 0) + "]":                                         `entry 1 (service id "a" on node "n"): address`,
		"[" + consulAnswer("n", "a", "", 80) + "," + consulAnswer("n", "b", "", 80) + "]": "2 instances are more than maxInstances, which is 1",
		"[" + consulAnswer("", "", "", 80) + "]":                                          "id",
	} {
		if _, err := parseConsul([]byte(src), 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", src, err, want)
		}
	}
}

// TestAConsulThatFailsLeavesTheInstances: without a leader, with a token that expired, with a catalog that is empty.
func TestAConsulThatFailsLeavesTheInstances(t *testing.T) {
	c, r := newCatalog(t)
	c.put(7, "["+consulAnswer("n1", "pay", "10.0.0.1", 80)+"]")
	s := consulService(r.URL)
	s.Discovery.Consul.Wait = 20 * time.Millisecond
	n := start(t, Config{}, s)
	n.await(t, "s", "10.0.0.1:80")
	code := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for _, row := range []struct {
		want string
		say  http.HandlerFunc
	}{
		{"answers 500", code(500)},
		{"answers 403: are the headers in discovery.logins right?", code(403)},
		{"the list is empty", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]") }},
		{"got null", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "null") }},
	} {
		r.say(c.serve)
		eventually(t, "a good answer", func() bool { return n.Views()[0].Sources[0].Error == "" })
		r.say(row.say)
		n.awaitError(t, row.want)
		if got := n.addresses("s"); got != "10.0.0.1:80" {
			t.Errorf("%s leaves %q", row.want, got)
		}
	}
}
