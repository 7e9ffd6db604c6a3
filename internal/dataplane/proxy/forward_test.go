package proxy

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

func TestClientIsTheFirstOneNobodyVouchesFor(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	cases := []struct{ name, fields, want string }{
		{"no field", "", "127.0.0.1"},
		{"one", "X-Forwarded-For: 1.1.1.1\r\n", "1.1.1.1"},
		{"what is left of it is hearsay", "X-Forwarded-For: 6.6.6.6, 1.1.1.1\r\n", "1.1.1.1"},
		{"over a second proxy of ours", "X-Forwarded-For: 6.6.6.6, 1.1.1.1, 10.0.0.7\r\n", "1.1.1.1"},
		{"in several lines", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 10.0.0.7\r\n", "1.1.1.1"},
		{"all ours", "X-Forwarded-For: 10.0.0.8, 10.0.0.7\r\n", "10.0.0.8"},
		{"not an address", "X-Forwarded-For: 1.1.1.1, unknown\r\n", "127.0.0.1"},
		{"not an address behind one of ours", "X-Forwarded-For: <script>, 10.0.0.7\r\n", "10.0.0.7"},
		{"IPv6", "X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"},
		{"IPv4 in IPv6", "X-Forwarded-For: ::ffff:1.1.1.1\r\n", "1.1.1.1"},
		{"empty", "X-Forwarded-For:\r\n", "127.0.0.1"},
	}
	b, _ := raw(t, upstreamtest.Always(upstreamtest.OK), func(c *Config, _ *dispatch.Route) { c.TrustedProxies = trusted })
	c := b.dial()
	for _, tc := range cases {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n" + tc.fields + "\r\n")
		c.response("GET")
	}
	got := b.entries()
	for i, tc := range cases {
		if got[i].Client != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got[i].Client, tc.want)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "0123456789abcdef0123456789abcdef": true, "Root=1-67891233-abc": true, "a:b/c+d.e_f": true,
		"": false, "a b": false, `a"b`: false, "a\\b": false, "ä": false, "a,b": false,
		strings.Repeat("x", maxRequestID): true, strings.Repeat("x", maxRequestID+1): false,
	} {
		if got := validID([]byte(id)); got != want {
			t.Errorf("%q: %v, want %v", id, got, want)
		}
	}
	seen := map[string]bool{}
	for range 10000 {
		id := string(appendID(nil))
		if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
}
