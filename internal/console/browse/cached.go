package browse

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// cached keeps one answer of the cluster for a while, so that many pages ask
// no more than one. Make it with newCached.
type cached[T any] struct {
	turn chan struct{} // holds one token: who has it may ask

	mu    sync.Mutex
	value T
	at    time.Time // zero: there is none
	past  int       // how often it was forgotten
	fault error     // of the last question; nil: it was answered
}

func newCached[T any]() *cached[T] {
	c := &cached[T]{turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// get gives the answer if it is younger than ttl, else it asks; who comes
// meanwhile waits for that one question. Errors are not kept.
func (c *cached[T]) get(ctx context.Context, ttl time.Duration, ask func(context.Context) (T, error)) (T, error) {
	if v, ok := c.peek(ttl); ok {
		return v, nil
	}
	var none T
	select {
	case <-c.turn:
	case <-ctx.Done(): // whoever asks now takes long; why the last one got no answer says more
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

// peek gives the answer if it is younger than ttl, without asking.
func (c *cached[T]) peek(ttl time.Duration) (v T, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() || time.Since(c.at) >= ttl {
		return v, false
	}
	return c.value, true
}

// forget makes the next get ask: something was changed. What is being asked
// meanwhile may be of before that, and is not kept.
func (c *cached[T]) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = time.Time{}
	c.past++
}
