package peers

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/console/apiclient"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/nodes"
)

// peersAt reaches a test server under whatever name a node has.
func peersAt(t *testing.T, server *httptest.Server, listed []string, token string) *Client {
	t.Helper()
	all := make([]config.Peer, len(listed))
	for i, text := range listed {
		if err := all[i].UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	p := New(all, token)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	p.api = apiclient.New(apiclient.Config{Timeout: answerTimeout, Proxy: http.ProxyURL(at)})
	t.Cleanup(p.api.CloseIdleConnections)
	return p
}

func nodeAt(address, key string) nodes.Node {
	return nodes.Node{NodeStatus: event.NodeStatus{Node: "n", AdminURL: address}, Key: key}
}

// A status with a foreign adminUrl made each node send it the admin token.
func TestTheTokenGoesToListedAndSignedNodesOnly(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if got = r.Header.Get("Authorization"); got == "" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"login required","code":"unauthenticated"}`)
			return
		}
		fmt.Fprint(w, "{}")
	}))
	defer server.Close()
	p := peersAt(t, server, []string{"lb-1.example.com", "lb-2.example.com:8081", "10.1.0.0/16", "[fd00::7]:8081"}, "secret")
	for _, c := range []struct {
		name, address, key string
		want               bool
	}{
		{"nobody knows it", "http://evil.example:8081", "", false},
		{"signed", "http://evil.example:8081", "k1", true},
		{"listed host", "http://lb-1.example.com:9999", "", true},
		{"listed host in capitals", "http://LB-1.example.COM:8081", "", true},
		{"listed host and port", "http://lb-2.example.com:8081", "", true},
		{"another port", "http://lb-2.example.com:8082", "", false},
		{"ends like a listed host", "http://evil-lb-1.example.com", "", false},
		{"begins like a listed host", "http://lb-1.example.com.evil.example", "", false},
		{"a listed host as user", "http://lb-1.example.com@evil.example", "", false},
		{"address of a listed network", "http://10.1.2.3:8081", "", true},
		{"mapped address of a listed network", "http://[::ffff:10.1.2.3]:8081", "", true},
		{"address beside it", "http://10.2.0.1:8081", "", false},
		{"name that may resolve into the network", "http://evil.example:8081", "", false},
		{"listed address of six", "http://[fd00::7]:8081", "", true},
		{"loopback asks for none", "http://127.0.0.1:8081", "k1", false},
		{"localhost asks for none", "http://localhost:8081", "k1", false},
		{"a path", "http://lb-1.example.com/x?y", "", false},
		{"another scheme", "ftp://lb-1.example.com", "", false},
	} {
		got = ""
		var answer struct{}
		err := p.Ask(t.Context(), http.MethodGet, nodeAt(c.address, c.key), "/", nil, &answer)
		if sent := got == "Bearer secret"; sent != c.want {
			t.Errorf("%s: %s: sent %q, %v", c.name, c.address, got, err)
		}
		got = ""
		_, err = p.Events(t.Context(), nodeAt(c.address, c.key), "/", func([]byte) error { return nil })
		if sent := got == "Bearer secret"; sent != c.want {
			t.Errorf("%s: stream of %s: sent %q, %v", c.name, c.address, got, err)
		}
	}
	err := p.Ask(t.Context(), http.MethodGet, nodeAt("http://evil.example:8081", ""), "/", nil, &struct{}{})
	if problem.CodeOf(err) != problem.Unavailable || !strings.Contains(err.Error(), "admin.peers") {
		t.Errorf("what to do is not said: %v", err)
	}
}

// Only what the node says about the request itself is the caller's answer. A console that passed on that a proxy wants a
// login would show its own login page.
func TestErrorsNameTheNodeAndConcernTheCaller(t *testing.T) {
	var status int
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	defer server.Close()
	p := peersAt(t, server, nil, "secret")
	n := nodeAt("http://a.example", "k")
	for _, c := range []struct {
		status int
		body   string
		code   problem.Code
		text   string
	}{
		{404, `{"error":"there is no instance z","code":"not-found"}`, problem.NotFound, "there is no instance z"},
		{404, `{"error":"this node cannot answer /api/v1/demo","code":"not-served"}`, problem.NotServed, "this node cannot answer /api/v1/demo"},
		{404, `{"error":"there is no instance z"}`, problem.NotFound, "there is no instance z"},
		{401, `{"error":"login required","code":"unauthenticated"}`, problem.Unavailable, "node n: login required"},
		{403, `{"error":"this node is read-only","code":"read-only"}`, problem.Unavailable, "node n: this node is read-only"},
		{503, `{"error":"Kafka does not answer","code":"timeout"}`, problem.Unavailable, "node n: Kafka does not answer"},
	} {
		status, body = c.status, c.body
		err := p.Ask(t.Context(), http.MethodGet, n, "/", nil, &struct{}{})
		if problem.CodeOf(err) != c.code || err.Error() != c.text {
			t.Errorf("%d %s: %v (%s)", c.status, c.body, err, problem.CodeOf(err))
		}
		begun, err := p.Events(t.Context(), n, "/", func([]byte) error { return nil })
		if begun || problem.CodeOf(err) != c.code || err.Error() != c.text {
			t.Errorf("stream: %d %s: %v %v (%s)", c.status, c.body, begun, err, problem.CodeOf(err))
		}
	}
	server.Close()
	err := p.Ask(t.Context(), http.MethodGet, n, "/", nil, &struct{}{})
	if problem.CodeOf(err) != problem.Unavailable || !strings.Contains(err.Error(), "node n: ") {
		t.Errorf("a node that is down: %v", err)
	}
}

func TestEventsOfNodesArePassedOn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "event: e\ndata: 1\n\nevent: e\ndata: 2\n\n")
	}))
	defer server.Close()
	p := peersAt(t, server, nil, "")
	var got []string
	begun, err := p.Events(t.Context(), nodeAt("http://a.example", ""), "/", func(e []byte) error { got = append(got, string(e)); return nil })
	if want := []string{"event: e\ndata: 1\n\n", "event: e\ndata: 2\n\n"}; !begun || err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, begun %v, %v", got, begun, err)
	}
	gone := errors.New("the page is gone")
	if begun, err := p.Events(t.Context(), nodeAt("http://a.example", ""), "/", func([]byte) error { return gone }); !begun || err != gone {
		t.Errorf("%v %v", begun, err)
	}
}

func TestAddressesThatNoNodeHasAreNotDialled(t *testing.T) {
	p := New(nil, "")
	for _, host := range []string{"169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0", "[::]", "224.0.0.1", "[ff02::1]", "255.255.255.255"} {
		err := p.Ask(t.Context(), http.MethodGet, nodeAt("http://"+host+":80", "k"), "/", nil, &struct{}{})
		if err == nil || !strings.Contains(err.Error(), "not an address of a node") {
			t.Errorf("%s: %v", host, err)
		}
	}
}
