package upstream

import (
	"math"
	"math/bits"
	"sync/atomic"
)

// Time constants of the local estimates. The floors rule above about 16 (10)
// requests per second and instance, where they are 50 (20) samples.
const (
	LatencyTau   = 3e9 // ns
	LatencyFloor = .02
	PeakTau      = 10e9 // ns; Finagle's default
	ErrorTau     = 2e9  // ns
	ErrorFloor   = .05
)

// HistBuckets is the number of latency buckets a Live counts into.
const HistBuckets = 96

// Live is one instance at one address in one generation: what requests count
// and what the picker reads while they are under way. The generation grows
// when an instance is added again or moved to another address; the new Live
// starts without history, so a restarted process is not judged by its past.
//
// Fields are written by requests and read by the keeper and the reporter; a
// Live is never copied.
type Live struct {
	Service    string
	Instance   string
	Addr       string // host:port
	Generation uint64

	InFlight  atomic.Int64  // requests that were picked and not released
	Requests  atomic.Uint64 // observed: heads and failures
	Errors    atomic.Uint64 // of those: 5xx, failures, bodies that broke
	Successes atomic.Uint64 // samples that fed Latency
	Fails     atomic.Uint32 // consecutive failures

	Latency   EWMA // ns to the response head, of successes and timeouts
	Peak      EWMA // ns like Latency, but jumps up to every slower sample (policy peak_ewma)
	ErrorRate EWMA // 0..1

	Hist [HistBuckets]atomic.Uint32 // latency of successes and timeouts, see HistBounds

	// Transport is what the edge that talks to this instance keeps with it (its
	// idle connections). It is set once, by compare-and-swap.
	Transport atomic.Pointer[Transport]

	lastHead  atomic.Int64 // when a response head last came
	busySince atomic.Int64 // when InFlight last rose from 0 to 1
	unheard   atomic.Int32 // picks since the last head
	retired   atomic.Bool
}

// Transport is told when its instance leaves: close what is idle, keep nothing.
// Retire may be called more than once and must not block.
type Transport interface{ Retire() }

// NewLive returns the Live of an instance that was just added.
func NewLive(service, instance, addr string, generation uint64, now int64) *Live {
	l := &Live{Service: service, Instance: instance, Addr: addr, Generation: generation}
	l.ErrorRate.Start(0, now)
	return l
}

// Retire marks the instance as gone: no connection to it is used again.
// Requests that already hold a ticket finish.
func (l *Live) Retire() {
	l.retired.Store(true)
	if t := l.Transport.Load(); t != nil {
		(*t).Retire()
	}
}

// Retired says that the instance has left and that connections to it are to be
// closed instead of kept.
func (l *Live) Retired() bool { return l.retired.Load() }

// Silence gives how long requests have waited for any response head, in
// nanoseconds: now minus the later of the last head and the moment the
// instance became busy. It is 0 while nothing is in flight and while fewer than
// two requests were sent since the last head: one slow request is not silence.
func (l *Live) Silence(now int64) int64 {
	if l.InFlight.Load() <= 0 || l.unheard.Load() < 2 {
		return 0
	}
	return max(0, now-max(l.lastHead.Load(), l.busySince.Load()))
}

func (l *Live) picked(now int64) {
	if l.InFlight.Add(1) == 1 {
		l.busySince.Store(now)
	}
	l.unheard.Add(1)
}

// Uploading takes a picked request out of Silence: its body is still on its way, and an instance that waits for a
// slow client is not silent. Sent follows.
func (l *Live) Uploading() { l.unheard.Add(-1) }

// Sent counts the request in again: from here on an answer is awaited.
func (l *Live) Sent(now int64) {
	if l.unheard.Add(1) == 1 {
		l.busySince.Store(now)
	}
}

// Outcome is what a request tells about its instance.
type Outcome uint8

// The outcomes. Failures never feed the latency estimate: an instance that
// fails in a millisecond must not look fast.
const (
	Success    Outcome = iota // an answer that says nothing bad about the instance
	Failed                    // 5xx, refused, reset, garbage
	TimedOut                  // no head in time: a failure that also is a latency
	Overloaded                // 429: an error, but no step towards ejection
	Abandoned                 // the client left first: tells nothing
)

// observe returns the consecutive failures, this one among them: of several at
// once each gets its own number.
func (l *Live) observe(o Outcome, started, now int64) (fails uint32) {
	if o == Abandoned {
		return l.Fails.Load()
	}
	l.Requests.Add(1)
	switch o {
	case Success, TimedOut:
		took := max(now-started, 1)
		l.Latency.Observe(float64(took), now, LatencyTau, LatencyFloor)
		l.Peak.Peak(float64(took), now, PeakTau)
		l.Hist[HistBucket(took)].Add(1)
	}
	if o == Success {
		l.Successes.Add(1)
		l.ErrorRate.Observe(0, now, ErrorTau, ErrorFloor)
		if l.Fails.Load() != 0 {
			l.Fails.Store(0)
		}
	} else {
		fails = l.fail(now, o != Overloaded)
	}
	if o != TimedOut {
		l.lastHead.Store(now)
		l.unheard.Store(0)
	}
	return fails
}

func (l *Live) fail(now int64, counts bool) uint32 {
	l.Errors.Add(1)
	l.ErrorRate.Observe(1, now, ErrorTau, ErrorFloor)
	if counts {
		return l.Fails.Add(1)
	}
	return l.Fails.Load()
}

// HistBucket gives the bucket of a latency in nanoseconds: four buckets per
// doubling from 16 µs (bucket 0 holds all below) to 275 s (the last holds all
// above). A bucket's bounds differ by 14 to 25 %, its middle is within 12 % of
// any latency in it.
func HistBucket(ns int64) int {
	u := uint64(max(ns, 0)) >> 12 // 4.1 µs units: four of them are the lowest bound
	if u < 4 {
		return 0
	}
	exp := bits.Len64(u) - 1
	quarter := int(u >> (exp - 2) & 3) // of the octave, by the two bits below the leading one
	return min(1+(exp-2)*4+quarter, HistBuckets-1)
}

// HistBounds gives the latencies in nanoseconds between which a bucket counts:
// from low on, below high.
func HistBounds(bucket int) (low, high float64) {
	if bucket == 0 {
		return 0, 1 << 14
	}
	exp, sub := (bucket-1)/4, (bucket-1)%4
	return math.Ldexp(1+float64(sub)/4, exp+14), math.Ldexp(1+float64(sub+1)/4, exp+14)
}

// HistMiddle gives the representative latency of a bucket in nanoseconds: the
// geometric mean of its bounds.
func HistMiddle(bucket int) float64 {
	if bucket == 0 {
		return 1 << 13
	}
	low, high := HistBounds(bucket)
	return math.Sqrt(low * high)
}
