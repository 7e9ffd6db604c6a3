package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// listeners are the addresses that a Proxy has open. The zero value is ready
// to use.
type listeners struct {
	mu     sync.Mutex
	open   []*listener
	closed bool          // for good: by Drain or the end of Run
	opened chan struct{} // wakes Run, which starts to accept on new ones
}

// listener is one open address. Its settings may be replaced while it is open.
type listener struct {
	net.Listener
	set       atomic.Pointer[settings]
	accepting bool // under listeners.mu
}

// settings are what a listener was told, and what follows from it.
type settings struct {
	Listener
	limits h1.Limits
}

// name gives the name that the configuration has for the listener now.
func (l *listener) name() string { return l.set.Load().Name }

// ErrListening is what SetListeners returns once the proxy drains or has ended.
var ErrListening = errors.New("the proxy is stopping and opens no listeners")

// SetListeners makes want the open listeners. An address that is already open
// stays open, under the name that want has for it. All new addresses are bound
// before any is closed: after an error everything is as it was. Connections of
// a closed listener go on until their clients end them. It does not wait for
// connections and may be called before, during and after Run.
func (p *Proxy) SetListeners(want []Listener) error {
	if err := validateListeners(want); err != nil {
		return err
	}
	ls := &p.listeners
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed {
		return ErrListening
	}
	next, fresh := make([]*listener, len(want)), []*listener{}
	taken := map[*listener]bool{}
	for i, w := range want {
		if l := ls.find(w, taken); l != nil {
			next[i], taken[l] = l, true
		}
	}
	for i, w := range want {
		if next[i] != nil {
			continue
		}
		// Listen can be given a context, but binding an address does not wait.
		ln, err := net.Listen("tcp", w.Addr)
		if err != nil {
			for _, l := range fresh {
				_ = l.Close()
			}
			return fmt.Errorf("listener %s: %w%s", w.Name, err, ls.overlap(w.Addr))
		}
		next[i] = &listener{Listener: ln}
		fresh, taken[next[i]] = append(fresh, next[i]), true
	}
	for i, w := range want {
		limits := p.cfg.Limits
		limits.RejectEncoded, limits.Underscores = w.RejectEncoded, w.Underscores
		next[i].set.Store(&settings{w, limits})
	}
	for _, l := range ls.open {
		if !taken[l] {
			_ = l.Close()
		}
	}
	ls.open = next
	ls.wake()
	return nil
}

// find gives the open listener that w means: of the same name and address, else
// of the same address. A free port (:0) is the same only under the same name.
func (ls *listeners) find(w Listener, taken map[*listener]bool) *listener {
	var same *listener
	for _, l := range ls.open {
		s := l.set.Load()
		switch {
		case taken[l] || s.Addr != w.Addr:
		case s.Name == w.Name:
			return l
		case !strings.HasSuffix(w.Addr, ":0"):
			same = l
		}
	}
	return same
}

// overlap says that an address could not be bound because of another one that
// this proxy has open on the same port, such as :8080 and 127.0.0.1:8080.
func (ls *listeners) overlap(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	for _, l := range ls.open {
		if _, p, _ := net.SplitHostPort(l.Addr().String()); p == port {
			s := l.set.Load()
			return fmt.Sprintf(" (listener %s of this node has %s open; move it to another port first, or restart the node)", s.Name, s.Addr)
		}
	}
	return ""
}

// wake tells Run that there are listeners it does not accept on. Called with
// the lock held.
func (ls *listeners) wake() {
	if ls.opened == nil {
		ls.opened = make(chan struct{}, 1)
	}
	select {
	case ls.opened <- struct{}{}:
	default:
	}
}

// waiting gives the channel that wake sends to.
func (ls *listeners) waiting() <-chan struct{} {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.wake()
	return ls.opened
}

// begin starts to accept on the listeners that nobody accepts on yet.
func (p *Proxy) begin(ctx context.Context, wg *sync.WaitGroup) {
	p.listeners.mu.Lock()
	defer p.listeners.mu.Unlock()
	if p.listeners.closed {
		return
	}
	for _, l := range p.listeners.open {
		if !l.accepting {
			l.accepting = true
			wg.Go(func() { p.accept(ctx, l, wg) })
		}
	}
}

// closeListeners closes all of them for good; twice is harmless.
func (p *Proxy) closeListeners() {
	p.listeners.mu.Lock()
	defer p.listeners.mu.Unlock()
	p.listeners.closed = true
	for _, l := range p.listeners.open {
		_ = l.Close()
	}
}

// Listeners gives the open listeners with the addresses they are bound to, in
// the order of the configuration.
func (p *Proxy) Listeners() []Listener {
	p.listeners.mu.Lock()
	defer p.listeners.mu.Unlock()
	out := make([]Listener, len(p.listeners.open))
	for i, l := range p.listeners.open {
		out[i] = l.set.Load().Listener
		out[i].Addr = l.Addr().String()
	}
	return out
}

// Addr gives the address that the named listener is bound to, nil if there is
// no such listener.
func (p *Proxy) Addr(name string) net.Addr {
	p.listeners.mu.Lock()
	defer p.listeners.mu.Unlock()
	for _, l := range p.listeners.open {
		if l.name() == name {
			return l.Listener.Addr()
		}
	}
	return nil
}

func validateListeners(want []Listener) error {
	var errs []error
	names := map[string]bool{}
	for i, l := range want {
		if l.Name == "" {
			errs = append(errs, fmt.Errorf("listeners[%d].name: must not be empty", i))
		} else if names[l.Name] {
			errs = append(errs, fmt.Errorf("listeners[%d].name: %q is used twice", i, l.Name))
		}
		names[l.Name] = true
		if l.Addr == "" {
			errs = append(errs, fmt.Errorf("listeners[%d].address: must not be empty", i))
		}
	}
	return errors.Join(errs...)
}
