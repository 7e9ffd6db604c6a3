package accesslog

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const at = 1_764_465_797_123_000_000 // 2025-11-30T01:23:17.123Z

// filled returns an entry in which each field has a value.
func filled() Entry {
	return Entry{
		Time: at, RequestID: []byte("r1"), Client: netip.MustParseAddr("2001:db8::1"), Listener: "web", Protocol: "HTTP/1.1", Method: []byte("GET"),
		Host: []byte("example.com"), Target: []byte("/a?b=c"), Status: 200, BytesIn: 1, BytesOut: 2, Dispatched: true, DurationNs: 1_234_567, Route: "all",
		Service: "shop", Instance: "shop-1", Attempts: 1, User: "ann", QueueNs: 5_000_000,
		Retried: []Try{{Failure: "connect-refused"}, {Status: 503}, {Status: 200, GRPC: 14}}, Hedge: "won", Failure: "reset", Why: "adaptive", SNI: "example.com",
		TLSSubject: "CN=a", Referer: []byte("https://example.com/"), UserAgent: []byte("curl/8"),
	}
}

func line(t testing.TB, format string, e Entry) string {
	t.Helper()
	f, err := Parse(format)
	if err != nil {
		t.Fatal(err)
	}
	return string(f.Append(nil, &e))
}

func TestKnownLines(t *testing.T) {
	full, refused := filled(), Entry{Time: at, Status: 400, Why: "bad"}
	for format, want := range map[string][2]string{
		JSON: {
			`{"time":"2025-11-30T01:23:17.123Z","request_id":"r1","client":"2001:db8::1","listener":"web","protocol":"HTTP/1.1","method":"GET","host":"example.com","target":"/a?b=c","status":200,"bytes_in":1,"bytes_out":2,"duration_ms":1.234,"route":"all","service":"shop","instance":"shop-1","attempts":1,"user":"ann","queue_ms":5.000,"retried":["connect-refused","503","grpc-status 14"],"hedge":"won","failure":"reset","why":"adaptive"}`,
			`{"time":"2025-11-30T01:23:17.123Z","request_id":"","client":"","listener":"","protocol":"","method":"","host":"","target":"","status":400,"bytes_in":0,"bytes_out":0,"duration_ms":0,"route":"","service":"","instance":"","attempts":0,"why":"bad"}`,
		},
		Combined: {
			`2001:db8::1 - ann [30/Nov/2025:01:23:17 +0000] "GET /a?b=c HTTP/1.1" 200 2 "https://example.com/" "curl/8"`,
			`- - - [30/Nov/2025:01:23:17 +0000] "-" 400 0 "-" "-"`,
		},
		Common: {
			`2001:db8::1 - ann [30/Nov/2025:01:23:17 +0000] "GET /a?b=c HTTP/1.1" 200 2`,
			`- - - [30/Nov/2025:01:23:17 +0000] "-" 400 0`,
		},
		"$${x} ${path} ${durationMs}ms ${queueMs} ${tlsSubject} ${sni} ${failure} ${retried} ${hedge}\t$": {
			"${x} /a 1.234ms 5.000 CN=a example.com reset connect-refused,503,grpc-status 14 won\t$",
			"${x} - 0ms 0.000 - - - - -\t$",
		},
	} {
		for i, e := range []Entry{full, refused} {
			if got := line(t, format, e); got != want[i]+"\n" {
				t.Errorf("%s:\n got %s\nwant %s", format, got, want[i])
			}
		}
	}
}

func TestChosenFields(t *testing.T) {
	f, err := Chosen([]string{"status", "user", "path", "user_agent"})
	if err != nil {
		t.Fatal(err)
	}
	e := filled()
	if got, want := string(f.Append(nil, &e)), `{"status":200,"user":"ann","path":"/a","user_agent":"curl/8"}`+"\n"; got != want {
		t.Errorf("got %s", got)
	}
	if f, err = Chosen([]string{"user", "failure"}); err != nil {
		t.Fatal(err)
	}
	if got := string(f.Append(nil, &Entry{})); got != "{}\n" {
		t.Errorf("got %q", got)
	}
}

// The line of the standard fields is that of the same fields if they are chosen.
func TestStandardFieldsAreTheFirst(t *testing.T) {
	chosen, err := Chosen(Fields()[:lastStandard])
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []Entry{filled(), {Time: at}, {Time: at, Target: []byte("/\"\n"), QueueNs: 1, Dispatched: true}} {
		if got, want := string(chosen.Append(nil, &e)), line(t, JSON, e); got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
}

func TestFormatsThatAreRefused(t *testing.T) {
	for format, want := range map[string]string{
		"jsn":                                 `"jsn" has no variable: want json, combined or common, or a template`,
		"$${client}":                          "has no variable",
		"${client":                            "has no closing brace",
		"${Client}":                           "there is no variable ${Client}; variables: time, requestId, client,",
		"${}":                                 "there is no variable ${}",
		"${client}\n":                         "line breaks",
		"${client}\x7f":                       "line breaks",
		strings.Repeat("x", 4096) + "${user}": "at most 4096",
	} {
		if _, err := Parse(format); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %s", format, err, want)
		}
	}
	for want, keys := range map[string][]string{"is given twice": {"user", "user"}, `unknown field "requestId", want one of time, request_id`: {"requestId"}, `unknown field ""`: {""}} {
		if _, err := Chosen(keys); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", keys, err, want)
		}
	}
}

// Lines of the combined format as strict readers parse them: no value contains a quotation mark, and an escape is \xHH.
var combinedLine = regexp.MustCompile(`^(\S+) - ([^ \[\]"]+) \[(\d{2}/[A-Z][a-z]{2}/\d{4}(?::\d{2}){3} [+-]\d{4})\] "((?:[ !#-\[\]-~]|\\x[0-9A-F]{2})*)" (\d{3}) (\d+) "((?:[ !#-\[\]-~]|\\x[0-9A-F]{2})*)" "((?:[ !#-\[\]-~]|\\x[0-9A-F]{2})*)"\n$`)

// unescape is the reverse of the escapes of combined.
func unescape(s string) string {
	return regexp.MustCompile(`\\x[0-9A-F]{2}`).ReplaceAllStringFunc(s, func(x string) string {
		var b byte
		_, _ = fmt.Sscanf(x, `\x%02X`, &b)
		return string([]byte{b})
	})
}

// Whatever clients send, a line is one line, and a reader gets the values back.
func TestHostileValuesStayInTheirFields(t *testing.T) {
	combined, err := Parse(Combined)
	if err != nil {
		t.Fatal(err)
	}
	all, err := Chosen(Fields())
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string {
			return string(rapid.SliceOf(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte("\"\\ \n\r\x00\x7f[]-x")))).Draw(t, name))
		}
		e := filled()
		e.User, e.Target, e.Referer, e.UserAgent, e.SNI = text("user"), []byte(text("target")), []byte(text("referer")), []byte(text("agent")), text("sni")
		e.Status = rapid.SampledFrom([]int{0, 101, 200, 404, 599}).Draw(t, "status")
		or := func(s string) string {
			if s == "" {
				return "-"
			}
			return s
		}
		got := string(combined.Append(nil, &e))
		m := combinedLine.FindStringSubmatch(got)
		if m == nil {
			t.Fatalf("not a line: %q", got)
		}
		for i, want := range map[int]string{2: or(e.User), 4: "GET " + string(e.Target) + " HTTP/1.1", 7: or(string(e.Referer)), 8: or(string(e.UserAgent))} {
			if unescape(m[i]) != want {
				t.Fatalf("part %d is %q, want %q", i, m[i], want)
			}
		}
		got = string(all.Append(nil, &e))
		var o map[string]any
		if err := json.Unmarshal([]byte(got), &o); err != nil || strings.Count(got, "\n") != 1 {
			t.Fatalf("%v in %q", err, got)
		}
		latin := make([]rune, 0, len(e.UserAgent)) // a byte is the character with its number
		for _, c := range e.UserAgent {
			latin = append(latin, rune(c))
		}
		if o["user_agent"] != string(latin) {
			t.Fatalf("user_agent is %q", o["user_agent"])
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"json", "combined", "${client} $${x} ${user}", "${", "$${", "${}${"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if format, err := Parse(s); err == nil {
			e := filled()
			if got := string(format.Append(nil, &e)); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
				t.Errorf("%q: %q", s, got)
			}
		}
	})
}

func TestTheSecondIsFormattedAnew(t *testing.T) {
	f, err := Parse("${time} ${commonTime}")
	if err != nil {
		t.Fatal(err)
	}
	e := filled()
	f.Append(nil, &e)
	e.Time += 1_000_000_000
	if got := string(f.Append(nil, &e)); got != "2025-11-30T01:23:18.123Z 30/Nov/2025:01:23:18 +0000\n" {
		t.Error(got)
	}
}

func TestFilter(t *testing.T) {
	low, high := func() uint64 { return 0 }, func() uint64 { return math.MaxUint64 }
	for _, tc := range []struct {
		name   string
		f      Filter
		status int
		failed bool
		random func() uint64
		want   bool
	}{
		{"the zero value takes all", Filter{}, 200, false, low, true},
		{"a share of 1 takes all", Sampled(1, false), 200, false, low, true},
		{"a share of 0 takes no success", Sampled(0, false), 404, false, high, false},
		{"a share of 0 takes errors", Sampled(0, false), 500, false, low, true},
		{"a share of 0 takes failures", Sampled(0, false), 200, true, low, true},
		{"a tenth takes high numbers", Sampled(.1, false), 200, false, high, true},
		{"a tenth leaves low numbers", Sampled(.1, false), 200, false, low, false},
		{"errors only: success", Sampled(1, true), 399, false, high, false},
		{"errors only: client error", Sampled(1, true), 400, false, low, true},
		{"errors only: tunnel that failed", Sampled(1, true), 101, true, low, true},
		{"errors only, sampled: client error", Sampled(.1, true), 400, false, low, false},
		{"errors only, sampled: server error", Sampled(.1, true), 502, false, low, true},
	} {
		if got := tc.f.Takes(tc.status, tc.failed, tc.random); got != tc.want {
			t.Errorf("%s: got %v", tc.name, got)
		}
	}
}

// Among all random numbers, the share of those taken is the share of the filter.
func TestShareOfTheFilter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Float64Range(0, 1).Draw(t, "share")
		f, taken := Sampled(share, false), 0
		const n = 1000
		for i := range uint64(n) {
			if f.Takes(200, false, func() uint64 { return i * (math.MaxUint64 / n) }) {
				taken++
			}
		}
		if math.Abs(float64(taken)/n-share) > 2./n {
			t.Fatalf("%d of %d taken, share %v", taken, n, share)
		}
	})
}

func TestLinesAllocateNothing(t *testing.T) {
	for _, format := range []string{JSON, Combined, "${time} ${user} ${path} ${durationMs}"} {
		f, err := Parse(format)
		if err != nil {
			t.Fatal(err)
		}
		e, b := filled(), make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(100, func() { b = f.Append(b[:0], &e) }); n != 0 {
			t.Errorf("%s: %v allocations", format, n)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, format := range []string{JSON, Combined} {
		b.Run(format, func(b *testing.B) {
			f, err := Parse(format)
			if err != nil {
				b.Fatal(err)
			}
			e, line := filled(), make([]byte, 0, 4096)
			for b.Loop() {
				line = f.Append(line[:0], &e)
			}
		})
	}
}
