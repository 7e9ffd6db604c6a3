package router

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestConditionsOnQueryCookieAndConnection(t *testing.T) {
	table, err := Compile([]Rule[string]{
		{Name: "any", Value: "any"},
		{Name: "beta", Query: []Pair{{Name: "beta"}}, Value: "beta"},
		{Name: "page", Query: []Pair{{Name: "beta"}, {Name: "page", Value: "a b&c"}}, Value: "page"},
		{Name: "number", Query: []Pair{{Name: "id", Pattern: `\d+ x`}}, Value: "number"},
		{Name: "cookie", Cookies: []Pair{{Name: "tester", Pattern: "y.*"}}, Value: "cookie"},
		{Name: "inside", Path: "/admin", Kind: Prefix, Clients: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("fd00::/8")}, Value: "inside"},
		{Name: "outside", Path: "/admin", Kind: Prefix, Value: "outside"},
		{Name: "tls", Path: "/tls", Kind: Prefix, ServerNames: []string{"API.example.com", "*.shop.example.com"}, Value: "tls"},
		{Name: "plain", Path: "/tls", Kind: Prefix, Listeners: []string{"plain"}, Value: "plain"},
	})
	if err != nil {
		t.Fatal(err)
	}
	client := func(s string) Peer { return Peer{Client: netip.MustParseAddr(s)} }
	for _, c := range []struct {
		name string
		head head
		from Peer
		want string
	}{
		{"a parameter that is present", head{path: "/", query: "x&beta"}, Peer{}, "beta"},
		{"a parameter with a value is present", head{path: "/", query: "beta=0"}, Peer{}, "beta"},
		{"the name of a parameter may be escaped", head{path: "/", query: "%62eta=0"}, Peer{}, "beta"},
		{"the name of a parameter has a case", head{path: "/", query: "Beta=1"}, Peer{}, "any"},
		{"a longer name is another parameter", head{path: "/", query: "beta2=1&xbeta"}, Peer{}, "any"},
		{"no query", head{path: "/"}, Peer{}, "any"},
		{"more parameters go before fewer", head{path: "/", query: "page=a+b%26c&beta"}, Peer{}, "page"},
		{"the first value counts", head{path: "/", query: "page=x&page=a+b%26c&beta"}, Peer{}, "beta"},
		{"a regular expression sees no escapes", head{path: "/", query: "id=%31%32+x"}, Peer{}, "number"},
		{"a regular expression matches the whole value", head{path: "/", query: "id=12+xy"}, Peer{}, "any"},
		{"a percent sign that is no escape", head{path: "/", query: "page=%zz&beta=%"}, Peer{}, "beta"},
		{"a cookie", head{path: "/", cookies: map[string]string{"tester": "yes"}}, Peer{}, "cookie"},
		{"a cookie with another value", head{path: "/", cookies: map[string]string{"tester": "no"}}, Peer{}, "any"},
		{"a query goes before a cookie", head{path: "/", query: "beta", cookies: map[string]string{"tester": "yes"}}, Peer{}, "beta"},
		{"a client in the network", head{path: "/admin"}, client("10.9.9.9"), "inside"},
		{"a client of IPv6", head{path: "/admin"}, client("fd00::1"), "inside"},
		{"a client outside of the network", head{path: "/admin"}, client("192.0.2.1"), "outside"},
		{"an unknown client", head{path: "/admin"}, Peer{}, "outside"},
		{"a server name", head{path: "/tls"}, Peer{ServerName: "api.EXAMPLE.com"}, "tls"},
		{"a server name with a dot at its end", head{path: "/tls"}, Peer{ServerName: "api.example.com."}, "tls"},
		{"a server name below a wildcard", head{path: "/tls"}, Peer{ServerName: "a.b.Shop.example.com"}, "tls"},
		{"the name of a wildcard itself", head{path: "/tls"}, Peer{ServerName: "shop.example.com"}, "any"},
		{"no server name", head{path: "/tls"}, Peer{}, "any"},
		{"a listener", head{path: "/tls"}, Peer{Listener: "plain"}, "plain"},
		{"a server name goes before a listener", head{path: "/tls"}, Peer{Listener: "plain", ServerName: "api.example.com"}, "tls"},
	} {
		if got, ok := table.Match(c.head, c.from); !ok || got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestExplainNamesTheFirstConditionThatDoesNotHold(t *testing.T) {
	table, err := Compile([]Rule[int]{
		{Name: "any"},
		{Name: "listener", Listeners: []string{"web", "secure"}},
		{Name: "client", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		{Name: "name", ServerNames: []string{"a.test", "*.b.test"}},
		{Name: "cookie", Cookies: []Pair{{Name: "c", Value: "v"}}},
		{Name: "query", Query: []Pair{{Name: "q", Pattern: "1|2"}}},
		{Name: "header", Headers: []Pair{{Name: "X-A"}}},
		{Name: "method", Methods: []string{"PUT", "POST"}},
		{Name: "prefix", Path: "/users", Kind: Prefix},
		{Name: "regex", Path: "/x+", Kind: Regex},
		{Name: "exact", Path: "/me", Kind: Exact},
		{Name: "wild", Hosts: []string{"*.test", "*.eu.test"}},
		{Name: "host", Hosts: []string{"shop.test"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := table.Explain(head{host: "h:80", path: "/a", method: "GET", query: "q=%33"}, Peer{Client: netip.MustParseAddr("192.0.2.1"), Listener: "other"})
	want := []Step{
		{"host", OnHost, "shop.test", "h:80"},
		{"wild", OnHost, "*.test or *.eu.test", "h:80"},
		{"exact", OnPath, "exactly /me", "/a"},
		{"regex", OnPath, "matching /x+", "/a"},
		{"prefix", OnPath, "prefix /users", "/a"},
		{"method", OnMethod, "PUT or POST", "GET"},
		{"header", OnHeader, "X-A", "none"},
		{"query", OnQuery, "q matching 1|2", `"3"`},
		{"cookie", OnCookie, `c: "v"`, "none"},
		{"name", OnServerName, "a.test or *.b.test", "none"},
		{"client", OnClient, "10.0.0.0/8", "192.0.2.1"},
		{"listener", OnListener, "web or secure", "other"},
		{"any", None, "", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The rule that Explain names first among those that match is the one that Match returns, whatever the rules.
func TestExplainAgreesWithMatch(t *testing.T) {
	hosts := []string{"a.test", "b.a.test", "*.test", "*.a.test"}
	some := func(t *rapid.T, label string, from ...string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, 2, rapid.ID[string]).Draw(t, label)
	}
	rapid.Check(t, func(t *rapid.T) {
		rules := make([]Rule[int], rapid.IntRange(0, 12).Draw(t, "n"))
		for i := range rules {
			r := &rules[i]
			r.Name, r.Value = fmt.Sprint(i), i
			r.Hosts = some(t, "hosts", hosts...)
			r.Kind = rapid.SampledFrom([]PathKind{Exact, Prefix, Regex}).Draw(t, "kind")
			r.Path = rapid.SampledFrom([]string{"", "/", "/x", "/x/", "/x/y", "/x//y", "/xy"}).Draw(t, "path")
			r.Methods = some(t, "methods", "GET", "POST")
			r.ServerNames = some(t, "names", "a.test", "*.test")
			r.Listeners = some(t, "listeners", "web", "secure")
			for _, v := range some(t, "query", "v", "w") {
				r.Query = append(r.Query, Pair{Name: "q", Value: v})
			}
			for _, v := range some(t, "cookies", "v", "w") {
				r.Cookies = append(r.Cookies, Pair{Name: "c", Pattern: v})
			}
			for _, v := range some(t, "headers", "v", "w") {
				r.Headers = append(r.Headers, Pair{Name: "k", Value: v})
			}
			for _, v := range some(t, "clients", "10.0.0.0/8", "10.1.0.0/16") {
				r.Clients = append(r.Clients, netip.MustParsePrefix(v))
			}
		}
		table, err := Compile(rules)
		if err != nil {
			t.Fatal(err)
		}
		value := func(label string) string { return rapid.SampledFrom([]string{"v", "w", "x"}).Draw(t, label) }
		h := head{
			host:    rapid.SampledFrom([]string{"a.test", "b.a.test", "c.b.a.test", "z.test", "other", "A.test:80"}).Draw(t, "host"),
			path:    rapid.SampledFrom([]string{"/", "/x", "/x/", "/x/y", "/x//y", "/x/y/z/w", "/xyz", "/xy", "//x", "//"}).Draw(t, "req"),
			method:  rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "meth"),
			query:   "q=" + value("q"),
			cookies: map[string]string{"c": value("c")},
			headers: map[string]string{"k": value("k")},
		}
		from := Peer{Client: netip.MustParseAddr(rapid.SampledFrom([]string{"10.1.1.1", "10.2.1.1", "192.0.2.1"}).Draw(t, "client")), ServerName: rapid.SampledFrom([]string{"", "a.test", "b.test"}).Draw(t, "sni"), Listener: rapid.SampledFrom([]string{"web", "secure"}).Draw(t, "listener")}
		got, ok := table.Match(h, from)
		named := ""
		steps := table.Explain(h, from)
		for _, s := range steps {
			if s.Missed == None {
				named = s.Rule
				break
			}
		}
		if len(steps) != len(rules) || ok != (named != "") || ok && fmt.Sprint(got) != named {
			t.Fatalf("%+v: Match gives %d %v, Explain %q: %+v", h, got, ok, named, steps)
		}
	})
}

func TestConditionsAllocateNothing(t *testing.T) {
	table, err := Compile([]Rule[int]{{
		Query: []Pair{{Name: "page", Value: "a b"}, {Name: "id", Pattern: `\d+`}}, Cookies: []Pair{{Name: "c", Value: "x"}}, ServerNames: []string{"*.example.com"},
		Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	h := &fixed{method: []byte("GET"), path: []byte("/"), query: []byte("x=1&%70age=a%20b&id=17")}
	from := Peer{Client: netip.MustParseAddr("10.1.1.1"), ServerName: "API.example.com"}
	if n := testing.AllocsPerRun(1000, func() {
		if _, ok := table.Match(h, from); !ok {
			t.Fatal("no match")
		}
	}); n != 0 {
		t.Fatalf("got %v allocations, want 0", n)
	}
}

func FuzzParameter(f *testing.F) {
	f.Add("a=b&c=%20+", "c")
	f.Add("%61=&&=x&a%", "a%")
	f.Fuzz(func(t *testing.T, query, name string) {
		v, ok := Parameter([]byte(query), name)
		if ok && len(v) > len(query) {
			t.Fatal("longer than the query")
		}
		if decoded := appendDecoded(nil, v); !decodesTo(v, string(decoded)) {
			t.Fatalf("%q is not %q", v, decoded)
		}
	})
}
