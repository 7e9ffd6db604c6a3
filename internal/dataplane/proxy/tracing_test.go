package proxy

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/tracecontext"
	"github.com/smartlb/smartlb/internal/test/porttest"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

const (
	aTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	aSpan  = "00f067aa0ba902b7"
)

// spans collects recorded exchanges.
type spans struct {
	mu  sync.Mutex
	all []Span
}

func (s *spans) Record(one *Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := *one
	record := *one.Record
	kept.Record, kept.Tries = &record, slices.Clone(one.Tries)
	kept.Path = slices.Clone(one.Path)
	s.all = append(s.all, kept)
}

func (s *spans) len() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.all) }

// heads collects the fields that an instance gets.
type heads struct {
	mu  sync.Mutex
	all []http.Header
}

func (h *heads) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, r.Header.Clone())
}

func (h *heads) last() http.Header { h.mu.Lock(); defer h.mu.Unlock(); return h.all[len(h.all)-1] }

// Each pair of protocols of client and instance; the proxy trusts no peer, or this client.
func TestTraceContextIsContinued(t *testing.T) {
	valid := "00-" + aTrace + "-" + aSpan + "-01"
	for _, http2 := range []bool{false, true} {
		for _, trusted := range []bool{false, true} {
			got, recorded := &heads{}, &spans{}
			addr := upstreamtest.NewHTTP(t, got)
			if http2 {
				addr, _ = h2Instance(t, got.ServeHTTP)
			}
			b := run(t, []string{addr}, func(c *Config, r *dispatch.Route) {
				r.Split[0].Leg = &dispatch.Leg{HTTP2: http2}
				c.Tracing = &Tracing{Recorder: recorded}
				if trusted {
					c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				}
			})
			for name, client := range b.clientsOf("/a") {
				do, url := client()
				for _, row := range []struct {
					parents, states []string
					continued       bool
					state           string
				}{
					{[]string{valid}, []string{"a=1", "b=2"}, true, "a=1,b=2"},
					{[]string{valid}, []string{"A=1"}, true, ""},
					{[]string{valid}, nil, true, ""},
					{[]string{valid, valid}, []string{"a=1"}, false, ""},
					{[]string{strings.ToUpper(valid)}, []string{"a=1"}, false, ""},
					{[]string{"00-" + aTrace + "-0000000000000000-01"}, nil, false, ""},
					{[]string{""}, nil, false, ""},
					{nil, []string{"a=1"}, false, ""},
				} {
					before := recorded.len()
					req, _ := http.NewRequest("GET", url, nil)
					req.Header["Traceparent"], req.Header["Tracestate"] = row.parents, row.states
					res, err := do.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					_ = res.Body.Close()
					head := got.last()
					sent := head["Traceparent"]
					if len(sent) != 1 {
						t.Fatalf("%s: traceparent %q", name, sent)
					}
					c, ok := tracecontext.Parse([]byte(sent[0]))
					same := hex.EncodeToString(c.TraceID[:]) == aTrace
					if !ok || same != row.continued || hex.EncodeToString(c.SpanID[:]) == aSpan || c.Sampled != (trusted && row.continued) {
						t.Errorf("%s, HTTP/2 to the instance %v, trusted %v: %q becomes %q", name, http2, trusted, row.parents, sent)
					}
					if state := strings.Join(head["Tracestate"], "|"); state != row.state {
						t.Errorf("%s: tracestate %q becomes %q", name, row.states, state)
					}
					want := before
					if c.Sampled {
						want++
					}
					eventually(t, "recorded", func() bool { return recorded.len() == want })
				}
			}
			b.stop()
			for line := range strings.Lines(b.log.String()) {
				var e struct {
					TraceID string `json:"trace_id"`
				}
				if err := json.Unmarshal([]byte(line), &e); err != nil || len(e.TraceID) != 32 {
					t.Errorf("log %q %v", line, err)
				}
			}
		}
	}
}

func TestWithoutTracingTraceContextPassesUnchanged(t *testing.T) {
	got := &heads{}
	b := run(t, []string{upstreamtest.NewHTTP(t, got)}, nil)
	for _, client := range b.clientsOf("/a") {
		do, url := client()
		req, _ := http.NewRequest("GET", url, nil)
		req.Header["Traceparent"], req.Header["Tracestate"] = []string{"anything", "twice"}, []string{"A"}
		res, err := do.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if h := got.last(); !slices.Equal(h["Traceparent"], []string{"anything", "twice"}) || !slices.Equal(h["Tracestate"], []string{"A"}) {
			t.Errorf("got %v", h)
		}
	}
	b.stop()
	if strings.Contains(b.log.String(), "trace_id") {
		t.Error("the log has a trace_id")
	}
}

// A route that edits traceparent has the last word: an instance of another company may not get it.
func TestARouteMayReplaceTraceContext(t *testing.T) {
	got := &heads{}
	b := run(t, []string{upstreamtest.NewHTTP(t, got)}, func(c *Config, r *dispatch.Route) {
		c.Tracing = &Tracing{Recorder: &spans{}}
		edits, err := action.NewHeaders([]action.Edit{{Name: "tracestate", Value: "own=1"}}, []string{"Traceparent"})
		if err != nil {
			t.Fatal(err)
		}
		r.Actions = &action.Actions{Request: edits}
	})
	do, url := b.http("/a")
	req, _ := http.NewRequest("GET", url, nil)
	req.Header["Traceparent"], req.Header["Tracestate"] = []string{"00-" + aTrace + "-" + aSpan + "-01"}, []string{"a=1"}
	res, err := do.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if h := got.last(); len(h["Traceparent"]) != 0 || !slices.Equal(h["Tracestate"], []string{"own=1"}) {
		t.Errorf("got %v", h)
	}
}

// Each try has a span of its own, and its instance gets the id of that span: retries, and hedges at the same time.
func TestEachTryIsASpanOfItsOwn(t *testing.T) {
	for name, hedged := range map[string]bool{"retry": false, "hedge": true} {
		t.Run(name, func(t *testing.T) {
			recorded := &spans{}
			good := upstreamtest.NewRaw(t, upstreamtest.Always(named))
			first := porttest.Refused(t)
			var silent *upstreamtest.Raw
			if hedged {
				silent = upstreamtest.NewRaw(t, func(s *upstreamtest.Session) { s.Hang() })
				first = silent.Addr
			}
			b := run(t, []string{first, good.Addr}, func(c *Config, r *dispatch.Route) {
				c.Tracing = &Tracing{Sample: 1, Recorder: recorded}
				if hedged {
					hedging(c, r)
				}
			})
			do, url := b.http("/path?secret=1")
			res, err := do.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			b.stop()
			if len(recorded.all) != 1 || len(recorded.all[0].Tries) != 2 {
				t.Fatalf("recorded %+v", recorded.all)
			}
			s := recorded.all[0]
			if string(s.Path) != "/path" || s.Status != 200 || s.Record.Instance != "s-1" || s.Tries[0].Span == s.Tries[1].Span || s.Parent != [8]byte{} || s.End < s.Start {
				t.Errorf("recorded %+v", s)
			}
			sent := func(r *upstreamtest.Raw, try int) {
				c := s.Context
				for i := range c.SpanID {
					c.SpanID[i] = byte(s.Tries[try].Span >> (56 - 8*i))
				}
				if text := string(r.Received()[0]); !strings.Contains(text, "\r\nTraceparent: "+string(c.Append(nil))+"\r\n") {
					t.Errorf("the instance of try %d got %q, want the span %x", try, text, c.SpanID)
				}
			}
			sent(good, 1)
			if hedged {
				sent(silent, 0)
			}
		})
	}
}
