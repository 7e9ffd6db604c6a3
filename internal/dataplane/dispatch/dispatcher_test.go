package dispatch

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/picker"
	"github.com/smartlb/smartlb/internal/dataplane/ratelimit"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

type head struct{ method, path string }

func (h head) Method() []byte               { return []byte(h.method) }
func (h head) Host() []byte                 { return []byte("example.com") }
func (h head) Path() []byte                 { return []byte(h.path) }
func (h head) Header(string) ([]byte, bool) { return nil, false }
func (h head) Query() []byte                { return nil }
func (h head) Cookie(string) ([]byte, bool) { return nil, false }

const second = int64(time.Second)

type recorder struct{ decisions []string }

func (r *recorder) Record(d *Decision) {
	for i, a := range d.Attempts {
		r.decisions = append(r.decisions, fmt.Sprintf("%s %s#%d %d%s retried=%v", d.Why, a.Pool.Members[a.Chosen].Instance, i+1, a.Status, a.Failure, a.Retried))
	}
}

type signals struct{ broken, failing int }

func (s *signals) Broken(*upstream.Live)  { s.broken++ }
func (s *signals) Failing(*upstream.Live) { s.failing++ }

// setup gives a dispatcher with one service of n round-robin instances.
func setup(t interface {
	Helper()
	Fatal(...any)
}, n int, retry Retry) (*Dispatcher, *upstream.Service, *recorder, *signals) {
	t.Helper()
	s := upstream.NewService("s")
	spec := picker.Spec{Policy: "round_robin", Ejection: picker.DefaultEjection(), Panic: picker.DefaultPanic}
	for i := range n {
		spec.Entries = append(spec.Entries, picker.Entry{Live: upstream.NewLive("s", fmt.Sprintf("i%d", i), "", 1, 0), Weight: 1})
	}
	s.Swap(picker.Next(&upstream.Pool{}, spec, func(*upstream.Live) picker.Fact { return picker.Fact{} }, second, func() float64 { return 0 }))
	route := &Route{Name: "r", Split: []Share{{Service: s, Weight: 1, Traffic: s.Traffic("r")}}, Total: 1, Retry: retry, Timeout: 10 * time.Second}
	table, err := router.Compile([]router.Rule[*Route]{{Name: "r", Path: "/s", Kind: router.Prefix, Value: route}})
	if err != nil {
		t.Fatal(err)
	}
	rec, sig := &recorder{}, &signals{}
	d := New(Config{Recorder: rec, Signals: sig})
	d.Swap(&Table{Revision: "1", Routes: table, Names: "r /s"})
	return d, s, rec, sig
}

func defaultRetry() Retry {
	r := Retry{Attempts: 2, OnConnect: true, OnReset: true}
	r.OnStatus.Add(503, 503)
	return r
}

func TestRetryRule(t *testing.T) {
	for _, c := range []struct {
		name   string
		method string
		out    Outcome
		retry  bool
	}{
		{"a refused connection is tried elsewhere", "POST", Outcome{Failure: ConnectRefused, Replayable: true}, true},
		{"a reset before any byte was accepted is tried elsewhere", "POST", Outcome{Failure: Reset, Replayable: true}, true},
		{"a sent POST is never repeated", "POST", Outcome{Failure: EOF, Sent: true, Replayable: true}, false},
		{"a sent GET is repeated", "GET", Outcome{Failure: EOF, Sent: true, Replayable: true}, true},
		{"a request whose body left the buffer is not", "GET", Outcome{Failure: EOF, Sent: true}, false},
		{"a listed status is repeated for GET", "GET", Outcome{Status: 503, Sent: true, Replayable: true}, true},
		{"a listed status is not repeated for POST", "POST", Outcome{Status: 503, Sent: true, Replayable: true}, false},
		{"an unlisted status is relayed", "GET", Outcome{Status: 500, Sent: true, Replayable: true}, false},
		{"a timeout that is not listed is not repeated", "GET", Outcome{Failure: Timeout, Sent: true, Replayable: true}, false},
		{"a client that left is not retried", "GET", Outcome{Failure: ClientGone, Sent: true, Replayable: true}, false},
	} {
		d, s, _, _ := setup(t, 3, defaultRetry())
		x := NewExchange(1)
		first := d.Begin(x, head{c.method, "/s"}, second)
		v := d.Settle(x, c.out, 2*second)
		if got := v.Action == Forward; got != c.retry {
			t.Errorf("%s: retried %v", c.name, got)
		}
		if c.retry && v.Live == first.Live {
			t.Errorf("%s: the same instance again", c.name)
		}
		d.End(x, 3*second)
		if s.Active.Load() != 0 || s.Retry.Load() != 0 {
			t.Errorf("%s: active %d, retries %d after the end", c.name, s.Active.Load(), s.Retry.Load())
		}
	}
}

func TestRepliesSayWhatIsMissing(t *testing.T) {
	d, s, _, _ := setup(t, 1, Retry{})
	x := NewExchange(1)
	v := d.Begin(x, head{"GET", "/other"}, second)
	if v.Action != Reply || v.Status != 404 || !strings.Contains(v.Text, "/other") || !strings.Contains(v.Text, "r /s") {
		t.Errorf("404: %+v", v)
	}
	d.End(x, second)
	s.Swap(&upstream.Pool{Members: []upstream.Member{{Live: upstream.NewLive("s", "i", "", 1, 0), Out: upstream.Draining}}})
	v = d.Begin(x, head{"GET", "/s"}, second)
	if v.Action != Reply || v.Status != 503 || !strings.Contains(v.Text, "1 draining") {
		t.Errorf("503: %+v", v)
	}
	if r := d.End(x, second); r.Status != 503 || r.Why != CodeNoInstance || r.Service != "s" {
		t.Errorf("record %+v", r)
	}
}

func TestEveryErrorAndRetryIsRecordedWithoutASample(t *testing.T) {
	d, _, rec, sig := setup(t, 2, defaultRetry())
	x := NewExchange(1)
	d.Begin(x, head{"GET", "/s"}, second)
	d.Settle(x, Outcome{Failure: ConnectRefused, Replayable: true}, second)
	d.Settle(x, Outcome{Status: 200, Sent: true}, second)
	d.End(x, second)
	d.Begin(x, head{"GET", "/s"}, second)
	d.Settle(x, Outcome{Status: 200, Sent: true}, second)
	d.End(x, second)
	if len(rec.decisions) != 2 || !strings.Contains(rec.decisions[0], "connect-refused retried=true") || !strings.HasPrefix(rec.decisions[1], "retry") {
		t.Errorf("decisions %q", rec.decisions)
	}
	if sig.broken != 1 {
		t.Errorf("%d event checks asked for, want 1", sig.broken)
	}
}

func TestFifthFailureWakesTheKeeperOnce(t *testing.T) {
	d, _, _, sig := setup(t, 1, Retry{})
	x := NewExchange(1)
	for range 8 {
		d.Begin(x, head{"GET", "/s"}, second)
		d.Settle(x, Outcome{Status: 500, Sent: true}, second)
		d.End(x, second)
	}
	if sig.failing != 1 {
		t.Errorf("woken %d times, want 1", sig.failing)
	}
}

func TestBrokenBodyCountsAgainstTheInstanceOnce(t *testing.T) {
	d, s, _, _ := setup(t, 1, Retry{})
	x := NewExchange(1)
	v := d.Begin(x, head{"GET", "/s"}, second)
	d.Settle(x, Outcome{Status: 200, Sent: true}, second)
	x.Fail(Reset)
	r := d.End(x, second)
	if v.Live.Errors.Load() != 1 || v.Live.Requests.Load() != 1 || r.Failure != Reset || r.Why != CodeBodyBroken {
		t.Errorf("errors %d of %d, record %+v", v.Live.Errors.Load(), v.Live.Requests.Load(), r)
	}
	d.Begin(x, head{"GET", "/s"}, second)
	d.Settle(x, Outcome{Status: 200, Sent: true}, second)
	x.Fail(ClientGone)
	d.End(x, second)
	if v.Live.Errors.Load() != 1 || s.Active.Load() != 0 {
		t.Error("a client that left was counted against the instance")
	}
}

// Whatever happens, every ticket is released and every counter returns to zero.
func TestAccountingBalances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		retry := defaultRetry()
		retry.OnStatus.Add(429, 429)
		retry.MaxRetryAfter = time.Duration(rapid.IntRange(0, 10).Draw(t, "most")) * time.Second
		retry.Backoff.Base = time.Duration(rapid.IntRange(0, 1).Draw(t, "back-off")) * time.Millisecond
		d, s, _, _ := setup(unwrap{t}, rapid.IntRange(1, 5).Draw(t, "n"), retry)
		exchanges := []*Exchange{NewExchange(1), NewExchange(2), NewExchange(3)}
		now := second
		for range rapid.IntRange(1, 40).Draw(t, "requests") {
			x := exchanges[rapid.IntRange(0, 2).Draw(t, "x")]
			v := d.Begin(x, head{rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method"), "/s"}, now)
			tried := map[*upstream.Live]bool{}
			for v.Action == Forward || v.Action == Pause {
				if v.Action == Pause {
					now += int64(v.Wait)
					if v.Deadline != 0 && now >= v.Deadline {
						t.Fatalf("a wait of %s goes beyond the deadline", v.Wait)
					}
					v = d.Resume(x, rapid.SampledFrom([]Failure{None, None, ClientGone, Stopped}).Draw(t, "ended"), now)
					continue
				}
				if tried[v.Live] {
					t.Fatal("one request went twice to the same instance")
				}
				tried[v.Live] = true
				now += int64(rapid.IntRange(0, 1e9).Draw(t, "took"))
				o := Outcome{
					Failure: Failure(rapid.IntRange(0, int(ClientGone)).Draw(t, "failure")),
					Sent:    rapid.Bool().Draw(t, "sent"), Replayable: rapid.Bool().Draw(t, "replayable"),
				}
				if o.Failure == None {
					o.RetryAfter = time.Duration(rapid.IntRange(0, 20).Draw(t, "asks")) * time.Second
					o.Status = rapid.SampledFrom([]int{200, 404, 429, 500, 503}).Draw(t, "status")
				}
				v = d.Settle(x, o, now)
			}
			if v.Action == Relay && rapid.Bool().Draw(t, "breaks") {
				x.Fail(Reset)
			}
			d.End(x, now)
		}
		if s.Active.Load() != 0 || s.Retry.Load() != 0 {
			t.Fatalf("active %d retries %d", s.Active.Load(), s.Retry.Load())
		}
		for _, m := range s.Pool().Members {
			if m.InFlight.Load() != 0 {
				t.Fatalf("%s still has %d in flight", m.Instance, m.InFlight.Load())
			}
			if m.Errors.Load() > m.Requests.Load() {
				t.Fatalf("%d errors of %d requests", m.Errors.Load(), m.Requests.Load())
			}
		}
	})
}

// unwrap lets setup take a rapid.T.
type unwrap struct{ *rapid.T }

func (unwrap) Helper() {}

func TestExplainIsOneLineOfJSON(t *testing.T) {
	d, _, _, _ := setup(t, 3, Retry{})
	x := NewExchange(1)
	d.Begin(x, head{"GET", "/s"}, second)
	d.Settle(x, Outcome{Status: 200}, second)
	line := x.AppendExplain(nil)
	var v map[string]any
	if err := json.Unmarshal(line, &v); err != nil || strings.ContainsAny(string(line), "\r\n") || v["instance"] == nil {
		t.Fatalf("%s: %v", line, err)
	}
	d.End(x, second)
}

func TestPathOfARequestAllocatesNothing(t *testing.T) {
	d, _, _, _ := setup(t, 20, defaultRetry())
	d.cfg.Recorder = nil
	x := NewExchange(1)
	var h Head = &fixed{[]byte("GET"), []byte("/s/x")}
	if n := testing.AllocsPerRun(1000, func() {
		d.Begin(x, h, second)
		d.Settle(x, Outcome{Status: 200, Sent: true, Replayable: true}, 2*second)
		d.End(x, 2*second)
	}); n != 0 {
		t.Fatalf("%v allocations, want 0", n)
	}
}

type fixed struct{ method, path []byte }

func (f *fixed) Method() []byte               { return f.method }
func (f *fixed) Host() []byte                 { return nil }
func (f *fixed) Path() []byte                 { return f.path }
func (f *fixed) Header(string) ([]byte, bool) { return nil, false }
func (f *fixed) Query() []byte                { return nil }
func (f *fixed) Cookie(string) ([]byte, bool) { return nil, false }

func BenchmarkExchange(b *testing.B) {
	d, _, _, _ := setup(b, 20, defaultRetry())
	x := NewExchange(1)
	var h Head = &fixed{[]byte("GET"), []byte("/s/x")}
	for b.Loop() {
		d.Begin(x, h, second)
		d.Settle(x, Outcome{Status: 200, Sent: true, Replayable: true}, 2*second)
		d.End(x, 2*second)
	}
}

// A request that a limit refuses has a service and no instance: nothing is active, charged or recorded as a decision.
func TestALimitRefusesBeforeAnInstanceIsPicked(t *testing.T) {
	d, s, rec, _ := setup(t, 1, defaultRetry())
	d.cfg.Sample, d.sample = 1, 1<<53
	l := ratelimit.New(ratelimit.Spec{ID: ratelimit.ID{Service: "s", Name: "total"}, Count: 1, Per: time.Second, Burst: 1}, nil)
	route, _ := d.Table().Routes.Match(head{"GET", "/s"}, router.Peer{})
	route.Split[0].Limits = []*ratelimit.Limit{l}
	x := NewExchange(1)
	if v := d.Begin(x, head{"GET", "/s"}, second); v.Action != Forward {
		t.Fatalf("the first request: %+v", v)
	}
	if v := d.Settle(x, Outcome{Failure: ConnectRefused, Replayable: true}, second); v.Action != Reply {
		t.Fatalf("no other instance: %+v", v)
	}
	d.End(x, second)
	decisions := len(rec.decisions)
	v := d.Begin(x, head{"GET", "/s"}, second)
	refused, wait := x.Limited()
	if v.Action != Reply || v.Status != 429 || v.Code != CodeRateLimited || refused != l || wait != time.Second || s.Active.Load() != 0 {
		t.Errorf("got %+v, %v, %s, %d active", v, refused, wait, s.Active.Load())
	}
	if r := d.End(x, second); r.Service != "s" || r.Instance != "" || r.Attempts != 0 || r.Why != CodeRateLimited || r.Failure != None {
		t.Errorf("record %+v", r)
	}
	if len(rec.decisions) != decisions || s.Active.Load() != 0 {
		t.Errorf("%d decisions, %d active after the end", len(rec.decisions)-decisions, s.Active.Load())
	}
	if v := d.Begin(x, head{"GET", "/s"}, 3*second); v.Action != Forward {
		t.Errorf("after a pause: %+v", v)
	}
	if refused, _ := x.Limited(); refused != nil {
		t.Error("the exchange remembers the limit of its former request")
	}
	d.Settle(x, Outcome{Status: 200}, 3*second)
	d.End(x, 3*second)
	if n := s.Traffic("r").Load().Requests[4]; n != 1 {
		t.Errorf("%d requests are counted as 4xx, want 1", n)
	}
}
