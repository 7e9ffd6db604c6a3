// Package corpus holds requests that are malformed, ambiguous or odd: as bytes of HTTP/1.1, and as header blocks and bodies of
// HTTP/2. Tests send them to the proxy; bench/answers also sends them to HAProxy and nginx.
package corpus

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed requests/*.txt
var files embed.FS

// Request is a case of HTTP/1.1.
type Request struct {
	Family string   // the file, without its ending
	Name   string   // unique
	Want   []string // what the proxy answers: statuses, then close, open (the connection is kept) or more (the request is not complete)
	Bytes  string   // may hold several requests
}

// Smuggled is the path of the request that some cases hide in another one. No instance may get it.
const Smuggled = "/smuggled"

// HTTP1 returns the cases of HTTP/1.1. Their text is in requests: "case NAME: WANT", then the bytes with Go's escapes. The
// end of a line is not part of it, and "@N text" stands for N times text.
func HTTP1() (all []Request, _ error) {
	names, err := fs.Glob(files, "requests/*.txt")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		family := strings.TrimSuffix(path.Base(name), ".txt")
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case strings.HasPrefix(line, "#") || line == "":
			case strings.HasPrefix(line, "case "):
				title, want, ok := strings.Cut(line[len("case "):], ": ")
				if !ok {
					return nil, fmt.Errorf("%s: %q", name, line)
				}
				all = append(all, Request{Family: family, Name: title, Want: strings.Fields(want)})
			case len(all) == 0:
				return nil, fmt.Errorf("%s: %q before the first case", name, line)
			default:
				more, err := unescape(line)
				if err != nil {
					return nil, fmt.Errorf("%s: %q: %w", name, line, err)
				}
				all[len(all)-1].Bytes += more
			}
		}
	}
	return all, nil
}

// unescape reads a line: Go's escapes, and @N before a text to repeat.
func unescape(line string) (string, error) {
	n := 1
	if strings.HasPrefix(line, "@") {
		count, rest, _ := strings.Cut(line[1:], " ")
		var err error
		if n, err = strconv.Atoi(count); err != nil {
			return "", err
		}
		line = rest
	}
	var b strings.Builder
	for len(line) > 0 {
		r, raw, rest, err := strconv.UnquoteChar(line, 0)
		if err != nil {
			return "", err
		}
		if raw {
			b.WriteRune(r)
		} else {
			b.WriteByte(byte(r))
		}
		line = rest
	}
	return strings.Repeat(b.String(), n), nil
}

// Stream is a case of HTTP/2: one request, on a connection of its own.
type Stream struct {
	Family string
	Name   string
	Fields []string // name, value, name, value, in the order in which they are sent
	Body   []string // one DATA frame each; the last one ends the request. nil: the head ends it
	Want   string   // "200", another status, or "reset CODE"; two of them with | if both are right
}

// Ways in which the proxy refuses a request of HTTP/2.
const malformed = "reset PROTOCOL_ERROR"

// HTTP2 returns the cases of HTTP/2. Those that an instance gets show how a request of HTTP/2 is written as HTTP/1.1.
func HTTP2() []Stream {
	return slices.Concat(bytesOfHeads(), pseudo(), regular(), lengths(), targets())
}

// head is a GET with other fields behind it; a pseudo-header among them replaces that of the GET.
func head(fields ...string) []string {
	out := []string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a.example"}
	for i := 0; i < len(fields); i += 2 {
		at := slices.Index(out[:min(8, len(out))], fields[i])
		if at >= 0 && strings.HasPrefix(fields[i], ":") {
			out[at+1] = fields[i+1]
			continue
		}
		out = append(out, fields[i], fields[i+1])
	}
	return out
}

// post is a POST with other fields behind it.
func post(fields ...string) []string { return head(append([]string{":method", "POST"}, fields...)...) }

// bytesOfHeads puts each byte that has no place there into each part of a head.
func bytesOfHeads() (all []Stream) {
	add := func(part string, b int, want string, fields ...string) {
		all = append(all, Stream{Family: "h2-bytes", Name: fmt.Sprintf("h2-byte-%02x-in-%s", b, part), Want: want, Fields: fields})
	}
	for b := range 256 {
		c := string([]byte{byte(b)})
		control := b < ' ' || b == 0x7f
		token := !control && b < 0x80 && !strings.Contains(` "(),/:;<=>?@[\]{}`, c)
		if !token || b >= 'A' && b <= 'Z' {
			add("name", b, malformed, head("x"+c+"y", "1")...)
		}
		if control && b != '\t' {
			add("value", b, malformed, head("x", "1"+c+"2")...)
		}
		switch {
		case control || b == ' ':
			add("method", b, malformed, head(":method", "GE"+c+"T")...)
			add("path", b, malformed, head(":path", "/a"+c+"b")...)
		case !token:
			add("method", b, "400", head(":method", "GE"+c+"T")...)
		}
		switch {
		case control && b != '\t':
			add("authority", b, malformed, head(":authority", "a"+c+"b")...)
		case strings.Contains(" \t\"/<>?@\\^`{|}#", c):
			add("authority", b, "400", head(":authority", "a"+c+"b")...)
		}
	}
	return all
}

func pseudo() []Stream {
	cases := []Stream{
		{Name: "no-method", Want: malformed, Fields: []string{":scheme", "http", ":path", "/", ":authority", "a"}},
		{Name: "no-path", Want: malformed, Fields: []string{":method", "GET", ":scheme", "http", ":authority", "a"}},
		{Name: "no-scheme", Want: malformed, Fields: []string{":method", "GET", ":path", "/", ":authority", "a"}},
		{Name: "no-authority-no-host", Want: "400", Fields: []string{":method", "GET", ":scheme", "http", ":path", "/"}},
		{Name: "host-instead-of-authority", Want: "200", Fields: []string{":method", "GET", ":scheme", "http", ":path", "/", "host", "a.example"}},
		{Name: "host-like-authority", Want: "200", Fields: head("host", "a.example")},
		{Name: "host-in-capitals", Want: "200", Fields: head("host", "A.EXAMPLE")},
		{Name: "host-unlike-authority", Want: malformed, Fields: head("host", "b.example")},
		{Name: "host-twice", Want: malformed, Fields: []string{":method", "GET", ":scheme", "http", ":path", "/", "host", "a", "host", "b"}},
		{Name: "pseudo-after-field", Want: malformed, Fields: []string{":method", "GET", ":scheme", "http", "a", "b", ":path", "/", ":authority", "a"}},
		{Name: "unknown-pseudo", Want: malformed, Fields: []string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", ":x", "1"}},
		{Name: "status", Want: malformed, Fields: []string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", ":status", "200"}},
		{Name: "protocol-without-connect", Want: malformed, Fields: []string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", ":protocol", "websocket"}},
		{Name: "connect", Want: "501", Fields: []string{":method", "CONNECT", ":authority", "a:1"}},
		{Name: "connect-with-path", Want: malformed, Fields: head(":method", "CONNECT")},
		{Name: "connect-without-authority", Want: malformed, Fields: []string{":method", "CONNECT"}},
		{Name: "connect-to-http", Want: "501", Fields: []string{":method", "CONNECT", ":protocol", "h2c", ":scheme", "http", ":path", "/", ":authority", "a"}},
		{Name: "scheme-ftp", Want: malformed, Fields: head(":scheme", "ftp")},
		{Name: "scheme-empty", Want: malformed, Fields: head(":scheme", "")},
		{Name: "scheme-in-capitals", Want: malformed, Fields: head(":scheme", "HTTP")},
		{Name: "scheme-with-line", Want: malformed, Fields: head(":scheme", "http\r\nx: y")},
		{Name: "method-empty", Want: malformed, Fields: head(":method", "")},
		{Name: "method-in-small-letters", Want: "200", Fields: head(":method", "get")},
		{Name: "method-unknown", Want: "200", Fields: head(":method", "PURGE")},
		{Name: "method-with-line", Want: malformed, Fields: head(":method", "GET / HTTP/1.1\r\nHost: b\r\n\r\nGET")},
		{Name: "method-pri", Want: "400", Fields: head(":method", "PRI", ":path", "*")},
		{Name: "authority-empty", Want: "400", Fields: head(":authority", "")},
		{Name: "authority-with-line", Want: malformed, Fields: head(":authority", "a\r\nx: y")},
		{Name: "authority-with-user", Want: "400", Fields: head(":authority", "u@a.example")},
		{Name: "authority-with-path", Want: "400", Fields: head(":authority", "a.example/x")},
		{Name: "authority-with-port", Want: "200", Fields: head(":authority", "a.example:8080")},
		{Name: "authority-with-empty-port", Want: "200", Fields: head(":authority", "a.example:")},
		{Name: "authority-with-two-ports", Want: "400", Fields: head(":authority", "a.example:80:80")},
		{Name: "authority-with-letters-as-port", Want: "400", Fields: head(":authority", "a.example:http")},
		{Name: "authority-ipv6", Want: "200", Fields: head(":authority", "[2001:db8::1]:80")},
		{Name: "authority-ipv6-without-brackets", Want: "400", Fields: head(":authority", "2001:db8::1")},
		{Name: "authority-half-a-bracket", Want: "400", Fields: head(":authority", "[2001:db8::1")},
		{Name: "authority-two-names", Want: "400", Fields: head(":authority", "a.example, b.example")},
	}
	for _, name := range []string{":method", ":scheme", ":path", ":authority"} {
		cases = append(cases, Stream{Name: "twice-" + name[1:], Want: malformed, Fields: append(head()[:8:8], name, "x")})
	}
	return family("h2-pseudo", cases)
}

func regular() []Stream {
	cases := []Stream{
		{Name: "name-empty", Want: malformed, Fields: head("", "1")},
		{Name: "name-is-colon", Want: malformed, Fields: head(":", "1")},
		{Name: "value-empty", Want: "200", Fields: head("x", "")},
		{Name: "value-blank-in-front", Want: malformed, Fields: head("x", " 1")},
		{Name: "value-blank-behind", Want: malformed, Fields: head("x", "1 ")},
		{Name: "value-tab-behind", Want: malformed, Fields: head("x", "1\t")},
		{Name: "value-tab-inside", Want: "200", Fields: head("x", "1\t2")},
		{Name: "value-latin1", Want: "200", Fields: head("x", "caf\xe9")},
		{Name: "value-hides-a-field", Want: malformed, Fields: head("x", "1\r\ntransfer-encoding: chunked")},
		{Name: "value-hides-a-request", Want: malformed, Fields: head("x", "1\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n")},
		{Name: "name-hides-a-field", Want: malformed, Fields: head("x: 1\r\ny", "1")},
		{Name: "name-hides-a-request", Want: malformed, Fields: head("x: 1\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: b\r\n\r\nx", "1")},
		{Name: "te-trailers", Want: "200", Fields: head("te", "trailers")},
		{Name: "te-gzip", Want: malformed, Fields: head("te", "gzip")},
		{Name: "te-trailers-and-more", Want: malformed, Fields: head("te", "trailers, chunked")},
		{Name: "cookie-in-pieces", Want: "200", Fields: head("cookie", "a=b", "cookie", "c=d")},
		{Name: "cookie-empty", Want: "200", Fields: head("cookie", "")},
		{Name: "expect-continue", Want: "200", Fields: post("expect", "100-continue", "content-length", "1"), Body: []string{"x"}},
		{Name: "expect-miracle", Want: "417", Fields: head("expect", "a miracle")},
		{Name: "via-many", Want: "200", Fields: head("via", "1.1 a, 1.1 b", "via", "2 c")},
		{Name: "via-here", Want: "508", Fields: head("via", "1.1 smartlb")},
		{Name: "forwarded-for-forged", Want: "200", Fields: head("x-forwarded-for", "192.0.2.1", "forwarded", "for=192.0.2.1")},
		{Name: "forwarded-for-imitated", Want: "200", Fields: head("x_forwarded_for", "192.0.2.1")},
		{Name: "encoding-imitated", Want: "200", Fields: head("transfer_encoding", "chunked")},
		{Name: "length-imitated", Want: "200", Fields: head("content_length", "5")},
		{Name: "many-fields", Want: "431", Fields: head(slices.Repeat([]string{"x", "1"}, 120)...)},
		{Name: "large-value", Want: "431", Fields: head("x", strings.Repeat("x", 20<<10))},
		{Name: "large-fields", Want: "431", Fields: head("x", strings.Repeat("x", 9<<10), "y", strings.Repeat("x", 9<<10))},
		{Name: "large-name", Want: "431", Fields: head(strings.Repeat("x", 20<<10), "1")},
	}
	for name, value := range map[string]string{
		"connection": "close", "proxy-connection": "keep-alive", "keep-alive": "timeout=5", "transfer-encoding": "chunked", "upgrade": "websocket",
	} {
		cases = append(cases,
			Stream{Name: name, Want: malformed, Fields: head(name, value)},
			Stream{Name: name + "-empty", Want: malformed, Fields: head(name, "")},
			Stream{Name: name + "-with-body", Want: malformed, Fields: post(name, value, "content-length", "5"), Body: []string{"hello"}})
	}
	return family("h2-fields", cases)
}

func lengths() []Stream {
	const hidden = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n"
	return family("h2-lengths", []Stream{
		{Name: "right", Want: "200", Fields: post("content-length", "5"), Body: []string{"hello"}},
		{Name: "right-in-pieces", Want: "200", Fields: post("content-length", "5"), Body: []string{"he", "llo"}},
		{Name: "right-and-an-empty-frame", Want: "200", Fields: post("content-length", "5"), Body: []string{"hello", ""}},
		{Name: "none", Want: "200", Fields: post(), Body: []string{"hello"}},
		{Name: "none-empty-body", Want: "200", Fields: post(), Body: []string{""}},
		{Name: "zero", Want: "200", Fields: post("content-length", "0")},
		{Name: "zero-empty-body", Want: "200", Fields: post("content-length", "0"), Body: []string{""}},
		{Name: "zero-and-a-body", Want: malformed + "|200", Fields: post("content-length", "0"), Body: []string{hidden}}, // the answer may come first
		{Name: "short", Want: malformed, Fields: post("content-length", "3"), Body: []string{"hello"}},
		{Name: "short-hides-a-request", Want: malformed, Fields: post("content-length", "5"), Body: []string{hidden}},
		{Name: "long", Want: malformed, Fields: post("content-length", "9"), Body: []string{"hello"}},
		{Name: "without-a-body", Want: malformed, Fields: post("content-length", "5")},
		{Name: "get-with-a-body", Want: "200", Fields: head("content-length", "5"), Body: []string{"hello"}},
		{Name: "body-looks-like-chunks", Want: "200", Fields: post(), Body: []string{hidden}},
		{Name: "body-looks-like-chunks-with-length", Want: "200", Fields: post("content-length", strconv.Itoa(len(hidden))), Body: []string{hidden}},
		{Name: "twice", Want: "400", Fields: post("content-length", "5", "content-length", "5"), Body: []string{"hello"}},
		{Name: "twice-unequal", Want: malformed + "|400", Fields: post("content-length", "5", "content-length", "6"), Body: []string{"hello"}},
		{Name: "list", Want: "400", Fields: post("content-length", "5, 5"), Body: []string{"hello"}},
		{Name: "plus", Want: "400", Fields: post("content-length", "+5"), Body: []string{"hello"}},
		{Name: "minus", Want: "400", Fields: post("content-length", "-5"), Body: []string{"hello"}},
		{Name: "hexadecimal", Want: "400", Fields: post("content-length", "0x5"), Body: []string{"hello"}},
		{Name: "fraction", Want: "400", Fields: post("content-length", "5.0"), Body: []string{"hello"}},
		{Name: "letters", Want: "400", Fields: post("content-length", "five"), Body: []string{"hello"}},
		{Name: "empty", Want: "400", Fields: post("content-length", ""), Body: []string{"hello"}},
		{Name: "too-many-digits", Want: "413", Fields: post("content-length", strings.Repeat("9", 30)), Body: []string{"hello"}},
		{Name: "beyond-64-bits", Want: "413", Fields: post("content-length", "18446744073709551621"), Body: []string{"hello"}},
	})
}

func targets() []Stream {
	cases := []Stream{
		{Name: "empty", Want: malformed, Fields: head(":path", "")},
		{Name: "star", Want: "400", Fields: head(":path", "*")},
		{Name: "star-options", Want: "200", Fields: head(":method", "OPTIONS", ":path", "*")},
		{Name: "url", Want: malformed, Fields: head(":path", "http://b.example/")},
		{Name: "relative", Want: malformed, Fields: head(":path", "a/b")},
		{Name: "query-only", Want: malformed, Fields: head(":path", "?a=b")},
		{Name: "second-request", Want: malformed, Fields: head(":path", "/ HTTP/1.1\r\nHost: b\r\n\r\nGET /smuggled")},
		{Name: "version-behind", Want: malformed, Fields: head(":path", "/ HTTP/1.1")},
		{Name: "fragment", Want: "400", Fields: head(":path", "/#a")},
		{Name: "leaves-the-root", Want: "400", Fields: head(":path", "/../a")},
		{Name: "leaves-the-root-escaped", Want: "400", Fields: head(":path", "/%2e%2e/a")},
		{Name: "dots", Want: "200", Fields: head(":path", "/a/../b")},
		{Name: "two-slashes", Want: "200", Fields: head(":path", "//a")},
		{Name: "escaped-slash", Want: "200", Fields: head(":path", "/a%2Fb")},
		{Name: "bad-escape", Want: "400", Fields: head(":path", "/%zz")},
		{Name: "half-an-escape", Want: "400", Fields: head(":path", "/a%4")},
		{Name: "utf8", Want: "200", Fields: head(":path", "/caf\xc3\xa9")},
		{Name: "query-with-everything", Want: "200", Fields: head(":path", "/a?b=c&d=/../?%20")},
		{Name: "long", Want: "414", Fields: head(":path", "/"+strings.Repeat("x", 9<<10))},
	}
	return family("h2-targets", cases)
}

func family(name string, cases []Stream) []Stream {
	for i := range cases {
		cases[i].Family, cases[i].Name = name, name+"-"+cases[i].Name
	}
	return cases
}
