package dispatch

import (
	"net/http"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

func TestReasonsOfRetries(t *testing.T) {
	r := Retry{OnConnect: true, OnGRPC: 1 << 14}
	r.OnStatus.Add(500, 599)
	reset := Retry{OnReset: true}
	timeout := Retry{OnTimeout: true}
	for _, tc := range []struct {
		name  string
		retry Retry
		out   Outcome
		why   string
	}{
		{"a status of the range", r, Outcome{Status: 599}, "status"},
		{"a status beside the range", r, Outcome{Status: 499}, ""},
		{"a status of gRPC", r, Outcome{Status: 200, GRPC: 14}, "grpc-status"},
		{"another status of gRPC", r, Outcome{Status: 200, GRPC: 13}, ""},
		{"a status of gRPC decides, not the status around it", r, Outcome{Status: 503, GRPC: 13}, ""},
		{"a refused connection", r, Outcome{Failure: ConnectRefused}, "connect-failure"},
		{"a connection that ended before the request was sent", r, Outcome{Failure: Reset}, "reset"},
		{"a connection that ended after the request was sent", r, Outcome{Failure: Reset, Sent: true}, ""},
		{"the same with reset", reset, Outcome{Failure: EOF, Sent: true}, "reset"},
		{"a timeout", timeout, Outcome{Failure: Timeout, Sent: true}, "timeout"},
		{"a timeout that is not listed", r, Outcome{Failure: Timeout, Sent: true}, ""},
		{"bytes that are not HTTP", r, Outcome{Failure: BadResponse, Sent: true}, ""},
	} {
		why, ok := tc.retry.wants(tc.out)
		if ok != (tc.why != "") || ok && why.String() != tc.why {
			t.Errorf("%s: %v %s, want %q", tc.name, ok, why, tc.why)
		}
	}
}

// Calls of gRPC are POST: a listed status repeats them, everything else only if the instance got nothing.
func TestCallsOfGRPCAreRepeatedForListedStatusesOnly(t *testing.T) {
	retry := defaultRetry()
	retry.OnGRPC = 1 << 14
	for _, tc := range []struct {
		out   Outcome
		again bool
	}{
		{Outcome{Status: 200, GRPC: 14, Sent: true, Replayable: true}, true},
		{Outcome{Status: 200, GRPC: 14, Sent: true}, false}, // its body is gone
		{Outcome{Status: 200, GRPC: 13, Sent: true, Replayable: true}, false},
		{Outcome{Status: 503, Sent: true, Replayable: true}, false},
		{Outcome{Failure: EOF, Sent: true, Replayable: true}, false},
	} {
		d, _, rec, _ := setup(t, 3, retry)
		x := NewExchange(1)
		first := d.Begin(x, head{"POST", "/s"}, second)
		v := d.Settle(x, tc.out, second)
		if (v.Action == Forward) != tc.again {
			t.Errorf("%+v: got action %d", tc.out, v.Action)
		}
		if tc.again {
			d.Settle(x, Outcome{Status: 200, Sent: true}, second)
		}
		d.End(x, second)
		if tc.again && (first.Live.Fails.Load() != 1 || rec.decisions[0] != "retry i1#1 200grpc-status retried=true") {
			t.Errorf("%d failures, recorded %q", first.Live.Fails.Load(), rec.decisions)
		}
	}
}

func withBackoff(base, most time.Duration) Retry {
	r := defaultRetry()
	r.Backoff = backoff.Policy{Base: base, Max: most}
	return r
}

func TestRetriesWaitForTheirBackoff(t *testing.T) {
	d, s, _, _ := setup(t, 4, withBackoff(100*time.Millisecond, 150*time.Millisecond))
	x := NewExchange(1)
	first := d.Begin(x, head{"GET", "/s"}, second)
	now := second
	for i, most := range []time.Duration{100 * time.Millisecond, 150 * time.Millisecond} {
		v := d.Settle(x, Outcome{Status: 503, Sent: true, Replayable: true}, now)
		if v.Action != Pause || v.Wait < most/2 || v.Wait > most {
			t.Fatalf("retry %d: action %d, waits %s, want %s to %s", i+1, v.Action, v.Wait, most/2, most)
		}
		if first.Live.InFlight.Load() != 0 || s.Retry.Load() != 1 {
			t.Errorf("while it waits: %d in flight, %d retries", first.Live.InFlight.Load(), s.Retry.Load())
		}
		now += int64(v.Wait)
		if v = d.Resume(x, None, now); v.Action != Forward || v.Live == first.Live {
			t.Fatalf("retry %d: action %d after the wait", i+1, v.Action)
		}
	}
	if v := d.Settle(x, Outcome{Status: 503, Sent: true, Replayable: true}, now); v.Action != Relay {
		t.Errorf("after the last retry: action %d", v.Action)
	}
	if r := d.End(x, now); r.Attempts != 3 || r.Status != 503 || len(r.Earlier) != 2 {
		t.Errorf("record %+v", r)
	}
	if n := s.Traffic("r").Load().Retries[RetriedStatus]; n != 2 || s.Retry.Load() != 0 {
		t.Errorf("%d retries counted, %d in flight", n, s.Retry.Load())
	}
}

func TestNoRetryWaitsBeyondTheTimeout(t *testing.T) {
	d, s, _, _ := setup(t, 3, withBackoff(30*time.Second, 30*time.Second)) // the route's timeout is 10 s
	x := NewExchange(1)
	d.Begin(x, head{"GET", "/s"}, second)
	if v := d.Settle(x, Outcome{Status: 503, Sent: true, Replayable: true}, second); v.Action != Relay {
		t.Errorf("action %d", v.Action)
	}
	d.End(x, second)
	if n := s.Traffic("r").Load(); n.Retries != [upstream.RetryKinds]uint64{} || n.RetriesDenied != 0 {
		t.Errorf("counted %+v", n)
	}
}

func TestAWaitThatEndsEarly(t *testing.T) {
	for ended, status := range map[Failure]int{ClientGone: 499, Stopped: 503} {
		d, s, _, _ := setup(t, 3, withBackoff(time.Second, time.Second))
		x := NewExchange(1)
		first := d.Begin(x, head{"GET", "/s"}, second)
		d.Settle(x, Outcome{Status: 503, Sent: true, Replayable: true}, second)
		v := d.Resume(x, ended, second)
		r := d.End(x, second)
		if v.Action != Reply || v.Status != status || r.Failure != ended || r.Attempts != 1 {
			t.Errorf("%s: %+v, record %+v", ended, v, r)
		}
		if first.Live.Errors.Load() != 1 || s.Retry.Load() != 0 || s.Active.Load() != 0 {
			t.Errorf("%s: %d errors, %d retries, %d active", ended, first.Live.Errors.Load(), s.Retry.Load(), s.Active.Load())
		}
	}
}

// All other instances leave while a retry waits: the client gets what the first try gave.
func TestNoInstanceIsLeftAfterTheWait(t *testing.T) {
	for _, tc := range []struct {
		out    Outcome
		action Action
		status int
	}{
		{Outcome{Status: 503, Sent: true, Replayable: true}, Relay, 503},
		{Outcome{Failure: ConnectRefused, Replayable: true}, Reply, 502},
	} {
		d, s, _, _ := setup(t, 2, withBackoff(time.Second, time.Second))
		x := NewExchange(1)
		d.Begin(x, head{"GET", "/s"}, second)
		if v := d.Settle(x, tc.out, second); v.Action != Pause {
			t.Fatalf("action %d", v.Action)
		}
		s.Swap(&upstream.Pool{})
		v := d.Resume(x, None, second)
		if r := d.End(x, second); v.Action != tc.action || r.Status != tc.status || s.Retry.Load() != 0 {
			t.Errorf("%+v: action %d, record %+v, %d retries", tc.out, v.Action, r, s.Retry.Load())
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		asks   time.Duration
		most   time.Duration
		action Action
		wait   time.Duration
		rests  time.Duration
	}{
		{"a 503 is retried at once, and its instance rests", 503, 5 * time.Second, 8 * time.Second, Forward, 0, 5 * time.Second},
		{"a rest is limited", 503, time.Hour, 8 * time.Second, Forward, 0, 8 * time.Second},
		{"a 503 without Retry-After", 503, 0, 8 * time.Second, Forward, 0, 0},
		{"a 503 if it is not honoured", 503, 5 * time.Second, 0, Forward, 0, 0},
		{"a status that is not listed", 502, 5 * time.Second, 8 * time.Second, Relay, 0, 0},
		{"a 429 waits, and its instance does not rest", 429, 5 * time.Second, 8 * time.Second, Pause, 5 * time.Second, 0},
		{"a 429 that asks for more goes to the client", 429, 9 * time.Second, 8 * time.Second, Relay, 0, 0},
		{"a 429 that asks for more than the route's timeout", 429, 20 * time.Second, 30 * time.Second, Relay, 0, 0},
		{"a 429 without Retry-After", 429, 0, 8 * time.Second, Forward, 0, 0},
		{"a 429 if it is not honoured", 429, 5 * time.Second, 0, Forward, 0, 0},
	} {
		retry := defaultRetry()
		retry.OnStatus.Add(429, 429)
		retry.MaxRetryAfter = tc.most
		d, _, _, sig := setup(t, 3, retry)
		x := NewExchange(1)
		first := d.Begin(x, head{"GET", "/s"}, second).Live
		v := d.Settle(x, Outcome{Status: tc.status, RetryAfter: tc.asks, Sent: true, Replayable: true}, second)
		rests := time.Duration(max(first.RestsUntil()-second, 0))
		if v.Action != tc.action || v.Wait != tc.wait || rests != tc.rests || (sig.failing == 1) != (rests > 0) {
			t.Errorf("%s: action %d after %s, rests for %s, %d signals", tc.name, v.Action, v.Wait, rests, sig.failing)
		}
		if v.Action == Pause {
			d.Resume(x, ClientGone, second)
		}
		d.End(x, second)
	}
}

// One rest wakes the keeper once: an instance that may not be taken out answers 503 again and again.
func TestARestIsSignalledOnce(t *testing.T) {
	retry := defaultRetry()
	retry.MaxRetryAfter = time.Minute
	d, _, _, sig := setup(t, 1, retry)
	x := NewExchange(1)
	for i := range int64(3) {
		d.Begin(x, head{"GET", "/s"}, second+i)
		d.Settle(x, Outcome{Status: 503, RetryAfter: 5 * time.Second, Sent: true}, second+i)
		d.End(x, second+i)
	}
	if sig.failing != 1 {
		t.Errorf("%d signals, want 1", sig.failing)
	}
}

func TestTheBudgetOfAService(t *testing.T) {
	for budget, want := range map[guard.Budget]int{guard.DefaultBudget: 5, {}: 0, {Min: 1}: 1, {Share: 1}: 10, {Share: .5, Min: 2}: 7} {
		d, s, _, _ := setup(t, 20, defaultRetry())
		route, _ := d.Table().Routes.Match(head{"GET", "/s"}, router.Peer{})
		route.Split[0].Budget = &budget
		var all []*Exchange
		for i := range 10 {
			x := NewExchange(uint64(i))
			d.Begin(x, head{"GET", "/s"}, second)
			all = append(all, x)
		}
		got := 0
		for _, x := range all {
			if d.Settle(x, Outcome{Failure: ConnectRefused, Replayable: true}, second).Action == Forward {
				got++
			}
		}
		for _, x := range all {
			d.End(x, second)
		}
		if got != want || s.Retry.Load() != 0 {
			t.Errorf("%+v: %d of 10 requests were retried at a time, want %d", budget, got, want)
		}
	}
}

var wednesday = time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)

func TestParseRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"5": 5 * time.Second, " 5\t": 5 * time.Second, "0": 0, "000000007": 7 * time.Second,
		"Wed, 25 Nov 2026 10:00:30 GMT":     30 * time.Second,
		"Wednesday, 25-Nov-26 10:00:30 GMT": 0, // longer than the format of today
		"Wed Nov 25 10:00:30 2026":          30 * time.Second,
		"Wed, 25 Nov 2026 09:00:00 GMT":     0,
		"Wed, 25 Nov 2099 09:00:00 GMT":     maxRetryAfter,
		"99999999999999999":                 maxRetryAfter,
		"":                                  0, "-5": 0, "+5": 0, "5.5": 0, "5s": 0, "soon": 0, "184467440737095516160": 0, "5, 6": 0,
	} {
		if got := ParseRetryAfter([]byte(value), wednesday); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	f.Add([]byte("5"))
	f.Add([]byte(wednesday.Format(http.TimeFormat)))
	f.Fuzz(func(t *testing.T, value []byte) {
		if got := ParseRetryAfter(value, wednesday); got < 0 || got > maxRetryAfter {
			t.Fatalf("%q: %s", value, got)
		}
	})
}
