package trend

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// pool is a service whose members cost what the test says.
type pool struct {
	members []*upstream.Member
	costs   []upstream.Candidate
}

func (p pool) EachLive(f func(*upstream.Live, map[string]string)) {
	for _, m := range p.members {
		f(m.Live, nil)
	}
}

func (p pool) EachCost(f func(*upstream.Member, upstream.Candidate)) {
	for i, m := range p.members {
		f(m, p.costs[i])
	}
}

func TestFactorsAreKeptWithinHalfAPercent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := math.Exp(rapid.Float64Range(-20, 20).Draw(t, "log"))
		if got := unpacked(packed(v)); math.Abs(got/v-1) > .005 {
			t.Fatalf("%v became %v", v, got)
		}
	})
	for _, v := range []float64{0, -1, math.NaN()} {
		if got := unpacked(packed(v)); got != 0 {
			t.Errorf("%v became %v", v, got)
		}
	}
	if got := unpacked(packed(math.Inf(1))); math.IsInf(got, 0) || got < 1e30 {
		t.Errorf("an infinite factor became %v", got)
	}
}

func TestSecondsSayWhatARequestCostAndWhoGotItsShare(t *testing.T) {
	a := &upstream.Member{Live: upstream.NewLive("s", "a", "a:1", 1, 0), Weight: 3, Capacity: 1, Veto: 1, SlowStart: 1}
	b := &upstream.Member{Live: upstream.NewLive("s", "b", "b:1", 1, 0), Weight: 1, Capacity: 1, Veto: 1, SlowStart: 1, Out: upstream.Ejected}
	p := pool{[]*upstream.Member{a, b}, []upstream.Candidate{{Latency: 2, Penalty: 8, Silence: 1, Err: .25, InFlight: 3}, {Latency: 1, Penalty: 1, Silence: 1}}}
	tr := New()
	for range Kept + 30 {
		add(a.Live, 9, 1, time.Millisecond)
		add(b.Live, 1, 0, time.Millisecond)
		tr.Sample(p)
	}
	got := tr.Seconds("s", "a")
	if len(got) != Kept || tr.Tick() != Kept+30 {
		t.Fatalf("%d seconds, tick %d", len(got), tr.Tick())
	}
	for i, s := range got {
		if s.Requests != 9 || s.Errors != 1 || s.Out != upstream.In || s.InFlight != 3 {
			t.Fatalf("second %d: %+v", i, s)
		}
		if math.Abs(s.Share-.9) > 1e-9 || math.Abs(s.FairShare-.75) > .01 {
			t.Fatalf("second %d: share %v, fair %v", i, s.Share, s.FairShare)
		}
		if math.Abs(s.LatencyFactor-2) > .01 || math.Abs(s.ErrorFactor-8) > .05 || math.Abs(s.Error-.25) > .001 {
			t.Fatalf("second %d: %+v", i, s)
		}
		if i > 0 && s.At.Sub(got[i-1].At) != time.Second {
			t.Fatalf("second %d is %s after the one before", i, s.At.Sub(got[i-1].At))
		}
	}
	if s := tr.Seconds("s", "b"); s[0].Out != upstream.Ejected {
		t.Errorf("b was %v", s[0].Out)
	}
	if tr.Seconds("s", "c") != nil || tr.Seconds("t", "a") != nil {
		t.Error("seconds of an instance that is not there")
	}
}

func TestTheNewestEventsAreRememberedUntilTheInstanceLeaves(t *testing.T) {
	l := upstream.NewLive("s", "i", "a:1", 1, 0)
	tr := New()
	tr.Sample(lives{l})
	for i := range Probes + 5 {
		tr.Probed("s", "i", Probe{Status: i, OK: i%2 == 0, Detail: "words"})
		tr.Changed("s", "i", Standing{From: "in", To: "ejected", Until: time.Unix(int64(i), 0)})
	}
	probes, standings := tr.Events("s", "i")
	if len(probes) != Probes || probes[0].Status != 5 || probes[Probes-1].Status != Probes+4 || len(standings) != Standings {
		t.Fatalf("%d probes from %d, %d standings", len(probes), probes[0].Status, len(standings))
	}
	for _, p := range probes {
		if (p.Detail == "") != p.OK {
			t.Fatalf("%+v", p)
		}
	}
	moved := upstream.NewLive("s", "i", "a:2", 2, 0) // another address: the same instance
	tr.Sample(lives{moved})
	tr.Sample(lives{moved})
	if probes, _ := tr.Events("s", "i"); len(probes) != Probes {
		t.Errorf("%d probes after the address changed", len(probes))
	}
	tr.Sample(lives{})
	if probes, standings := tr.Events("s", "i"); probes != nil || standings != nil {
		t.Error("events of an instance that left")
	}
	if len(tr.lives)+len(tr.past)+len(tr.happened) != 0 {
		t.Errorf("%d %d %d entries are left", len(tr.lives), len(tr.past), len(tr.happened))
	}
}
