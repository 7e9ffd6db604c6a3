package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// listeners holds the open addresses of a Proxy. The zero value is ready to use.
type listeners struct {
	mu     sync.Mutex
	open   []*listener
	closed bool          // permanently: by Drain or the end of Run
	opened chan struct{} // wakes Run, which starts to accept on new listeners
}

// listener is one open address. Its settings may be replaced while it is open.
type listener struct {
	net.Listener
	set       atomic.Pointer[settings]
	accepting bool // under listeners.mu
	conns     atomic.Int64
}

// settings are the configuration of a listener, and what follows from it and the configuration of the proxy.
type settings struct {
	Listener
	limits                                      h1.Limits
	maxBody                                     int64         // 0: unlimited
	idle, head, body, upload, halfClose, tunnel time.Duration // see Timeouts; upload: 0 none
}

func newSettings(l Listener, cfg *Config) *settings {
	s := &settings{
		Listener: l, limits: cfg.Limits, maxBody: cmp.Or(l.MaxBody, cfg.MaxBody),
		idle: cmp.Or(l.Timeouts.Idle, cfg.IdleTimeout), head: cmp.Or(l.Timeouts.Head, cfg.HeadTimeout),
		body: cmp.Or(l.Timeouts.Body, cfg.BodyTimeout), upload: max(cmp.Or(l.Timeouts.Upload, cfg.UploadTimeout), 0),
		halfClose: cmp.Or(l.Timeouts.HalfClose, cfg.HalfCloseTimeout), tunnel: cmp.Or(l.Timeouts.Tunnel, cfg.TunnelTimeout),
	}
	s.limits.RejectEncoded, s.limits.Underscores, s.limits.Reserved = l.RejectEncoded, l.Underscores, l.Reserved
	return s
}

// name returns the name of the listener in the current configuration.
func (l *listener) name() string { return l.set.Load().Name }

// ErrListening is returned by SetListeners once the proxy drains or has ended.
var ErrListening = errors.New("the proxy is stopping and opens no listeners")

// SetListeners replaces the open listeners with want. An address that is already open stays open and takes the name and
// settings in want. All new addresses are bound before any address is closed: after an error nothing has changed.
// Connections of a closed listener continue until their clients end them. SetListeners does not wait for connections.
// It may be called before, during and after Run.
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
		l := ls.find(w, taken)
		if l == nil {
			continue
		}
		if l.set.Load().ReusePort != w.ReusePort {
			return fmt.Errorf("listener %s: reusePort of an open address cannot change: restart the node", w.Name)
		}
		next[i], taken[l] = l, true
	}
	for i, w := range want {
		if next[i] != nil {
			continue
		}
		ln, err := p.cfg.Listen(w.Name, w.Addr, func() (net.Listener, error) { return listen(w) })
		if err != nil {
			closeAll(fresh)
			return fmt.Errorf("listener %s: %w%s", w.Name, err, ls.overlap(w.Addr))
		}
		next[i] = &listener{Listener: ln}
		fresh, taken[next[i]] = append(fresh, next[i]), true
	}
	for i, w := range want {
		if err := errors.Join(setMode(w), setBacklog(next[i].Listener, w.Backlog)); err != nil {
			closeAll(fresh)
			return fmt.Errorf("listener %s: %w", w.Name, err)
		}
	}
	for i, w := range want {
		next[i].set.Store(newSettings(w, &p.cfg))
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

func closeAll(of []*listener) {
	for _, l := range of {
		_ = l.Close()
	}
}

// find returns the open listener that matches w: one with the same name and address, otherwise one with the same
// address. A free port (:0) matches only under the same name.
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

// overlap explains that an address could not be bound because this proxy has another address open on the same port,
// such as :8080 and 127.0.0.1:8080. It returns "" if that is not the reason.
func (ls *listeners) overlap(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	for _, l := range ls.open {
		if _, p, _ := net.SplitHostPort(l.Addr().String()); p == port && !upstream.IsUnix(addr) {
			s := l.set.Load()
			return fmt.Sprintf(" (listener %s of this node has %s open; move it to another port first, or restart the node)", s.Name, s.Addr)
		}
	}
	return ""
}

// wake tells Run to accept on new listeners. The caller holds the lock.
func (ls *listeners) wake() {
	if ls.opened == nil {
		ls.opened = make(chan struct{}, 1)
	}
	select {
	case ls.opened <- struct{}{}:
	default:
	}
}

// waiting returns the channel to which wake sends.
func (ls *listeners) waiting() <-chan struct{} {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.wake()
	return ls.opened
}

// begin starts to accept on the listeners that do not accept yet.
func (p *Proxy) begin(ctx context.Context, wg *sync.WaitGroup) {
	p.listeners.mu.Lock()
	defer p.listeners.mu.Unlock()
	if p.listeners.closed {
		return
	}
	for _, l := range p.listeners.open {
		if !l.accepting {
			l.accepting = true
			p.acceptors.Add(1)
			wg.Go(func() {
				defer p.acceptors.Done()
				p.accept(ctx, l, wg)
			})
		}
	}
}

// closeListeners closes all listeners permanently. It may be called more than once.
func (p *Proxy) closeListeners() {
	p.listeners.mu.Lock()
	defer p.listeners.mu.Unlock()
	p.listeners.closed = true
	for _, l := range p.listeners.open {
		_ = l.Close()
	}
}

// Listeners returns the open listeners with their bound addresses, in the order of the configuration.
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

// Addr returns the bound address of the named listener, nil if there is no such listener.
func (p *Proxy) Addr(name string) net.Addr {
	p.listeners.mu.Lock()
	defer p.listeners.mu.Unlock()
	for _, l := range p.listeners.open {
		if l.name() == name {
			return l.Addr()
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
