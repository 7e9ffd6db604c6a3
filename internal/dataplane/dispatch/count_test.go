package dispatch

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

func TestEachExchangeIsCountedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, s, _, _ := setup(unwrap{t}, 3, defaultRetry())
		x := NewExchange(1)
		var want upstream.Totals
		now := second
		for range rapid.IntRange(1, 20).Draw(t, "requests") {
			tries := 0
			v := d.Begin(x, head{"GET", "/s/x"}, now)
			status := v.Status
			for v.Action == Forward {
				tries++
				o := Outcome{Sent: true, Replayable: true, Status: rapid.SampledFrom([]int{200, 404, 500, 503}).Draw(t, "status")}
				if f := rapid.SampledFrom([]Failure{None, None, ConnectRefused, Reset, Timeout, ClientGone}).Draw(t, "failure"); f != None {
					o = Outcome{Failure: f, Replayable: true}
				}
				now += second / 100
				v = d.Settle(x, o, now)
				if v.Action == Forward {
					reason := map[Failure]RetryReason{None: RetriedStatus, ConnectRefused: RetriedConnect, Reset: RetriedReset}[o.Failure]
					want.Retries[reason]++
				}
				status = o.Status
				if v.Action == Reply {
					status = v.Status
				}
			}
			x.BytesIn, x.BytesOut, x.Shard = 3, 5, tries
			want.BytesIn += 3
			want.BytesOut += 5
			if rapid.Bool().Draw(t, "the front end sent its own status") {
				x.Sent, status = 413, 413
			}
			failure := x.failure
			r := d.End(x, now)
			if r.Attempts != tries {
				t.Fatalf("%d attempts, want %d", r.Attempts, tries)
			}
			want.Requests[status/100]++
			if failure != None {
				want.Failures[failure]++
			}
		}
		got := s.Traffic("r").Load()
		got.RetriesDenied = 0 // retries of one request at a time are within the budget
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestRetriesBeyondTheBudgetAreCounted(t *testing.T) {
	d, s, _, _ := setup(t, 10, defaultRetry())
	var all []*Exchange
	for i := range 5 { // of few requests in flight, three may be retries
		x := NewExchange(uint64(i))
		d.Begin(x, head{"GET", "/s/x"}, second)
		d.Settle(x, Outcome{Failure: ConnectRefused, Replayable: true}, second)
		all = append(all, x)
	}
	for _, x := range all {
		d.End(x, second)
	}
	if n := s.Traffic("r").Load(); n.Retries[RetriedConnect] != 4 || n.RetriesDenied != 1 {
		t.Errorf("%d retries and %d denied, want 4 and 1", n.Retries[RetriedConnect], n.RetriesDenied)
	}
}

func TestRequestsWithoutRouteAreCounted(t *testing.T) {
	d, s, _, _ := setup(t, 1, Retry{})
	x := NewExchange(1)
	d.Begin(x, head{"GET", "/elsewhere"}, second)
	d.End(x, second)
	if n := d.Own().Traffic("").Load().Requests[4]; n != 1 {
		t.Errorf("%d without a route, want 1", n)
	}
	if n := s.Traffic("r").Load().Requests; n != [upstream.StatusClasses]uint64{} {
		t.Errorf("the route counted %v", n)
	}
}
