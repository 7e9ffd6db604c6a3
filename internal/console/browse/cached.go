package browse

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// cached keeps one answer of the cluster for some time, so that many pages cause one request only. Create it with
// newCached.
type cached[T any] struct {
	turn chan struct{} // holds one token; the holder of the token may ask

	mu    sync.Mutex
	value T
	at    time.Time // zero: no value
	past  int       // number of calls of forget
	fault error     // error of the latest request; nil: it succeeded
}

func newCached[T any]() *cached[T] {
	c := &cached[T]{turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// get returns the value if it is younger than ttl. Otherwise it calls ask; concurrent callers wait for that call. It
// does not keep errors.
func (c *cached[T]) get(ctx context.Context, ttl time.Duration, ask func(context.Context) (T, error)) (T, error) {
	if v, ok := c.peek(ttl); ok {
		return v, nil
	}
	var none T
	select {
	case <-c.turn:
	case <-ctx.Done(): // another caller's request is slow: the error of the previous request is more useful
		c.mu.Lock()
		defer c.mu.Unlock()
		return none, cmp.Or(c.fault, context.Cause(ctx))
	}
	defer func() { c.turn <- struct{}{} }()
	if v, ok := c.peek(ttl); ok {
		return v, nil
	}
	c.mu.Lock()
	past := c.past
	c.mu.Unlock()
	v, err := ask(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = err
	if err != nil {
		return none, err
	}
	if c.past == past {
		c.value, c.at = v, time.Now()
	}
	return v, nil
}

// peek returns the value if it is younger than ttl. It never calls ask.
func (c *cached[T]) peek(ttl time.Duration) (v T, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() || time.Since(c.at) >= ttl {
		return v, false
	}
	return c.value, true
}

// forget discards the value after a change, so that the next get calls ask. A call of ask in progress may have started
// before the change: its result is not kept.
func (c *cached[T]) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = time.Time{}
	c.past++
}
