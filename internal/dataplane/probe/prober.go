package probe

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// Target is one instance to check. Two targets with equal fields are the same.
type Target struct {
	Service, Instance string
	Addr              string // host:port
	Generation        uint64 // a new generation starts without history
	Check             string // "http" or "tcp"
	Path, Host        string // http; Host empty: Addr
	Statuses          string // http: accepted statuses as " 200 204 "; empty: 200..299
	Interval, Timeout time.Duration
	Rise, Fall        int
}

// Result is what one check told. State is the verdict after thresholds.
type Result struct {
	Target
	At         time.Time
	Took       time.Duration
	OK         bool
	Event      bool // asked for by Check
	Changed    bool // State differs from before, or is the first
	Up         bool // the verdict
	StatusCode int
	Body       string // first 256 bytes of the response, or why there was none
	shortage   string // what this process lacked; the check then says nothing about the instance
}

// Config of a Prober.
type Config struct {
	OnResult  func(Result)        // called by many goroutines, must not block
	OnShort   func(what string)   // a check was not possible: this process lacks descriptors, memory, ports or an answer of its name server; must not block; nil: nobody
	AllowDown func(t Target) bool // may a failed event check take t out at once? nil: never
	Log       *slog.Logger
}

// Prober checks a changing set of targets.
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
}

// New returns a prober without targets.
func New(cfg Config) *Prober {
	return &Prober{cfg: cfg, running: map[key]*runner{}, changed: make(chan struct{}, 1)}
}

// Set replaces the targets; unchanged ones keep their state. It does not block.
func (p *Prober) Set(targets []Target) {
	p.mu.Lock()
	p.wanted = targets
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// Check asks for one check of an instance now. It does not block; a check that
// is already asked for is enough.
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

// Run checks until ctx ends, and returns when all its goroutines have.
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

// loop checks one target. The first check comes within a fifth of the interval,
// so that a start knows soon without all checks at once; every pause is within
// 10 % of the interval.
func (p *Prober) loop(ctx context.Context, r *runner) {
	t := r.target
	state := Standing{}
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
			// One event check per timeout at most: a burst of resets is one question.
			if time.Since(lastEvent) < t.Timeout {
				continue
			}
			event, lastEvent = true, time.Now()
		}
		result := check(ctx, t)
		if ctx.Err() != nil {
			return
		}
		if result.shortage == "" {
			p.judge(&state, result, event)
		} else if p.cfg.OnShort != nil {
			p.cfg.OnShort(result.shortage) // the verdict stays what it was, unknown at first
		}
		if !event {
			timer.Reset(t.Interval + time.Duration((rand.Float64()-.5)*.2*float64(t.Interval)))
		}
	}
}

// judge applies the thresholds to a check and hands it over.
func (p *Prober) judge(state *Standing, result Result, event bool) {
	t := result.Target
	result.Event = event
	down := event && !result.OK && state.Up && p.cfg.AllowDown != nil && p.cfg.AllowDown(t)
	result.Changed = state.Take(result.OK, down, t.Rise, t.Fall)
	result.Up = state.Up
	p.cfg.OnResult(result)
}

// Standing is the verdict about one instance and the streak that may change it.
type Standing struct {
	Known, Up bool
	streak    int
}

// Take adds one check and says whether the verdict changed. The first check
// decides at once; later, Rise successes or Fall failures in a row do. down
// skips the wait of a failure.
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
