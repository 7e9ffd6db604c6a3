package discovery

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/test/consultest"
)

func newCatalog(t *testing.T) (*consultest.Catalog, *registry) {
	c, r := consultest.New(), newRegistry(t)
	r.say(c.ServeHTTP)
	return c, r
}

func consulAnswer(node, id, address string, port int) string {
	return consultest.Entry(node, "pay ments", id, address, port)
}

func consulService(address string) config.Service {
	return service(config.Discovery{Consul: &config.ConsulDiscovery{Address: address, Service: "pay ments", Tags: []string{"v2", "eu"}, Datacenter: "dc1", Wait: time.Minute, Timeout: 10 * time.Second}})
}

func TestConsulIsFollowed(t *testing.T) {
	c, r := newCatalog(t)
	c.Put(7, "["+consulAnswer("n1", "pay", "10.0.0.1", 80)+","+consulAnswer("n2", "pay", "", 80)+"]")
	n := start(t, Config{Node: config.DiscoveryNode{Logins: []config.DiscoveryLogin{{Server: r.URL, Headers: map[string]secret.Ref{"X-Consul-Token": "${env:PATH}"}}}}}, consulService(r.URL+"/"))
	n.await(t, "s", "10.0.0.1:80 10.0.9.9:80")
	eventually(t, "a query that waits", func() bool { return len(c.Queries()) == 2 })
	c.Put(8, "["+consulAnswer("n2", "pay", "", 80)+","+consulAnswer("n3", "pay", "10.0.0.3", 81)+"]")
	n.await(t, "s", "10.0.9.9:80 10.0.0.3:81")                  // by id
	c.Put(3, "["+consulAnswer("n4", "pay", "10.0.0.4", 80)+"]") // restored from a backup
	eventually(t, "the index of the restored catalog", func() bool { return strings.Contains(n.addresses("s"), "10.0.0.4:80") })
	queries := c.Queries()
	if queries[0].Query != "dc=dc1&passing=1&tag=v2&tag=eu" || queries[1].Query != "dc=dc1&index=7&passing=1&tag=v2&tag=eu&wait=60000ms" {
		t.Errorf("queries %q", queries[:2])
	}
	for _, q := range queries {
		if strings.Contains(q.Query, "index=0") || q.Path != "/v1/health/service/pay ments" || q.Token == "" || q.Token != queries[0].Token {
			t.Errorf("query %+v", q)
		}
	}
}

func TestEntriesOfConsul(t *testing.T) {
	got, err := parseConsul([]byte("["+consulAnswer("node/1", "_nomad-7", "", 8080)+"]"), 1)
	if want := "[{node-1:_nomad-7 10.0.9.9:8080 10 map[datacenter:dc1 zone:b] false  false  false}]"; err != nil || fmt.Sprint(got) != want {
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
	c.Put(7, "["+consulAnswer("n1", "pay", "10.0.0.1", 80)+"]")
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
		r.say(c.ServeHTTP)
		eventually(t, "a good answer", func() bool { return n.Views()[0].Sources[0].Error == "" })
		r.say(row.say)
		n.awaitError(t, row.want)
		if got := n.addresses("s"); got != "10.0.0.1:80" {
			t.Errorf("%s leaves %q", row.want, got)
		}
	}
}
