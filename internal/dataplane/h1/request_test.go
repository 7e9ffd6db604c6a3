package h1

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var defaults = Limits{}.WithDefaults()

// parse reads a head from a copy of s, as Parse rewrites targets in place.
func parse(s string) (*Request, int, *Error) {
	r := new(Request)
	n, err := r.Parse([]byte(s), &defaults)
	return r, n, err
}

func TestRequestHeadIsUnderstood(t *testing.T) {
	cases := []struct {
		name, in                        string
		method, host, path, query       string
		body                            Framing
		length                          int64
		close, keepAlive, cont, upgrade bool
	}{
		{"simple", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "a", "/", "", NoBody, 0, false, false, false, false},
		{"empty line before", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "a", "/", "", NoBody, 0, false, false, false, false},
		{"query", "GET /a?b?c=%zz HTTP/1.1\r\nHost: a:80\r\n\r\n", "GET", "a:80", "/a", "b?c=%zz", NoBody, 0, false, false, false, false},
		{"absolute", "GET http://A.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n", "GET", "A.example", "/x", "", NoBody, 0, false, false, false, false},
		{"absolute without path", "GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "a", "/", "q", NoBody, 0, false, false, false, false},
		{"absolute OPTIONS", "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", "a", "/", "", NoBody, 0, false, false, false, false},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", "a", "/", "", NoBody, 0, false, false, false, false},
		{"IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "GET", "[::1]:8080", "/", "", NoBody, 0, false, false, false, false},
		{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0012\r\n\r\n", "POST", "a", "/", "", ByLength, 12, false, false, false, false},
		{"zero length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "POST", "a", "/", "", NoBody, 0, false, false, false, false},
		{"chunked", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \tChunked \r\n\r\n", "GET", "a", "/", "", ByChunks, 0, false, false, false, false},
		{"unescaped UTF-8, and a byte that is none", "GET /a/../caf\xc3\xa9?\xff=a HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "a", "/caf%C3%A9", "%FF=a", NoBody, 0, false, false, false, false},
		{"a slash in too many bytes is none", "GET http://a/\xc0\xaf..\xc0\xaf HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "a", "/%C0%AF..%C0%AF", "", NoBody, 0, false, false, false, false},
		{"close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: x,, CLOSE\r\n\r\n", "GET", "a", "/", "", NoBody, 0, true, false, false, false},
		{"1.0", "GET / HTTP/1.0\r\n\r\n", "GET", "", "/", "", NoBody, 0, true, false, false, false},
		{"1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET", "", "/", "", NoBody, 0, false, true, false, false},
		{"continue", "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n", "PUT", "a", "/", "", ByLength, 1, false, false, true, false},
		{"websocket", "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "GET", "a", "/ws", "", NoBody, 0, false, false, false, true},
		{"h2c is no upgrade", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\n\r\n", "GET", "a", "/", "", NoBody, 0, false, false, false, false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			for cut := range len(tc.in) { // however it is cut into reads
				r := new(Request)
				buf := []byte(tc.in + "REST")
				if n, err := r.Parse(buf[:cut], &defaults); n != 0 || err != nil {
					t.Fatalf("after %d bytes: %d, %v", cut, n, err)
				}
				n, err := r.Parse(buf, &defaults)
				if err != nil || n != len(tc.in) {
					t.Fatalf("cut at %d: got %d, %v; want %d", cut, n, err, len(tc.in))
				}
				got := fmt.Sprintf("%s %s %s %s %d %d %v %v %v %v", r.Method(), r.Host(), r.Path(), r.Query(), r.Body, r.Length, r.Close, r.KeepAlive, r.Continue, r.WebSocket)
				want := fmt.Sprintf("%s %s %s %s %d %d %v %v %v %v", tc.method, tc.host, tc.path, tc.query, tc.body, tc.length, tc.close, tc.keepAlive, tc.cont, tc.upgrade)
				if got != want {
					t.Fatalf("got  %s\nwant %s", got, want)
				}
			}
		})
	}
}

func TestRequestHeadIsRefused(t *testing.T) {
	h := "Host: a\r\n"
	cases := []struct {
		name, in string
		status   int
	}{
		{"no version", "GET /\r\n\r\n", 400},
		{"two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\n" + h + "\r\n", 400},
		{"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
		{"bare LF in fields", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400},
		{"bare CR", "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", 400},
		{"two spaces", "GET  / HTTP/1.1\r\n" + h + "\r\n", 400},
		{"tab", "GET\t/ HTTP/1.1\r\n" + h + "\r\n", 400},
		{"trailing space", "GET / HTTP/1.1 \r\n" + h + "\r\n", 400},
		{"method with @", "G@T / HTTP/1.1\r\n" + h + "\r\n", 400},
		{"TLS", "\x16\x03\x01\x02\x00", 400},
		{"long method", strings.Repeat("A", 40) + " / HTTP/1.1\r\n" + h + "\r\n", 501},
		{"CONNECT", "CONNECT a:80 HTTP/1.1\r\n" + h + "\r\n", 501},
		{"preface", "PRI * HTTP/2.0\r\n\r\n", 400},
		{"HTTP/2.0", "GET / HTTP/2.0\r\n" + h + "\r\n", 505},
		{"http/1.1", "GET / http/1.1\r\n" + h + "\r\n", 400},
		{"HTTP/01.1", "GET / HTTP/01.1\r\n" + h + "\r\n", 400},
		{"HTTP/1.10", "GET / HTTP/1.10\r\n" + h + "\r\n", 400},
		{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
		{"two hosts", "GET / HTTP/1.1\r\n" + h + h + "\r\n", 400},
		{"host with userinfo", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
		{"host with comma", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400},
		{"host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
		{"host with bad port", "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400},
		{"host differs", "GET http://b/ HTTP/1.1\r\n" + h + "\r\n", 400},
		{"no slash", "GET a HTTP/1.1\r\n" + h + "\r\n", 400},
		{"asterisk with GET", "GET * HTTP/1.1\r\n" + h + "\r\n", 400},
		{"other scheme", "GET ftp://a/ HTTP/1.1\r\n" + h + "\r\n", 400},
		{"fragment", "GET /a#b HTTP/1.1\r\n" + h + "\r\n", 400},
		{"non-ASCII host in the target", "GET http://\xc3\xa4/ HTTP/1.1\r\n" + h + "\r\n", 400},
		{"DEL in the target", "GET /\x7f HTTP/1.1\r\n" + h + "\r\n", 400},
		{"backslash", "GET /a\\b HTTP/1.1\r\n" + h + "\r\n", 400},
		{"a way out behind an escaped slash", "GET /a%2F../b HTTP/1.1\r\n" + h + "\r\n", 400},
		{"escaped NUL", "GET /a%00 HTTP/1.1\r\n" + h + "\r\n", 400},
		{"half an escape", "GET /a%4 HTTP/1.1\r\n" + h + "\r\n", 400},
		{"above the root", "GET /a/../../b HTTP/1.1\r\n" + h + "\r\n", 400},
		{"above the root, escaped", "GET /%2e%2e/b HTTP/1.1\r\n" + h + "\r\n", 400},
		{"space before colon", "GET / HTTP/1.1\r\n" + h + "Content-Length : 1\r\n\r\n", 400},
		{"no colon", "GET / HTTP/1.1\r\n" + h + "abc\r\n\r\n", 400},
		{"no name", "GET / HTTP/1.1\r\n" + h + ": x\r\n\r\n", 400},
		{"fold", "GET / HTTP/1.1\r\n" + h + "X: a\r\n b\r\n\r\n", 400},
		{"space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
		{"NUL in value", "GET / HTTP/1.1\r\n" + h + "X: a\x00b\r\n\r\n", 400},
		{"DEL in value", "GET / HTTP/1.1\r\n" + h + "X: a\x7fb\r\n\r\n", 400},
		{"both", "POST / HTTP/1.1\r\n" + h + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"two lengths", "POST / HTTP/1.1\r\n" + h + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
		{"length list", "POST / HTTP/1.1\r\n" + h + "Content-Length: 1, 1\r\n\r\n", 400},
		{"signed length", "POST / HTTP/1.1\r\n" + h + "Content-Length: +1\r\n\r\n", 400},
		{"empty length", "POST / HTTP/1.1\r\n" + h + "Content-Length:\r\n\r\n", 400},
		{"huge length", "POST / HTTP/1.1\r\n" + h + "Content-Length: 9999999999999999999\r\n\r\n", 413},
		{"two codings", "POST / HTTP/1.1\r\n" + h + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"coding list", "POST / HTTP/1.1\r\n" + h + "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
		{"other coding", "POST / HTTP/1.1\r\n" + h + "Transfer-Encoding: gzip\r\n\r\n", 501},
		{"xchunked", "POST / HTTP/1.1\r\n" + h + "Transfer-Encoding: xchunked\r\n\r\n", 501},
		{"vertical tab", "POST / HTTP/1.1\r\n" + h + "Transfer-Encoding: \x0bchunked\r\n\r\n", 400},
		{"coding in 1.0", "POST / HTTP/1.0\r\n" + h + "Transfer-Encoding: chunked\r\n\r\n", 400},
		{"Connection names Host", "GET / HTTP/1.1\r\n" + h + "Connection: host\r\n\r\n", 400},
		{"Connection names X-Forwarded-For", "GET / HTTP/1.1\r\n" + h + "Connection: X-Forwarded-For\r\n\r\n", 400},
		{"Connection names Content-Length", "GET / HTTP/1.1\r\n" + h + "Connection: content-length\r\n\r\n", 400},
		{"Connection with a space", "GET / HTTP/1.1\r\n" + h + "Connection: a b\r\n\r\n", 400},
		{"Connection with many options", "GET / HTTP/1.1\r\n" + h + "Connection: " + strings.Repeat("a,", 50) + "\r\n\r\n", 400},
		{"expectation", "GET / HTTP/1.1\r\n" + h + "Expect: 200-ok\r\n\r\n", 417},
		{"upgrade with a body", "GET / HTTP/1.1\r\n" + h + "Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\n", 400},
		{"long target", "GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\n" + h + "\r\n", 414},
		{"endless target", "GET /" + strings.Repeat("a", 9000), 414},
		{"long head", "GET / HTTP/1.1\r\n" + h + "X: " + strings.Repeat("a", 17000) + "\r\n\r\n", 431},
		{"many fields", "GET / HTTP/1.1\r\n" + h + strings.Repeat("X: y\r\n", 101) + "\r\n", 431},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if _, n, err := parse(tc.in); err == nil || err.Status != tc.status {
				t.Fatalf("got %d bytes, %v; want status %d", n, err, tc.status)
			}
		})
	}
}

// spellings gives the routed and the forwarded spelling of a path.
func spellings(path string, reject bool) (routed, forwarded string, _ *Error) {
	var r Request
	err := r.setPath([]byte(path), reject)
	return string(r.path), string(r.forward), err
}

func TestSpellingsOfAPath(t *testing.T) {
	for _, tc := range []struct{ in, routed, forwarded string }{
		{"/", "/", "/"},
		{"/a/b", "/a/b", "/a/b"},
		{"/%61%2D%7e", "/a-~", "/%61%2D%7e"},
		{"/a%c3%a4", "/a%C3%A4", "/a%c3%a4"},
		{"/group%2fproject/-/raw", "/group%2Fproject/-/raw", "/group%2fproject/-/raw"}, // GitLab
		{"/@scope%2Fpackage", "/@scope%2Fpackage", "/@scope%2Fpackage"},                // npm
		{"/api/queues/%2F/q", "/api/queues/%2F/q", "/api/queues/%2F/q"},                // RabbitMQ
		{"/a%5Cb%5c", "/a%5Cb%5C", "/a%5Cb%5c"},
		{"/a%0d%0Ab", "/a%0D%0Ab", "/a%0d%0Ab"},
		{"/a%7Fb%3f%23", "/a%7Fb%3F%23", "/a%7Fb%3f%23"},
		{"/a/./b/../c", "/a/c", "/a/c"},
		{"/a/%2e%2E/c", "/c", "/c"},
		{"/%41/.%2e/%42", "/B", "/%42"},
		{"/a/..", "/", "/"},
		{"/a/.", "/a/", "/a/"},
		{"/.", "/", "/"},
		{"/a//b", "/a//b", "/a//b"},
		{"/a//../b", "/a/b", "/a/b"},
		{"/.well-known/x", "/.well-known/x", "/.well-known/x"},
		{"/%2egit/x", "/.git/x", "/%2egit/x"},
		{"/...", "/...", "/..."},
		{"/a/b/../../c/d/.", "/c/d/", "/c/d/"},
		{"/a;x=%3b", "/a;x=%3B", "/a;x=%3b"},
		{"/%25%32%65", "/%252e", "/%25%32%65"},
		{"/%252e%252e%252f", "/%252e%252e%252f", "/%252e%252e%252f"}, // an escape of an escape is text
		{"/a%2F...%2Fb", "/a%2F...%2Fb", "/a%2F...%2Fb"},
		{"/a%2F.gitlab-ci.yml", "/a%2F.gitlab-ci.yml", "/a%2F.gitlab-ci.yml"},
	} {
		if routed, forwarded, err := spellings(tc.in, false); err != nil || routed != tc.routed || forwarded != tc.forwarded {
			t.Errorf("%s: routed as %s, forwarded as %s, %v; want %s and %s", tc.in, routed, forwarded, err, tc.routed, tc.forwarded)
		}
	}
}

func TestPathsThatAreRefused(t *testing.T) {
	for path, always := range map[string]bool{
		"/..%2fadmin": true, "/public/..%2Fadmin": true, "/public%2f../admin": true, "/public%2F%2e%2e%2Fadmin": true,
		"/public/..%5cadmin": true, "/public%5c..": true, "/a/%2E.%2fb": true, "/a%2f..%5c": true,
		"/%2e%2e/b": true, "/..": true, "/a/../../b": true,
		"/a%00": true, "/a\\b": true, "/a%": true, "/a%4": true, "/a%zz": true, "/a%2": true,
		"/a%2Fb": false, "/a%5cb": false, "/a%0a": false, "/a%1f": false, "/a%7f": false,
	} {
		if _, _, err := spellings(path, false); (err != nil) != always {
			t.Errorf("%s, kept: %v", path, err)
		}
		if _, _, err := spellings(path, true); err == nil {
			t.Errorf("%s is not refused", path)
		}
	}
}

// TestPathsLeadNowhereElse: what is forwarded is routed and forwarded the same
// again, and an instance that decodes everything finds no "../.." in it.
func TestPathsLeadNowhereElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"/", ".", "../..", "a", "%2e", "%2E", "%41", "%e4", "%25", ";", "b.c", "//", "/./", "%2f", "%2F", "%5c", "%5C"})).Draw(t, "parts")
		samePath(t, "/"+strings.Join(parts, ""))
	})
}

func samePath(t interface{ Fatalf(string, ...any) }, in string) {
	routed, forwarded, err := spellings(in, false)
	if err != nil {
		return
	}
	if again, twice, err := spellings(forwarded, false); err != nil || again != routed || twice != forwarded {
		t.Fatalf("%q is routed as %q and forwarded as %q, which is routed as %q and forwarded as %q, %v", in, routed, forwarded, again, twice, err)
	}
	decoded, bad := url.PathUnescape(forwarded)
	if bad != nil {
		t.Fatalf("%q is forwarded as %q: %v", in, forwarded, bad)
	}
	for _, segment := range strings.FieldsFunc(decoded, func(c rune) bool { return c == '/' || c == '\\' }) {
		if segment == "../.." {
			t.Fatalf("%q is forwarded as %q, which decodes to %q", in, forwarded, decoded)
		}
	}
	if !strings.HasPrefix(routed, "/") || !strings.EqualFold(decoded, must(url.PathUnescape(routed))) {
		t.Fatalf("%q is routed as %q and decodes to %q", in, routed, decoded)
	}
}

func must(s string, err error) string {
	if err != nil {
		return err.Error()
	}
	return s
}

func TestRoutePathIsSpelledLikeRequests(t *testing.T) {
	for in, want := range map[string]string{"/a%2fb": "/a%2Fb", "/%41": "/A", "/caf\u00e9 x": "/caf%C3%A9%20x", "/a?b": "/a%3Fb", "/a#": "/a%23", "/x/": "/x/"} {
		if got, err := RoutePath(in); err != nil || got != want {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
	for _, in := range []string{"/a%zz", "/../x", "/a\\b"} {
		if got, err := RoutePath(in); err == nil {
			t.Errorf("%s became %s", in, got)
		}
	}
}

// TestForwardedHeadSaysTheSame: what we write, net/http and we read as what we
// read before.
func TestForwardedHeadSaysTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[A-Za-z][A-Za-z0-9-]{0,12}`)
		value := rapid.StringMatching(`[ -~]{0,20}`)
		var b strings.Builder
		fmt.Fprintf(&b, "POST /p%s HTTP/1.1\r\nHost: h\r\n", rapid.StringMatching(`(\?[a-z=&%]{0,9})?`).Draw(t, "query"))
		for range rapid.IntRange(0, 8).Draw(t, "fields") {
			fmt.Fprintf(&b, "%s:%s%s\r\n", name.Draw(t, "name"), rapid.SampledFrom([]string{"", " ", " \t "}).Draw(t, "space"), value.Draw(t, "value"))
		}
		b.WriteString(rapid.SampledFrom([]string{"", "Content-Length: 7\r\n", "Transfer-Encoding: chunked\r\n"}).Draw(t, "framing"))
		in := b.String() + "\r\n"
		r, n, err := parse(in)
		if err != nil {
			return // the random name was one with a meaning
		}
		if n != len(in) {
			t.Fatalf("read %d of %d bytes", n, len(in))
		}
		out := AppendEnd(r.AppendHead(nil, 0))
		again, n, err := parse(string(out))
		if err != nil || n != len(out) {
			t.Fatalf("we refuse what we wrote: %v\n%q", err, out)
		}
		if again.Body != r.Body || again.Length != r.Length || !bytes.Equal(again.Path(), r.Path()) || !bytes.Equal(again.Query(), r.Query()) {
			t.Fatalf("%q\nbecame %q", in, out)
		}
		if _, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(append(out, "0\r\n\r\n"...)))); err != nil {
			t.Fatalf("net/http refuses what we wrote: %v\n%q", err, out)
		}
	})
}

const typical = "GET /users/1?expand=orders HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n" +
	"Accept: text/html,application/json;q=0.9,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en\r\nCookie: session=0123456789abcdef\r\nConnection: keep-alive\r\n\r\n"

func TestParseAndBuildAllocateNothing(t *testing.T) {
	r, buf, out := new(Request), []byte(typical), make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		r.Reset()
		if n, err := r.Parse(buf, &defaults); n != len(buf) || err != nil {
			t.Fatal(n, err)
		}
		r.Header("x-none")
		out = r.AppendHead(out[:0], Set(ForwardedFor))
	}); n != 0 {
		t.Errorf("%v allocations per request", n)
	}
	res, reply := new(Response), []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: x\r\nContent-Length: 2\r\n\r\n")
	if n := testing.AllocsPerRun(100, func() {
		res.Reset()
		if n, err := res.Parse(reply, false, false, &defaults); n != len(reply) || err != nil {
			t.Fatal(n, err)
		}
		out = res.AppendHead(out[:0], 0)
	}); n != 0 {
		t.Errorf("%v allocations per response", n)
	}
	bad := []byte("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
	if n := testing.AllocsPerRun(100, func() {
		r.Reset()
		if _, err := r.Parse(bad, &defaults); err == nil {
			t.Fatal("accepted")
		}
	}); n != 0 {
		t.Errorf("%v allocations per refused request", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	r, buf, out := new(Request), []byte(typical), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		if _, err := r.Parse(buf, &defaults); err != nil {
			b.Fatal(err)
		}
		out = r.AppendHead(out[:0], Set(ForwardedFor))
	}
}

// Unescaped UTF-8 is forwarded as RFC 3986 wants it, whatever came before on the
// connection.
func TestBytesAboveASCIIAreForwardedAsEscapes(t *testing.T) {
	r := new(Request)
	for in, want := range map[string]string{"/caf\xc3\xa9/%2f?q=\xc3\xbc": "/caf%C3%A9/%2f?q=%C3%BC", "/plain": "/plain", "/\xff/../%41": "/%41"} {
		r.Reset()
		if _, err := r.Parse([]byte("GET "+in+" HTTP/1.1\r\nHost: a\r\n\r\n"), &defaults); err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		if got := string(r.AppendTarget(nil)); got != want || string(r.RawTarget()) != in {
			t.Errorf("%q is forwarded as %q, want %q", in, got, want)
		}
	}
}
