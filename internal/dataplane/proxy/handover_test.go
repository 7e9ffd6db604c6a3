package proxy

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// A client cannot know that another process took over: what it sends on a connection that is idle, or new, is answered.
func TestHandOverAnswersOneMoreRequestOnEachConnection(t *testing.T) {
	b := run(t, []string{upstreamtest.NewHTTP(t, http.HandlerFunc(upstreamtest.Echo))}, nil)
	idle, fresh := b.dial(), b.dial()
	idle.send(get)
	idle.response("GET")
	eventually(t, "both are accepted", func() bool { return b.p.Stats().Accepted == 2 })
	done := make(chan error, 1)
	go func() { done <- b.p.HandOver(context.Background(), time.Hour) }()
	eventually(t, "the listener is closed", func() bool {
		nc, err := net.Dial("tcp", b.addr)
		if err == nil {
			_ = nc.Close()
		}
		return err != nil
	})
	for name, c := range map[string]*client{"idle": idle, "fresh": fresh} {
		c.send(get)
		if res, _ := c.response("GET"); res.StatusCode != 200 || !res.Close {
			t.Errorf("%s: got %d, close %v", name, res.StatusCode, res.Close)
		}
		c.ended()
	}
	if err := take(t, "the end of the hand-over", done); err != nil {
		t.Error(err)
	}
}

// Connections whose clients send nothing do not keep a process for the whole drain time.
func TestHandOverEndsConnectionsThatStayIdle(t *testing.T) {
	b := run(t, []string{upstreamtest.NewHTTP(t, http.HandlerFunc(upstreamtest.Echo))}, nil)
	idle, fresh := b.dial(), b.dial()
	idle.send(get)
	idle.response("GET")
	eventually(t, "both are accepted", func() bool { return b.p.Stats().Accepted == 2 })
	if err := b.p.HandOver(context.Background(), 50*time.Millisecond); err != nil {
		t.Error(err)
	}
	idle.ended()
	fresh.ended()
}

// Every connection that was accepted is among those that a drain waits for, also one that was accepted while the
// listener was closed. The others wait for the new process.
func TestHandOverLosesNoConnection(t *testing.T) {
	for range 20 {
		b := runWith(t, false, []string{upstreamtest.NewHTTP(t, http.HandlerFunc(upstreamtest.Echo))}, nil)
		shared, err := b.p.listeners.open[0].Listener.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		next, err := net.FileListener(shared) // what the new process has
		if err != nil {
			t.Fatal(err)
		}
		_ = shared.Close()
		done := make(chan error, 1)
		var all []*client
		for i := range 64 {
			if i == 32 {
				go func() { done <- b.p.HandOver(context.Background(), time.Hour) }()
			}
			c := b.dial()
			c.send(get)
			all = append(all, c)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(next) }()
		for i, c := range all {
			if res, _ := c.response("GET"); res.StatusCode != 200 {
				t.Errorf("connection %d got %d", i, res.StatusCode)
			}
			_ = c.Close()
		}
		if err := take(t, "the end of the hand-over", done); err != nil {
			t.Error(err)
		}
		_ = server.Close()
		take(t, "the end of the server", ended)
	}
}
