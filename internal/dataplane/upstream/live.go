package upstream

import (
	"math"
	"sync/atomic"
)

// Time constants of the local estimates. Above about 16 (10) requests per second and instance the floors determine the
// average; they correspond to 50 (20) samples.
const (
	LatencyTau   = 3e9 // ns
	LatencyFloor = .02
	outlier      = 10   // averages that a latency counts at most: one pause must not take an instance's requests for seconds
	shortest     = 2e5  // ns, added to the average for that
	firstSamples = 3    // the lowest of the first latencies counts: the others have cold starts and new connections in them
	PeakTau      = 10e9 // ns; Finagle's default
	ErrorTau     = 2e9  // ns
	ErrorFloor   = .05
)

// FailingAfter is the number of consecutive failures from which an instance counts as failing, until a request succeeds.
const FailingAfter = 3

// trialEvery is the least time between the failure of a member on trial and its next request, in ns.
const trialEvery = 1e9

// HistBuckets is the number of latency buckets of a Live.
const HistBuckets = 97

// Live is one instance at one address in one generation. Requests write its counters, and the picker reads them while
// requests are in flight. The generation grows when an instance is added again or moved to another address. The new
// Live starts without history, so data of an earlier process does not affect a restarted process.
//
// Requests write the fields; the keeper and the reporter read them. A Live must not be copied.
type Live struct {
	Service    string
	Instance   string
	Addr       string // host:port or unix:/path
	Generation uint64

	InFlight  atomic.Int64  // requests that were picked and not yet released
	Requests  atomic.Uint64 // observed: heads and failures
	Errors    atomic.Uint64 // of those: 5xx, failures, broken bodies
	Failed    atomic.Uint64 // of those: all but 429
	Successes atomic.Uint64 // samples added to Latency
	Fails     atomic.Uint32 // consecutive failures; Pool.EjectAfter of them eject the instance

	Latency   EWMA // ns to the response head, of successes and timeouts
	Peak      EWMA // ns like Latency, but rises immediately to every slower sample (policy peak_ewma)
	ErrorRate EWMA // 0..1

	Hist    [HistBuckets]atomic.Uint64 // latency of successes and timeouts, see HistBounds
	HistSum atomic.Uint64              // of the same latencies, ns

	Load Load // reports that came with responses; only if its service reads them

	// Transport is what the front end keeps for this instance (its idle connections). It is set once, by
	// compare-and-swap.
	Transport atomic.Pointer[Transport]

	lastHead  atomic.Int64 // when the last response head arrived
	busySince atomic.Int64 // when InFlight last rose from 0 to 1
	unheard   atomic.Int32 // picks since the last response head
	rest      atomic.Int64 // until when it asked for no further requests
	retired   atomic.Bool
	trial     atomic.Bool // a request to the failing instance is under way
}

// Transport releases the connections of an instance that leaves: Retire closes idle connections, and after it no
// connection is kept. Retire may be called more than once and must not block.
type Transport interface{ Retire() }

// NewLive returns the Live of an instance that was just added.
func NewLive(service, instance, addr string, generation uint64, now int64) *Live {
	l := &Live{Service: service, Instance: instance, Addr: addr, Generation: generation}
	l.ErrorRate.Start(0, now)
	return l
}

// Retire marks the instance as gone: idle connections to it are closed and not reused. Requests that already hold a
// ticket finish.
func (l *Live) Retire() {
	l.retired.Store(true)
	if t := l.Transport.Load(); t != nil {
		(*t).Retire()
	}
}

// Retired reports whether the instance has left. Connections to it must then be closed instead of kept.
func (l *Live) Retired() bool { return l.retired.Load() }

// Rest notes that the instance asked for no requests until a time. A longer rest stays. Rest reports whether a rest began.
func (l *Live) Rest(until, now int64) (began bool) {
	for {
		was := l.rest.Load()
		if until <= was {
			return false
		}
		if l.rest.CompareAndSwap(was, until) {
			return was <= now
		}
	}
}

// RestsUntil returns until when the instance asked for no requests, 0 if it never did.
func (l *Live) RestsUntil() int64 { return l.rest.Load() }

// Silence returns how long requests have waited without any response head, in nanoseconds: now minus the later of the
// last head and the moment the instance became busy. It is 0 while no request is in flight and while fewer than two
// requests were sent since the last head: one slow request is not silence.
func (l *Live) Silence(now int64) int64 {
	if l.InFlight.Load() <= 0 || l.unheard.Load() < 2 {
		return 0
	}
	return max(0, now-max(l.lastHead.Load(), l.busySince.Load()))
}

func (l *Live) picked(now, limit int64) bool {
	n := l.InFlight.Add(1)
	if limit > 0 && n > limit {
		l.InFlight.Add(-1)
		return false
	}
	if n == 1 {
		l.busySince.Store(now)
	}
	l.unheard.Add(1)
	return true
}

// Uploading excludes a picked request from Silence while its body is being sent: an instance that waits for a slow
// client is not silent. Sent must follow.
func (l *Live) Uploading() { l.unheard.Add(-1) }

// Sent includes the request again: from now on the proxy waits for an answer.
func (l *Live) Sent(now int64) {
	if l.unheard.Add(1) == 1 {
		l.busySince.Store(now)
	}
}

// beginTrial reports whether a failing instance gets a request now: one at a time, and none right after a failure. The
// holder of the request must call endTrial.
func (l *Live) beginTrial(now int64) bool {
	_, idle, _ := l.ErrorRate.Load(now) // since the latest failure: a success would have ended the trial
	return idle >= trialEvery && l.trial.CompareAndSwap(false, true)
}

func (l *Live) endTrial() { l.trial.Store(false) }

// Outcome is the result of a request as far as it concerns the instance.
type Outcome uint8

// The outcomes. Failures never change the latency estimate: an instance that fails within a millisecond must not look
// fast.
const (
	Success    Outcome = iota // an answer that shows no problem of the instance
	Failed                    // 5xx, refused, reset, invalid bytes
	TimedOut                  // no response head in time: a failure that also counts as a latency
	Overloaded                // 429: an error, but no step towards ejection
	Abandoned                 // the client left first: no information about the instance
	Overtaken                 // another instance answered first: the time so far counts as a latency, and nothing else
)

// observe counts a request. floor is the least weight of its latency in the average. It returns the number of consecutive
// failures, including this failure. Each of several concurrent failures gets its own number.
func (l *Live) observe(o Outcome, started, now int64, floor float64) (fails uint32) {
	switch o {
	case Abandoned:
		return l.Fails.Load()
	case Overtaken: // without this an instance whose requests are overtaken would look as fast as before
		l.latency(max(now-started, 1), now, floor)
		return l.Fails.Load()
	}
	l.Requests.Add(1)
	switch o {
	case Success, TimedOut:
		took := max(now-started, 1)
		l.latency(took, now, floor)
		l.Hist[HistBucket(took)].Add(1)
		l.HistSum.Add(uint64(took))
	}
	if o == Success {
		l.Successes.Add(1)
		l.ErrorRate.Observe(0, now, ErrorTau, ErrorFloor)
		if l.Fails.Load() != 0 {
			l.Fails.Store(0)
		}
	} else {
		fails = l.fail(now, o != Overloaded, 0)
	}
	if o != TimedOut {
		l.lastHead.Store(now)
		l.unheard.Store(0)
	}
	return fails
}

func (l *Live) latency(took, now int64, floor float64) {
	sample := float64(took)
	average, _, ok := l.Latency.Load(now)
	switch {
	case ok && l.Successes.Load() < firstSamples && sample < average:
		l.Latency.Start(sample, now)
	case ok:
		l.Latency.Observe(min(sample, outlier*(average+shortest)), now, LatencyTau, floor)
	default:
		l.Latency.Observe(sample, now, LatencyTau, floor)
	}
	l.Peak.Peak(float64(took), now, PeakTau)
}

// fail counts a failure. before are consecutive failures before the request, which its head has reset.
func (l *Live) fail(now int64, counts bool, before uint32) uint32 {
	l.Errors.Add(1)
	l.ErrorRate.Observe(1, now, ErrorTau, ErrorFloor)
	if counts {
		l.Failed.Add(1)
		return l.Fails.Add(before + 1)
	}
	return l.Fails.Load()
}

// HistBucket returns the bucket of a latency in nanoseconds. There are four buckets per doubling from 15 µs to 256 s, those
// of a native histogram with NativeSchema; bucket 0 holds all latencies below, the last bucket all above. A bucket is
// 19 % wide; its middle is within 10 % of any latency in it.
func HistBucket(ns int64) int {
	return min(max(quarterOf(max(ns, 1))-HistFirst, 0), HistBuckets-1)
}

// HistFirst is n of the lowest bucket: it ends at 2^((n+1)/4) s.
const HistFirst = -16*quarters - 1

// HistBounds returns the bounds of a bucket in nanoseconds: low is exclusive, high is inclusive.
func HistBounds(bucket int) (low, high float64) {
	high = 1e9 * math.Exp2(float64(HistFirst+bucket+1)/quarters)
	if bucket == 0 {
		return 0, high
	}
	return 1e9 * math.Exp2(float64(HistFirst+bucket)/quarters), high
}

// HistMiddle returns the representative latency of a bucket in nanoseconds: the geometric mean of its bounds.
func HistMiddle(bucket int) float64 {
	low, high := HistBounds(bucket)
	if bucket == 0 {
		return high / 2
	}
	return math.Sqrt(low * high)
}
