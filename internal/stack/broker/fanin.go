package broker

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

// entry is one listening socket and the address that it advertises to its clients.
type entry struct {
	name string // EXTERNAL or INTERNAL
	ln   net.Listener
	host string
	port int32
}

func (e *entry) advertised() string { return net.JoinHostPort(e.host, strconv.Itoa(int(e.port))) }

// listen binds one entry. advertise may be empty.
func (b *Broker) listen(name, addr, advertise, fallbackHost string) (*entry, error) {
	ln, err := b.cfg.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", name, err)
	}
	e := &entry{name: name, ln: ln, host: fallbackHost}
	_, e.port, _ = splitHostPort(ln.Addr().String())
	if advertise != "" {
		host, port, _ := splitHostPort(advertise) // validated with the configuration
		e.host = host
		if port != 0 {
			e.port = port
		}
	}
	return e, nil
}

// fanIn is the only listener of kfake; it merges several sockets. kfake advertises its address, so it is the advertised
// address of the first entry.
type fanIn struct {
	entries []*entry
	wrap    func(net.Conn, *entry) net.Conn
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
	wg      sync.WaitGroup
}

func newFanIn(entries []*entry) *fanIn {
	return &fanIn{entries: entries, conns: make(chan net.Conn), done: make(chan struct{})}
}

// serve accepts on every entry until Close; wrap wraps each connection.
func (f *fanIn) serve(wrap func(net.Conn, *entry) net.Conn) {
	f.wrap = wrap
	for _, e := range f.entries {
		f.wg.Go(func() { f.accept(e) })
	}
}

func (f *fanIn) accept(e *entry) {
	for {
		conn, err := e.ln.Accept()
		if err != nil {
			select {
			case <-f.done:
				return
			case <-time.After(50 * time.Millisecond): // out of file descriptors: retry until some are free
				if errors.Is(err, net.ErrClosed) {
					return
				}
				continue
			}
		}
		f.inject(f.wrap(conn, e))
	}
}

// inject passes a connection to kfake, or closes it when kfake has stopped.
func (f *fanIn) inject(conn net.Conn) {
	select {
	case f.conns <- conn:
	case <-f.done:
		conn.Close()
	}
}

// Accept implements net.Listener for kfake.
func (f *fanIn) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It never fails.
func (f *fanIn) Close() error {
	f.stop()
	return nil
}

func (f *fanIn) stop() {
	f.once.Do(func() {
		close(f.done)
		for _, e := range f.entries {
			e.ln.Close()
		}
	})
}

// finish closes the listeners and waits for the acceptors. kfake closes its connections.
func (f *fanIn) finish() {
	f.stop()
	f.wg.Wait()
}

// Addr implements net.Listener: it returns the address that kfake advertises.
func (f *fanIn) Addr() net.Addr { return textAddr(f.entries[0].advertised()) }

type textAddr string

func (textAddr) Network() string  { return "tcp" }
func (a textAddr) String() string { return string(a) }
