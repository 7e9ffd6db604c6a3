package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

// peersAt reaches a test server under whatever name a node has.
func peersAt(t *testing.T, server *httptest.Server, listed []string, token string) *peers {
	t.Helper()
	all := make([]config.Peer, len(listed))
	for i, text := range listed {
		if err := all[i].UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	p := newPeers(all, token)
	dial := p.client.Transport.(*http.Transport).DialContext
	p.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dial(ctx, network, server.Listener.Addr().String())
	}
	t.Cleanup(p.client.CloseIdleConnections)
	return p
}

func nodeAt(address, key string) LiveNode {
	return LiveNode{NodeStatus: event.NodeStatus{Node: "n", AdminURL: address}, Key: key}
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
		err := p.askJSON(t.Context(), http.MethodGet, nodeAt(c.address, c.key), "/", nil, &answer)
		if sent := got == "Bearer secret"; sent != c.want {
			t.Errorf("%s: %s: sent %q, %v", c.name, c.address, got, err)
		}
		got = ""
		_, err = p.passOn(t.Context(), nodeAt(c.address, c.key), "/", func([]byte) error { return nil })
		if sent := got == "Bearer secret"; sent != c.want {
			t.Errorf("%s: stream of %s: sent %q, %v", c.name, c.address, got, err)
		}
	}
	err := p.askJSON(t.Context(), http.MethodGet, nodeAt("http://evil.example:8081", ""), "/", nil, &struct{}{})
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
		if err := p.askJSON(t.Context(), http.MethodGet, nodeAt("http://a.example", ""), path, nil, &v); !errors.Is(err, api.ErrUnavailable) {
			t.Errorf("%s: %v", path, err)
		}
	}
	begun, err := p.passOn(t.Context(), nodeAt("http://a.example", ""), "/stream", func([]byte) error { return nil })
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
	if err := p.askJSON(t.Context(), http.MethodGet, nodeAt("http://a.example", "k"), "/", nil, &struct{}{}); !errors.Is(err, api.ErrUnavailable) || followed {
		t.Errorf("%v, followed %v", err, followed)
	}
}

func TestAddressesThatNoNodeHasAreNotDialled(t *testing.T) {
	p := newPeers(nil, "")
	for _, host := range []string{"169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0", "[::]", "224.0.0.1", "[ff02::1]", "255.255.255.255"} {
		err := p.askJSON(t.Context(), http.MethodGet, nodeAt("http://"+host+":80", "k"), "/", nil, &struct{}{})
		if err == nil || !strings.Contains(err.Error(), "no address of a node") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestTheBookOfNodesIsBoundedAndBelievesNoFuture(t *testing.T) {
	now := time.Now()
	status := func(node string, at time.Time, admin string) kafka.Record {
		s := event.NodeStatus{Timestamp: at.UTC(), Node: node, Roles: []string{RoleProxy}, AdminURL: admin, ConsoleURL: "javascript:alert(1)"}
		return kafka.Record{Topic: event.TopicNodeStatus, Value: s.AppendJSON(nil)}
	}
	unsigned, signed := sign.Verdict{State: sign.Unsigned}, sign.Verdict{State: sign.Signed, Key: "k"}
	find := func(b *nodeBook, node string) LiveNode {
		for _, n := range b.list() {
			if n.Node == node {
				return n
			}
		}
		return LiveNode{}
	}
	b := newNodeBook()
	b.take(status("real", now, "http://10.0.0.1:8081"), unsigned, now)
	b.take(status("old", now.Add(-time.Minute), ""), unsigned, now)
	b.take(status("of 2099", now.AddDate(73, 0, 0), "http://evil.example"), unsigned, now)
	b.take(status("script", now, "javascript:alert(1)"), unsigned, now)
	b.take(status("forged", now, ""), sign.Verdict{State: sign.Bad}, now)
	b.take(kafka.Record{Value: []byte("{")}, unsigned, now)
	if len(b.list()) != 2 || find(b, "real").AdminURL != "http://10.0.0.1:8081" || find(b, "script").AdminURL != "" || find(b, "real").ConsoleURL != "" {
		t.Errorf("%+v", b.list())
	}
	for i := range 3 * maxNodes {
		b.take(status(fmt.Sprint("n", i), now, ""), unsigned, now)
	}
	b.take(status("vouched", now, "http://10.0.0.3:8081"), signed, now)
	b.take(status("vouched", now, "http://evil.example"), unsigned, now)
	b.take(status("real", now, "http://10.0.0.2:8081"), unsigned, now)
	if n := len(b.list()); n != maxNodes+1 || find(b, "real").AdminURL != "http://10.0.0.2:8081" {
		t.Errorf("%d nodes, %+v", n, find(b, "real"))
	}
	if n := find(b, "vouched"); n.AdminURL != "http://10.0.0.3:8081" || n.Key != "k" {
		t.Errorf("an unsigned status stands over a signed one: %+v", n)
	}
}

// A thousand statuses of megabytes each took gigabytes.
func TestTheTextsOfNodesAreBounded(t *testing.T) {
	now, b := time.Now(), newNodeBook()
	take := func(node string, size int, by sign.State) {
		s := event.NodeStatus{Timestamp: now.UTC(), Node: node, Roles: []string{RoleProxy}, Errors: []string{strings.Repeat("B", size)}}
		b.take(kafka.Record{Topic: event.TopicNodeStatus, Value: s.AppendJSON(nil)}, sign.Verdict{State: by, Key: "k"}, now)
	}
	take("real", 100, sign.Unsigned)
	take("large", maxStatus, sign.Unsigned)
	for range 2 { // the second time each takes the room of its first
		for i := range 100 {
			take(fmt.Sprint("n", i), maxStatus/2, sign.Unsigned)
		}
	}
	take("real", 200, sign.Unsigned)
	take("vouched", maxStatus/2, sign.Signed)
	kept, names := 0, map[string]int{}
	for _, n := range b.list() {
		names[n.Node] = len(n.Errors[0])
		kept += len(n.Errors[0])
	}
	if kept > maxStatuses+maxStatus || len(names) < 60 || names["real"] == 0 || names["large"] > 0 || names["vouched"] == 0 {
		t.Errorf("%d bytes of %d nodes are kept; real: %d", kept, len(names), names["real"])
	}
}
