package action

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestATemplateReplacesItsVariables(t *testing.T) {
	v := Values{Client: netip.MustParseAddr("2001:db8::1"), RequestID: []byte("id-1"), SNI: "shop.example", Route: "r", Service: "s", Instance: "s-1", Subject: "CN=ann,O=Example"}
	for text, want := range map[string]string{
		"":                           "",
		"plain":                      "plain",
		"${client}":                  "2001:db8::1",
		"${requestId}/${sni}":        "id-1/shop.example",
		"a ${route} ${service} b":    "a r s b",
		"${instance}${tlsSubject}":   "s-1CN=ann,O=Example",
		"$${client} costs $5 and $$": "${client} costs $5 and $$",
	} {
		parsed, err := ParseTemplate(text)
		if got := string(parsed.Append(nil, &v)); err != nil || got != want {
			t.Errorf("%q: got %q %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"${client", "${host}", "${}", "${ client}", "${Client}"} {
		if _, err := ParseTemplate(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

// No value of a client ends the line of a header, whatever bytes a TLS handshake or a certificate holds.
func TestNoValueEndsALine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(label string) string { return string(rapid.SliceOf(rapid.Byte()).Draw(t, label)) }
		v := Values{RequestID: []byte(text("id")), SNI: text("sni"), Route: text("route"), Service: text("service"), Instance: text("instance"), Subject: text("subject")}
		h, err := NewHeaders([]Edit{{Name: "X-A", Value: "<${sni}${tlsSubject}${requestId}${route}${service}${instance}${client}>"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		line := h.AppendLine(0, nil, &v)
		if value, ok := strings.CutSuffix(string(line), "\r\n"); !ok || hasControl([]byte(value)) {
			t.Fatalf("%q", line)
		}
	})
}

func TestHeadersThatARouteMustNotChange(t *testing.T) {
	for _, name := range []string{
		"", "Host", "content-length", "Content_Length", "Transfer-Encoding", "Connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "Expect", "Via",
		"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X.Forwarded.For", "X-Request-Id", "X-Smartlb-Decision", "Date", "Proxy-Authorization",
		"grpc-status", "Sec-WebSocket-Key", "a b", "a:b", "a\r\nb", "é", ":path", strings.Repeat("a", MaxName+1),
	} {
		if CheckName(name) == nil {
			t.Errorf("%q was accepted", name)
		}
	}
	for _, name := range []string{"X-Client", "Authorization", "Cookie", "Set-Cookie", "X-Real-IP", "X-Forwarded-Port", "Strict-Transport-Security", "Content-Type", "Server", "x_a"} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, value := range []string{"a\r\nb: c", "a\nb", "a\x00", " a", "a\t", "${nothing}", strings.Repeat("a", MaxValue+1)} {
		if _, err := CheckValue(value); err == nil {
			t.Errorf("%q was accepted", value)
		}
	}
}

// A header whose variables are all empty is removed, and not sent with an empty value.
func TestAHeaderWithoutAValueIsNotSent(t *testing.T) {
	h, err := NewHeaders([]Edit{{Name: "X-Subject", Value: "${tlsSubject}"}}, []string{"X-Old"})
	if err != nil {
		t.Fatal(err)
	}
	if got := h.AppendLine(0, []byte("before"), &Values{}); string(got) != "before" {
		t.Errorf("%q", got)
	}
	if !h.Drops("x-subject") || !h.Drops("x-old") || h.Drops("x-other") {
		t.Errorf("removed: %q", h.Dropped())
	}
}

// The table is that of replacePrefixMatch in the Kubernetes Gateway API.
func TestAPrefixIsReplacedAsInTheGatewayAPI(t *testing.T) {
	for _, tc := range []struct{ path, prefix, to, want string }{
		{"/foo/bar", "/foo", "/xyz", "/xyz/bar"},
		{"/foo/bar", "/foo", "/xyz/", "/xyz/bar"},
		{"/foo/bar", "/foo/", "/xyz", "/xyz/bar"},
		{"/foo/bar", "/foo/", "/xyz/", "/xyz/bar"},
		{"/foo", "/foo", "/xyz", "/xyz"},
		{"/foo/", "/foo", "/xyz", "/xyz/"},
		{"/foo/bar", "/foo", "/", "/bar"},
		{"/foo/", "/foo", "/", "/"},
		{"/foo", "/foo", "/", "/"},
		{"/bar", "/", "/xyz", "/xyz/bar"},
		{"/", "/", "/xyz", "/xyz/"},
		{"/%66oo/b%2Fr", "/foo", "/xyz", "/xyz/b%2Fr"},
		{"/caf%c3%a9/bar", "/café", "/x", "/x/bar"},
		{"/foo//bar", "/foo", "/x", "/x//bar"},
	} {
		p, err := NewPrefixPath(tc.prefix, tc.to)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := p.Append(nil, nil, []byte(tc.path)); !ok || string(got) != tc.want {
			t.Errorf("%s without %s with %s: got %q %v, want %q", tc.path, tc.prefix, tc.to, got, ok, tc.want)
		}
	}
}

func TestARegularExpressionMakesThePath(t *testing.T) {
	for _, tc := range []struct{ pattern, replace, path, want string }{
		{`/users/(\d+)/(.*)`, "/$2/of/${1}", "/users/7/cart", "/cart/of/7"},
		{`/users/(\d+)/(.*)`, "/$2", "/others", "/others"},
		{`/a`, "/b", "/a/c", "/a/c"},
		{`/(.*)`, "/$1$$", "/x", "/x$"},
		{`/(a)?(b)`, "/$1$2", "/b", "/b"},
		{`/(.*)`, "/files/$1", "/a%2Fb", "/files/a%2Fb"},
		{`/user-(.*)/x`, "/f/$1/x", "/user-../x", "/x"},
		{`/user-(.*)/x`, "/$1/x", "/user-../x", ""},
		{`/user-(.*)`, "/a%2F$1", "/user-..", ""},
		{`/(.*)`, "/" + strings.Repeat("$1", 40), "/" + strings.Repeat("a", 1000), ""},
		{`/.*`, "/x", "*", "*"},
	} {
		p, err := NewRegexPath(tc.pattern, tc.replace)
		if err != nil {
			t.Fatalf("%s: %v", tc.replace, err)
		}
		if got, ok := p.Append(nil, []byte(tc.path), []byte(tc.path)); string(got) != tc.want || ok != (tc.want != "") {
			t.Errorf("%s, %s of %.50s: got %.50q %v, want %q", tc.pattern, tc.replace, tc.path, got, ok, tc.want)
		}
	}
	for replace, want := range map[string]string{
		"x": "must start with /", "/$2": "1 groups", "/$": "after $", "/$a": "after $", "/${1": "after $", "/${a}": "after $", "/${99999999999999999999}": "1 groups",
		"/a b": "escapes", "/a?b": "escapes", "/a#b": "escapes", "/%zz": "escapes", "/%4$1": "escapes", "/é": "escapes", "/\r\n": "escapes",
	} {
		if _, err := NewRegexPath("/(.*)", replace); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", replace, err, want)
		}
	}
}

// Whatever a client sends and a route makes of it, the result is a path without dot segments.
func TestNoRewriteLeavesItsRoot(t *testing.T) {
	pieces := rapid.SampledFrom([]string{"/", ".", "..", "a", "%2F", "%5c", "%2e", "$1", "$2"})
	rapid.Check(t, func(t *rapid.T) {
		replace := "/" + strings.Join(rapid.SliceOfN(pieces, 0, 6).Draw(t, "replace"), "")
		path := "/" + strings.ReplaceAll(strings.Join(rapid.SliceOfN(pieces, 0, 6).Draw(t, "path"), ""), "$", "b")
		p, err := NewRegexPath("/(.*?)a?(.*)", replace)
		if err != nil {
			t.Skip()
		}
		got, ok := p.Append(nil, []byte(path), []byte(path))
		if !ok {
			return
		}
		for _, segment := range strings.Split(strings.ToLower(string(got)), "/") {
			if s := strings.ReplaceAll(segment, "%2e", "."); s == "." || s == ".." {
				t.Fatalf("%s of %s: %s", replace, path, got)
			}
		}
		if !strings.HasPrefix(string(got), "/") {
			t.Fatalf("%q", got)
		}
	})
}

func TestARedirectAsInTheGatewayAPI(t *testing.T) {
	prefix, err := NewPrefixPath("/a", "/b")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := NewWholePath("/new page")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		r                         Redirect
		scheme, host, path, query string
		want                      string
	}{
		{Redirect{Scheme: "https"}, "http", "h:8080", "/a", "x=1", "https://h/a?x=1"},
		{Redirect{Scheme: "https", Port: 8443}, "http", "h", "/", "", "https://h:8443/"},
		{Redirect{Scheme: "http", Port: 80}, "https", "h", "/", "", "http://h/"},
		{Redirect{Host: "www.example.com"}, "https", "example.com:8443", "/a", "", "https://www.example.com/a"},
		{Redirect{Path: prefix}, "http", "h:8080", "/a/c", "", "http://h:8080/b/c"},
		{Redirect{Path: prefix}, "http", "h:80", "/a/c", "", "http://h/b/c"},
		{Redirect{Path: whole}, "http", "[2001:db8::1]:8080", "/a/c", "q", "http://[2001:db8::1]:8080/new%20page?q"},
		{Redirect{Port: 8080}, "http", "[2001:db8::1]", "//evil.example/", "", "http://[2001:db8::1]:8080//evil.example/"},
		{Redirect{Scheme: "https"}, "http", "h", "*", "", "https://h/"},
	} {
		target := Target{Scheme: tc.scheme, Host: []byte(tc.host), Routed: []byte(tc.path), Forward: []byte(tc.path)}
		if tc.query != "" {
			target.Query = []byte(tc.query)
		}
		if got, ok := tc.r.AppendLocation(nil, target); !ok || string(got) != tc.want {
			t.Errorf("%+v: got %q %v, want %q", tc.r, got, ok, tc.want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add("${client}", "a\r\nb")
	f.Add("$${x} ${sni}", "shop.example")
	f.Fuzz(func(t *testing.T, text, sni string) {
		value, err := CheckValue(text)
		if err != nil {
			return
		}
		if out := value.Append(nil, &Values{SNI: sni, Subject: sni}); strings.ContainsAny(string(out), "\r\n\x00") {
			t.Errorf("%q of %q", out, text)
		}
	})
}

func FuzzReplace(f *testing.F) {
	f.Add("/$1", "/a/b")
	f.Add("/x%2F${1}/..", "/%2e%2e")
	f.Fuzz(func(t *testing.T, replace, path string) {
		p, err := NewRegexPath("/(.*)", replace)
		if err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		if got, ok := p.Append(nil, []byte(path), []byte(path)); ok && (len(got) == 0 || len(got) > MaxPath) {
			t.Errorf("%q of %q: %q", replace, path, got)
		}
	})
}
