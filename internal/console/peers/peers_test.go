package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/console/api"
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
	dial := p.client.Transport.(*http.Transport).DialContext
	p.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dial(ctx, network, server.Listener.Addr().String())
	}
	t.Cleanup(p.client.CloseIdleConnections)
	return p
}

func nodeAt(address, key string) nodes.Node {
	return nodes.Node{NodeStatus: event.NodeStatus{Node: "n", AdminURL: address}, Key: key}
}

// A status with a foreign adminUrl made each node send it the admin token.
func TestTheTokenGoesToListedAndSignedNodesOnly(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got = r.Header.Get("Authorization"); got == "" {
			w.WriteHeader(http.StatusUnauthorized)
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
	if !errors.Is(err, api.ErrUnavailable) || !strings.Contains(err.Error(), "admin.peers") {
		t.Errorf("what to do is not said: %v", err)
	}
}

func TestAnswersOfNodesAreBounded(t *testing.T) {
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "problem") {
			w.WriteHeader(http.StatusInternalServerError)
		}
		fmt.Fprint(w, `{"node": "`)
		chunk := []byte(strings.Repeat("x", 1<<20))
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	p := peersAt(t, endless, nil, "")
	var v struct{ Node string }
	for _, path := range []string{"/answer", "/problem"} {
		if err := p.Ask(t.Context(), http.MethodGet, nodeAt("http://a.example", ""), path, nil, &v); !errors.Is(err, api.ErrUnavailable) {
			t.Errorf("%s: %v", path, err)
		}
	}
	begun, err := p.Events(t.Context(), nodeAt("http://a.example", ""), "/stream", func([]byte) error { return nil })
	if begun || !errors.Is(err, api.ErrUnavailable) || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("%v %v", begun, err)
	}
}

func TestRedirectsOfNodesAreNotFollowed(t *testing.T) {
	followed := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		followed = followed || r.URL.Path == "/other"
		http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	p := peersAt(t, server, nil, "secret")
	if err := p.Ask(t.Context(), http.MethodGet, nodeAt("http://a.example", "k"), "/", nil, &struct{}{}); !errors.Is(err, api.ErrUnavailable) || followed {
		t.Errorf("%v, followed %v", err, followed)
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

// Lines that end where the reader's buffer does, and events in pieces, come out
// whole and one by one.
func TestEventsArePassedOnWhole(t *testing.T) {
	var want []string
	for _, n := range []int{1, 10, 64<<10 - 7, 64<<10 - 6, 64<<10 - 5, 128<<10 - 6, 300_000} {
		want = append(want, "event: e\ndata: "+strings.Repeat("x", n)+"\n\n")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("Accept-Encoding") != "identity" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		all := strings.Join(want, "")
		for len(all) > 0 {
			n := min(len(all), 10_007)
			fmt.Fprint(w, all[:n])
			all = all[n:]
			w.(http.Flusher).Flush()
		}
	}))
	defer server.Close()
	node := nodes.Node{NodeStatus: event.NodeStatus{AdminURL: "http://lb-2.example.com:8081"}, Key: "k"}
	with, without := peersAt(t, server, nil, "secret"), peersAt(t, server, nil, "")
	defer with.client.CloseIdleConnections()
	defer without.client.CloseIdleConnections()
	var got []string
	begun, err := with.Events(t.Context(), node, "/", func(e []byte) error { got = append(got, string(e)); return nil })
	if !begun || err != nil || len(got) != len(want) {
		t.Fatalf("%d events, begun %v, %v", len(got), begun, err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("event %d: %d bytes, want %d", i, len(got[i]), len(want[i]))
		}
	}
	gone := errors.New("the page is gone")
	if begun, err := with.Events(t.Context(), node, "/", func([]byte) error { return gone }); !begun || !errors.Is(err, gone) {
		t.Errorf("%v %v", begun, err)
	}
	if begun, err := without.Events(t.Context(), node, "/", func([]byte) error { return nil }); begun || !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("without the token: %v %v", begun, err)
	}
	server.Close()
	if begun, err := with.Events(t.Context(), node, "/", func([]byte) error { return nil }); begun || !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("nobody there: %v %v", begun, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if begun, err := with.Events(ctx, node, "/", func([]byte) error { return nil }); begun || err == nil {
		t.Errorf("ended: %v %v", begun, err)
	}
}
