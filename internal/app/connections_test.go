package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// pipes is a listener that is given its connections.
type pipes struct{ next chan net.Conn }

// peer is a connection from an invented address.
type peer struct {
	net.Conn
	address string
}

func (p peer) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(p.address))
}

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p.next
	if !ok {
		return nil, errors.New("closed")
	}
	return c, nil
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Somebody who opened connections to admin or console without an end took all
// descriptors of the process, and so its traffic.
func TestConnectionsAreBoundedPerAddressAndInAll(t *testing.T) {
	in := pipes{make(chan net.Conn)}
	l := limit(in, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, true)
	accepted, ended := make(chan net.Conn), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	// connect gives the connection, or the first line and the headers of the refusal.
	connect := func(address string) (net.Conn, string) {
		client, server := net.Pipe()
		t.Cleanup(func() { client.Close() })
		in.next <- peer{server, address}
		refusal := make(chan string, 1)
		go func() {
			b, _ := io.ReadAll(client)
			refusal <- string(b)
		}()
		select {
		case c := <-accepted:
			return c, ""
		case text := <-refusal:
			return nil, text
		}
	}
	take := func(address string) (held []net.Conn, refusal string) {
		for {
			c, text := connect(address)
			if c == nil {
				return held, text
			}
			held = append(held, c)
		}
	}
	greedy, refusal := take("203.0.113.9:1")
	if len(greedy) != eachConnections || !strings.HasPrefix(refusal, "HTTP/1.1 429 ") || !strings.Contains(refusal, "Retry-After: 1") {
		t.Errorf("%d of one address, then %q", len(greedy), refusal)
	}
	if resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(refusal)), nil); err != nil || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("the refusal is no answer: %v", err)
	}
	if c, text := connect("198.51.100.7:1"); c == nil {
		t.Errorf("another address: %q", text)
	}
	if c, text := connect("[2001:db8::1]:1"); c == nil {
		t.Errorf("another address: %q", text)
	}
	for _, c := range greedy {
		c.Close()
		c.Close() // the second time gives nothing back
	}
	if c, text := connect("203.0.113.9:2"); c == nil {
		t.Errorf("after they were closed: %q", text)
	}
	many, refusal := take("10.0.0.1:1") // a proxy that brings many clients
	if len(many) != mostConnections-3 || !strings.HasPrefix(refusal, "HTTP/1.1 503 ") {
		t.Errorf("%d of a trusted proxy, then %q", len(many), refusal)
	}
	if _, text := connect("198.51.100.8:1"); !strings.HasPrefix(text, "HTTP/1.1 503 ") {
		t.Errorf("when all are open: %q", text)
	}
	close(in.next)
	<-ended
}

// A connection that sends nothing, or its request a byte at a time, is closed.
func TestSlowClientsOfTheAdminListenerAreClosed(t *testing.T) {
	o := withoutKafka(t, event.RoleProxy)
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range a.web {
		if w.server.ReadHeaderTimeout == 0 || w.server.IdleTimeout == 0 || w.server.MaxHeaderBytes == 0 {
			t.Errorf("%s: a connection may last for ever", w.name)
		}
		w.server.ReadHeaderTimeout, w.server.IdleTimeout = time.Second, time.Second
	}
	runApp(t, a)
	for name, say := range map[string]string{"nothing": "", "half a head": "GET / HTTP/1.1\r\nHost: lo", "one request": "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"} {
		c, err := net.Dial("tcp", a.Addr("admin"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, say)
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Minute))
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("%s: it stays open: %v", name, err)
		}
		c.Close()
	}
	resp, err := http.Get("http://" + a.Addr("admin") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	for _, want := range []string{`smartlb_web_open{what="admin connections"}`, `smartlb_web_refused_total{what="searches",why="share"} 0`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not among the metrics", want)
		}
	}
}
