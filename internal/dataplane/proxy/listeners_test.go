package proxy

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/porttest"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// A configuration said "applied" and its listeners were not open: they took
// effect at the next start only.
func TestListenersAreReplacedWhileRequestsAreServed(t *testing.T) {
	u := upstreamtest.NewHTTP(t, http.HandlerFunc(upstreamtest.Echo))
	b := run(t, []string{u}, nil)
	kept := b.dial() // a connection of the listener that goes
	kept.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	kept.response("GET")

	if err := b.p.SetListeners(b.listening(Listener{Name: "other", Addr: "127.0.0.1:0"}, Listener{Name: "third", Addr: "127.0.0.1:0"})); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", b.addr); err == nil {
		t.Error("the address of the removed listener still accepts connections")
	}
	kept.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if resp, _ := kept.response("GET"); resp.StatusCode != 200 {
		t.Errorf("a connection of the removed listener got %d", resp.StatusCode)
	}
	for _, l := range b.p.Listeners() {
		b.addr = l.Addr
		c := b.dial()
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if resp, _ := c.response("GET"); resp.StatusCode != 200 {
			t.Errorf("listener %s answered %d", l.Name, resp.StatusCode)
		}
	}
	names := map[string]int{}
	for _, e := range b.entries() {
		names[e.Listener]++
	}
	if names["web"] != 2 || names["other"] != 1 || names["third"] != 1 {
		t.Errorf("access log by listener: %v", names)
	}
	if err := b.p.SetListeners([]Listener{{Name: "late", Addr: "127.0.0.1:0"}}); err == nil {
		t.Error("a proxy that has ended opened a listener")
	}
}

func TestListenersStayAsTheyAreWhenOneCannotBeOpened(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	b := run(t, nil, nil)
	err = b.p.SetListeners([]Listener{{Name: "fresh", Addr: "127.0.0.1:0"}, {Name: "taken", Addr: taken.Addr().String()}})
	if err == nil || !strings.Contains(err.Error(), "listener taken: ") {
		t.Fatalf("error %v", err)
	}
	if got := b.p.Listeners(); len(got) != 1 || got[0].Name != "web" || got[0].Addr != b.addr {
		t.Errorf("listeners after the error: %v", got)
	}
	for _, wrong := range [][]Listener{{{Name: "", Addr: ":0"}}, {{Name: "a"}}, {{Name: "a", Addr: ":0"}, {Name: "a", Addr: ":0"}}} {
		if b.p.SetListeners(wrong) == nil {
			t.Errorf("%v was accepted", wrong)
		}
	}
	_, port, _ := net.SplitHostPort(b.addr)
	err = b.p.SetListeners([]Listener{{Name: "all", Addr: ":" + port}})
	if err == nil || !strings.Contains(err.Error(), "listener web of this node") {
		t.Errorf("an overlapping address: %v", err)
	}
}

func TestAListenerKeepsItsAddressUnderANewName(t *testing.T) {
	b := run(t, nil, func(c *Config, _ *dispatch.Route) { c.Listeners[0].Addr = porttest.Address(t) })
	if err := b.p.SetListeners([]Listener{{Name: "public", Addr: b.addr}}); err != nil {
		t.Fatal(err)
	}
	if got := b.p.Listeners(); len(got) != 1 || got[0].Name != "public" || got[0].Addr != b.addr {
		t.Errorf("listeners: %v", got)
	}
	if b.p.Addr("web") != nil || b.p.Addr("public") == nil {
		t.Error("the listener is not known by its new name")
	}
}
