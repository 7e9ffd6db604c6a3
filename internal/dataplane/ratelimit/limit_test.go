package ratelimit

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

type head map[string]string

func (h head) Method() []byte { return []byte("GET") }
func (h head) Host() []byte   { return nil }
func (h head) Path() []byte   { return []byte("/") }
func (h head) Query() []byte  { return nil }
func (h head) Header(name string) ([]byte, bool) {
	v, ok := h[strings.ToLower(name)]
	return []byte(v), ok
}

func (h head) Cookie(name string) ([]byte, bool) { return h.Header("cookie " + name) }

func request(client string, fields ...string) Request {
	h := head{}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		h[name] = value
	}
	return Request{Head: h, Client: netip.MustParseAddr(client)}
}

func spec(by string, edit func(*Spec)) Spec {
	b, err := ParseBy(by)
	if err != nil {
		panic(err)
	}
	s := Spec{ID: ID{Route: "r", Name: "l"}, Count: 1, Per: time.Second, Burst: 1, By: b, Keys: 1000}
	if edit != nil {
		edit(&s)
	}
	return s
}

const now = int64(time.Hour)

func allows(l *Limit, r Request) bool {
	refused, _ := Take([]*Limit{l}, r, now)
	return refused == nil
}

// Two requests share a bucket of one token, or they do not.
func TestWhichRequestsShareABucket(t *testing.T) {
	for _, tc := range []struct {
		by    string
		a, b  Request
		share bool
	}{
		{"", request("10.0.0.1"), request("10.0.0.2"), true},
		{"client", request("10.0.0.1"), request("10.0.0.1"), true},
		{"client", request("10.0.0.1"), request("10.0.0.2"), false},
		{"client", request("2001:db8::1"), request("2001:db8::ffff:0:1"), true},
		{"client", request("2001:db8:0:1::1"), request("2001:db8:0:2::1"), false},
		{"client", request("0.0.0.0"), request("::"), false},
		{"header:X-Key", request("10.0.0.1", "x-key=a"), request("10.0.0.2", "x-key=a"), true},
		{"header:X-Key", request("10.0.0.1", "x-key=a"), request("10.0.0.1", "x-key=b"), false},
		{"header:X-Key", request("10.0.0.1"), request("10.0.0.1", "x-key="), true},
		{"header:X-Key", request("10.0.0.1"), request("10.0.0.2"), false},
		{"header:X-Key", request("10.0.0.1", "x-key=a"), request("10.0.0.1"), false},
		{"header:X-Key", request("10.0.0.1"), request("10.0.0.9", "x-key=\x0a\x00\x00\x01"), false},
		{"cookie:sid", request("10.0.0.1", "cookie sid=a"), request("10.0.0.2", "cookie sid=a"), true},
		{"cookie:sid", request("10.0.0.1", "cookie sid=a"), request("10.0.0.1", "cookie sid=b"), false},
		{"cookie:sid", request("10.0.0.1"), request("10.0.0.1", "sid=a"), true},
	} {
		l := New(spec(tc.by, nil), nil)
		if !allows(l, tc.a) || allows(l, tc.b) == tc.share {
			t.Errorf("by %q: %v and %v: want shared %v", tc.by, tc.a, tc.b, tc.share)
		}
	}
	for _, bad := range []string{"clients", "header", "header:", "cookie:", "Client", "path", ":", " client"} {
		if _, err := ParseBy(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestARefusedRequestTakesNoToken(t *testing.T) {
	wide := New(spec("", func(s *Spec) { s.ID.Name, s.Burst = "wide", 3 }), nil)
	keyed := New(spec("header:X-Key", func(s *Spec) { s.ID.Name, s.Burst = "keyed", 3 }), nil)
	narrow := New(spec("client", nil), nil)
	all, one := []*Limit{wide, keyed, narrow}, request("10.0.0.1", "x-key=a")
	if refused, wait := Take(all, one, now); refused != nil || wait != 0 {
		t.Fatalf("refused by %v", refused)
	}
	for range 10 {
		if refused, wait := Take(all, one, now); refused != narrow || wait != time.Second {
			t.Fatalf("refused by %v, wait %s", refused, wait)
		}
	}
	for i, client := range []string{"10.0.0.2", "10.0.0.3"} {
		if refused, _ := Take(all, request(client, "x-key=a"), now); refused != nil {
			t.Errorf("request %d is refused by %v: the refused requests took tokens", i, refused)
		}
	}
	if refused, _ := Take(all, request("10.0.0.4", "x-key=b"), now); refused != wide {
		t.Errorf("refused by %v, want the limit of all", refused)
	}
	if s := narrow.Stats(now); s.Enforced != 10 || s.DryRun != 0 || s.Keys != 3 {
		t.Errorf("got %+v", s)
	}
	if s := wide.Stats(now + int64(3*time.Second)); s.Enforced != 1 || s.Keys != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestADryRunRefusesNone(t *testing.T) {
	dry := New(spec("client", func(s *Spec) { s.DryRun = true }), nil)
	enforced := New(spec("", func(s *Spec) { s.Burst = 5 }), nil)
	for range 5 {
		if refused, _ := Take([]*Limit{dry, enforced}, request("10.0.0.1"), now); refused != nil {
			t.Fatalf("refused by %v", refused)
		}
	}
	if s := dry.Stats(now); s.DryRun != 4 || s.Enforced != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestALimitKeepsItsBucketsUntilItsSettingsChange(t *testing.T) {
	l := New(spec("client", nil), nil)
	one := request("10.0.0.1")
	allows(l, one)
	allows(l, one)
	before := map[ID]*Limit{l.ID: l}
	if New(spec("client", nil), before) != l {
		t.Error("a limit with the same settings is a new one")
	}
	changed := New(spec("client", func(s *Spec) { s.Burst = 2 }), before)
	if changed == l || !allows(changed, one) || !allows(changed, one) || allows(changed, one) {
		t.Error("a changed limit does not begin with full buckets")
	}
	if s := changed.Stats(now); s.Enforced != 2 {
		t.Errorf("%d requests were refused, want 2: the counter goes on", s.Enforced)
	}
	if s := New(spec("client", func(s *Spec) { s.ID.Name = "other" }), before).Stats(now); s.Enforced != 0 {
		t.Error("another limit has the counter")
	}
}

func TestAShareOfTheFleet(t *testing.T) {
	l := New(spec("", func(s *Spec) { s.Count, s.Burst, s.Fleet = 100, 100, true }), nil)
	count := func(at int64) (n int) {
		for range 300 {
			if refused, _ := Take([]*Limit{l}, request("10.0.0.1"), at); refused == nil {
				n++
			}
		}
		return n
	}
	l.SetShare(.25)
	if n := count(now); n != 25 {
		t.Errorf("%d requests pass at once, want a quarter of the burst", n)
	}
	if n := count(now + int64(time.Second)); n != 25 {
		t.Errorf("%d requests pass after a second, want a quarter of the rate", n)
	}
	l.SetShare(0)
	if n := count(now + int64(time.Hour)); n != 1 {
		t.Errorf("%d requests pass with the smallest share, want 1", n)
	}
	l.SetShare(1)
	if n := count(now + int64(time.Hour) + 1); n != 0 {
		t.Errorf("%d requests pass in the moment in which the share grew, want 0", n)
	}
	if n := count(now + int64(time.Hour) + int64(time.Second) + 1); n != 100 {
		t.Errorf("%d requests pass 1 s after the share grew, want 100", n)
	}
	if s := l.Stats(now); l.Offered() != 1500 || s.Share != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestTheFieldsOfALimit(t *testing.T) {
	l := New(spec("client", func(s *Spec) { s.ID.Name, s.Count, s.Per, s.Burst = "per-client", 30, time.Minute, 60 }), nil)
	if l.Policy != `"per-client";q=30;w=60` || l.Text != "the rate limit per-client allows 30 requests per minute" {
		t.Errorf("%s, %s", l.Policy, l.Text)
	}
	if (ID{Route: "a", Name: "b"}).String() == (ID{Service: "a", Name: "b"}).String() {
		t.Error("a route and a service have the same id")
	}
}

func TestConcurrentRequestsOfOneBucket(t *testing.T) {
	l := New(spec("", func(s *Spec) { s.Burst = 500 }), nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				Take([]*Limit{l}, request("10.0.0.1"), now)
			}
		})
	}
	wg.Wait()
	if s := l.Stats(now); s.Enforced != 3500 {
		t.Errorf("%d requests were refused, want 3500", s.Enforced)
	}
}
