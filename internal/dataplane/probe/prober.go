package probe

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Target is one instance to check. Two targets with equal fields are the same.
type Target struct {
	Service, Instance string
	Addr              string             // host:port or unix:/path, of the checks
	Generation        uint64             // a new generation starts without history
	Check             string             // "http", "tcp" or "grpc"
	TLS               *upstream.TLS      // nil: none
	ProxyProtocol     proxyproto.Version // of the header at the beginning of a connection, which names no client
	HTTP2             bool               // http: the check speaks HTTP/2, as every grpc check does
	Path, Host        string             // http, grpc: the path or the gRPC service; Host empty: Addr, localhost for a Unix socket
	Method            string             // http; empty: GET
	Headers           string             // http, grpc: lines "Name: value\n"
	Expect            Expect             // http
	Interval, Timeout time.Duration
	Rise, Fall        int
}

// Result is the result of one check. Up is the verdict after thresholds.
type Result struct {
	Target
	At         time.Time
	Took       time.Duration
	OK         bool
	Event      bool // requested by Check
	Changed    bool // the verdict differs from the previous verdict, or is the first
	Up         bool // the verdict
	StatusCode int
	Body       string // first 256 bytes of the response, or why there was no response
	Reason     string // what is wrong with the body of a response; empty: nothing, or there was no response
	shortage   string // the resource that this process lacked; the check then says nothing about the instance
}

// Config of a Prober.
type Config struct {
	OnResult  func(Result)        // called by many goroutines; must not block
	OnShort   func(what string)   // a check was not possible: this process lacks descriptors, memory, ports or an answer of its name server; must not block; nil: no callback
	AllowDown func(t Target) bool // may a failed event check take t out immediately? nil: never
	Log       *slog.Logger
}

// Prober checks a set of targets that may change.
type Prober struct {
	cfg     Config
	mu      sync.Mutex
	running map[key]*runner
	wanted  []Target
	changed chan struct{}
}

type key struct{ service, instance string }

type runner struct {
	target Target
	cancel context.CancelFunc
	event  chan struct{}
	done   chan struct{}

	checked bool // the first check has ended; protected by Prober.mu
}

// New returns a prober without targets.
func New(cfg Config) *Prober {
	return &Prober{cfg: cfg, running: map[key]*runner{}, changed: make(chan struct{}, 1)}
}

// Set replaces the targets. Unchanged targets keep their state. It does not block.
func (p *Prober) Set(targets []Target) {
	p.mu.Lock()
	p.wanted = targets
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// Check requests one immediate check of an instance. It does not block. If a check is already requested, it does
// nothing.
func (p *Prober) Check(service, instance string) {
	p.mu.Lock()
	r := p.running[key{service, instance}]
	p.mu.Unlock()
	if r == nil {
		return
	}
	select {
	case r.event <- struct{}{}:
	default:
	}
}

// Checked reports whether every target has been checked at least once since Run began.
func (p *Prober) Checked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.wanted {
		r := p.running[key{t.Service, t.Instance}]
		if r == nil || r.target != t || !r.checked {
			return false
		}
	}
	return true
}

// Run checks until ctx ends. It returns when all its goroutines have ended.
func (p *Prober) Run(ctx context.Context) error {
	defer p.stop(func(*runner) bool { return true })
	for {
		p.reconcile(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-p.changed:
		}
	}
}

func (p *Prober) reconcile(ctx context.Context) {
	p.mu.Lock()
	wanted := make(map[key]Target, len(p.wanted))
	for _, t := range p.wanted {
		wanted[key{t.Service, t.Instance}] = t
	}
	p.mu.Unlock()
	p.stop(func(r *runner) bool {
		t, ok := wanted[key{r.target.Service, r.target.Instance}]
		return !ok || t != r.target
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, t := range wanted {
		if p.running[k] != nil {
			continue
		}
		own, cancel := context.WithCancel(ctx)
		r := &runner{target: t, cancel: cancel, event: make(chan struct{}, 1), done: make(chan struct{})}
		p.running[k] = r
		go func() {
			defer close(r.done)
			p.loop(own, r)
		}()
	}
}

// stop ends the runners that match and waits for them.
func (p *Prober) stop(match func(*runner) bool) {
	p.mu.Lock()
	var ending []*runner
	for k, r := range p.running {
		if match(r) {
			delete(p.running, k)
			ending = append(ending, r)
		}
	}
	p.mu.Unlock()
	for _, r := range ending {
		r.cancel()
	}
	for _, r := range ending {
		<-r.done
	}
}

// loop checks one target. The first check runs within a fifth of the interval: the state is known soon after a start,
// and the first checks are spread out. Later pauses are within 10 % of the interval.
func (p *Prober) loop(ctx context.Context, r *runner) {
	t := r.target
	state, expect := Standing{}, newExpectation(t.Expect)
	pause := time.Duration(rand.Int64N(int64(t.Interval)/5 + 1))
	timer := time.NewTimer(pause)
	defer timer.Stop()
	var lastEvent time.Time
	for {
		event := false
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.event:
			// At most one event check per timeout: a burst of resets causes one check.
			if time.Since(lastEvent) < t.Timeout {
				continue
			}
			event, lastEvent = true, time.Now()
		}
		result := check(ctx, t, expect)
		if ctx.Err() != nil {
			return
		}
		if result.shortage == "" {
			p.judge(&state, result, event)
		} else if p.cfg.OnShort != nil {
			p.cfg.OnShort(result.shortage) // the verdict stays unchanged; at first it is unknown
		}
		p.mu.Lock()
		r.checked = true
		p.mu.Unlock()
		if !event {
			timer.Reset(t.Interval + time.Duration((rand.Float64()-.5)*.2*float64(t.Interval)))
		}
	}
}

// judge applies the thresholds to a check and passes the result to the consumer.
func (p *Prober) judge(state *Standing, result Result, event bool) {
	t := result.Target
	result.Event = event
	down := event && !result.OK && state.Up && p.cfg.AllowDown != nil && p.cfg.AllowDown(t)
	result.Changed = state.Take(result.OK, down, t.Rise, t.Fall)
	result.Up = state.Up
	p.cfg.OnResult(result)
}

// Standing is the verdict about one instance and the current streak of contrary checks.
type Standing struct {
	Known, Up bool
	streak    int
}

// Take adds one check and reports whether the verdict changed. The first check decides immediately. Later, a change
// needs rise consecutive successes or fall consecutive failures. down applies a failure without waiting for fall.
func (s *Standing) Take(ok, down bool, rise, fall int) bool {
	if !s.Known {
		s.Known, s.Up = true, ok
		return true
	}
	if ok == s.Up {
		s.streak = 0
		return false
	}
	s.streak++
	if down || (ok && s.streak >= rise) || (!ok && s.streak >= fall) {
		s.Up, s.streak = ok, 0
		return true
	}
	return false
}
