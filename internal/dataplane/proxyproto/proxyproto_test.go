package proxyproto

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

const (
	four = "\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\x30\x39\x01\xbb" // 192.0.2.1:12345 to 198.51.100.2:443
	six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
)

func TestParse(t *testing.T) {
	v2 := func(rest string) string { return signature + rest }
	for name, tc := range map[string]struct {
		in     string
		source string // empty: no addresses
		length int    // 0: more bytes are needed; -1: all
		err    error
	}{
		"v1, IPv4":                    {"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n", "192.0.2.1:12345", -1, nil},
		"v1, IPv6":                    {"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "[2001:db8::1]:1", -1, nil},
		"v1, IPv4 in IPv6":            {"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1:1", -1, nil},
		"v1, port 0":                  {"PROXY TCP4 192.0.2.1 198.51.100.2 0 0\r\n", "192.0.2.1:0", -1, nil},
		"v1, a request follows":       {"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\nGET / HTTP/1.1\r\n", "192.0.2.1:1", 39, nil},
		"v1, unknown":                 {"PROXY UNKNOWN\r\n", "", -1, nil},
		"v1, unknown with a rest":     {"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "", -1, nil},
		"v1, the longest line":        {"PROXY UNKNOWN " + strings.Repeat("x", MaxV1-16) + "\r\n", "", -1, nil},
		"v1, a line too long":         {"PROXY UNKNOWN " + strings.Repeat("x", MaxV1-15) + "\r\n", "", 0, ErrTooLong},
		"v1, a line without an end":   {"PROXY " + strings.Repeat("x", MaxV1), "", 0, ErrTooLong},
		"v1, cut":                     {"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443", "", 0, nil},
		"v1, cut before the line end": {"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r", "", 0, nil},
		"v1, LF alone":                {"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\n", "", 0, ErrMalformed},
		"v1, two blanks":              {"PROXY TCP4  192.0.2.1 198.51.100.2 12345 443\r\n", "", 0, ErrMalformed},
		"v1, a blank at the end":      {"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443 \r\n", "", 0, ErrMalformed},
		"v1, a word less":             {"PROXY TCP4 192.0.2.1 198.51.100.2 12345\r\n", "", 0, ErrMalformed},
		"v1, another family":          {"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "", 0, ErrMalformed},
		"v1, a zone":                  {"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "", 0, ErrMalformed},
		"v1, a leading zero":          {"PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n", "", 0, ErrMalformed},
		"v1, a port with a zero":      {"PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n", "", 0, ErrMalformed},
		"v1, a port with a sign":      {"PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n", "", 0, ErrMalformed},
		"v1, a port too large":        {"PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n", "", 0, ErrMalformed},
		"v1, UDP":                     {"PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", "", 0, ErrMalformed},
		"v1, lower case":              {"proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n", "", 0, ErrMissing},
		"v1, nothing":                 {"PROXY \r\n", "", 0, ErrMalformed},
		"v2, IPv4":                    {v2("\x21\x11" + four), "192.0.2.1:12345", -1, nil},
		"v2, IPv6":                    {v2("\x21\x21\x00\x24" + six + six + "\x00\x01\x00\x02"), "[2001:db8::1]:1", -1, nil},
		"v2, local":                   {v2("\x20\x00\x00\x00"), "", -1, nil},
		"v2, local with addresses":    {v2("\x20\x11" + four), "", -1, nil},
		"v2, unspecified":             {v2("\x21\x00\x00\x00"), "", -1, nil},
		"v2, UDP":                     {v2("\x21\x12" + four), "", -1, nil},
		"v2, extensions to come":      {v2("\x21\x11\x01\x00" + four[2:]), "192.0.2.1:12345", 16 + 256, nil},
		"v2, the longest":             {v2("\x21\x11\x10\x00" + four[2:]), "192.0.2.1:12345", MaxV2, nil},
		"v2, too long":                {v2("\x21\x11\x10\x01" + four[2:]), "", 0, ErrTooLong},
		"v2, addresses cut off":       {v2("\x21\x11\x00\x0b" + four[2:]), "", 0, ErrMalformed},
		"v2, IPv6 in 12 bytes":        {v2("\x21\x21" + four), "", 0, ErrMalformed},
		"v2, cut":                     {v2("\x21\x11" + four[:6]), "", 0, nil},
		"v2, another version":         {v2("\x11\x11" + four), "", 0, ErrMalformed},
		"v2, another command":         {v2("\x22\x11" + four), "", 0, ErrMalformed},
		"nothing":                     {"", "", 0, nil},
		"half a signature":            {signature[:5], "", 0, nil},
		"a request":                   {"GET / HTTP/1.1\r\n", "", 0, ErrMissing},
		"a request that begins alike": {"PUT / HTTP/1.1\r\n", "", 0, ErrMissing},
		"TLS":                         {"\x16\x03\x01", "", 0, ErrMissing},
	} {
		t.Run(name, func(t *testing.T) {
			h, n, err := Parse([]byte(tc.in))
			want := tc.length
			if want < 0 {
				want = len(tc.in)
			}
			if n != want || !errors.Is(err, tc.err) {
				t.Fatalf("length %d, %v; want %d, %v", n, err, want, tc.err)
			}
			if got := h.Source; got.IsValid() != (tc.source != "") || got.IsValid() && got.String() != tc.source {
				t.Errorf("source %v, want %q", got, tc.source)
			}
		})
	}
}

func TestHeadersAreReadAsTheyWereWritten(t *testing.T) {
	for _, v := range []Version{V1, V2} {
		for name, h := range map[string]Header{
			"IPv4":    {v, netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:65535")},
			"IPv6":    {v, netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:2")},
			"mixed":   {v, netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("[2001:db8::2]:2")},
			"longest": {v, netip.MustParseAddrPort("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"), netip.MustParseAddrPort("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")},
			"none":    {Version: v},
		} {
			b := h.Append([]byte("before"))[len("before"):]
			got, n, err := Parse(b)
			if err != nil || n != len(b) || got != h {
				t.Errorf("version %d, %s: %q is read as %v, length %d, %v", v, name, b, got, n, err)
			}
		}
	}
}

func TestAHeaderAllocatesNothing(t *testing.T) {
	h := Header{V1, netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:65535")}
	buf := make([]byte, 0, MaxV1)
	if n := testing.AllocsPerRun(100, func() { buf = h.Append(buf[:0]) }); n > 0 {
		t.Errorf("writing a header: %v allocations", n)
	}
}

// FuzzParse holds what the caller relies on: bounds, one answer for every longer input, and headers that are read as
// they were written.
func FuzzParse(f *testing.F) {
	for _, h := range []Header{
		{V1, netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:65535")},
		{V2, netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:65535")},
		{V1, netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:2")},
		{V2, netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:2")},
		{Version: V1}, {Version: V2},
	} {
		f.Add(h.Append(nil))
	}
	f.Add([]byte("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\nGET / HTTP/1.1\r\n"))
	f.Add([]byte(signature + "\x21\x11\x00\x10" + four[2:] + "\x03\x00\x01x"))
	f.Add([]byte(signature + "\x21\x31\x00\xd8"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := Parse(b)
		if n == 0 && err == nil && len(b) >= MaxFixed {
			t.Fatalf("%d bytes do not suffice", len(b))
		}
		if n > MaxV2 || h.Version == V1 && n > min(MaxV1, len(b)) {
			t.Fatalf("length %d of %d bytes", n, len(b))
		}
		if n > 0 || err != nil { // further bytes change nothing
			again, m, late := Parse(append(b[:len(b):len(b)], "more\r\n"...))
			if again != h || m != n || late != err {
				t.Fatalf("with more bytes %v, %d, %v; before %v, %d, %v", again, m, late, h, n, err)
			}
		}
		if n > 0 {
			out := h.Append(nil)
			again, m, err := Parse(out)
			if again != h || m != len(out) || err != nil {
				t.Fatalf("%q is read as %v, %d, %v; want %v", out, again, m, err, h)
			}
		}
	})
}
