package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Policy is an exponential delay with jitter. The zero value is ready to use and equals Default.
type Policy struct {
	Base   time.Duration // delay before the first retry; default 100 ms
	Max    time.Duration // limit of every delay; default 10 s
	Factor float64       // growth per attempt, at least 1; default 2
}

// Default returns a policy of 100 ms, 200 ms, 400 ms ... 10 s.
func Default() Policy {
	return Policy{Base: 100 * time.Millisecond, Max: 10 * time.Second, Factor: 2}
}

// Delay returns the wait before retry number attempt, counted from 0. The result is in [d/2, d], where d = min(Max,
// Base * Factor^attempt). unit is a random number in [0, 1). Negative attempts count as 0.
func (p Policy) Delay(attempt int, unit float64) time.Duration {
	p = p.filled()
	ceiling := float64(p.Max)
	d := float64(p.Base)
	for range attempt {
		d *= p.Factor
		if d >= ceiling {
			break
		}
	}
	d = min(d, ceiling)
	return max(1, time.Duration(d/2+unit*d/2)) // never 0: a loop that does not wait spins
}

// Wait sleeps for Delay(attempt) with a random unit. It returns false if ctx ended first.
func (p Policy) Wait(ctx context.Context, attempt int) bool {
	return Sleep(ctx, p.Delay(attempt, rand.Float64()))
}

// Sleep waits for d. It returns false if ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}

func (p Policy) filled() Policy {
	d := Default()
	if p.Base <= 0 {
		p.Base = d.Base
	}
	if p.Max <= 0 {
		p.Max = d.Max
	}
	if p.Factor < 1 {
		p.Factor = d.Factor
	}
	p.Max = max(p.Max, p.Base)
	return p
}
