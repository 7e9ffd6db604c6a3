package router

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type head struct {
	method, host, path string
	headers            map[string]string
	query              string
	cookies            map[string]string
}

func (h head) Query() []byte { return []byte(h.query) }

func (h head) Cookie(n string) ([]byte, bool) {
	v, ok := h.cookies[n]
	return []byte(v), ok
}

func (h head) Method() []byte { return []byte(h.method) }
func (h head) Host() []byte   { return []byte(h.host) }
func (h head) Path() []byte   { return []byte(h.path) }
func (h head) Header(n string) ([]byte, bool) {
	v, ok := h.headers[strings.ToLower(n)]
	return []byte(v), ok
}

func TestMatchPrefersTheMoreSpecificRule(t *testing.T) {
	table, err := Compile([]Rule[string]{
		{Name: "root", Path: "/", Kind: Prefix, Value: "root"},
		{Name: "users", Path: "/users", Kind: Prefix, Value: "users"},
		{Name: "users-post", Path: "/users", Kind: Prefix, Methods: []string{"POST"}, Value: "users-post"},
		{Name: "users-canary", Path: "/users", Kind: Prefix, Headers: []Pair{{Name: "X-Canary", Value: "yes"}}, Value: "canary"},
		{Name: "me", Path: "/users/me", Kind: Exact, Value: "me"},
		{Name: "digits", Path: `/users/\d+`, Kind: Regex, Value: "digits"},
		{Name: "api", Hosts: []string{"api.example.com"}, Path: "/v1", Kind: Prefix, Value: "api"},
		{Name: "wild", Hosts: []string{"*.example.com"}, Value: "wild"},
		{Name: "deep", Hosts: []string{"*.eu.example.com"}, Value: "deep"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		head head
		want string
	}{
		{"a prefix matches whole elements", head{path: "/usersx"}, "root"},
		{"a prefix matches itself", head{path: "/users"}, "users"},
		{"a prefix matches with a trailing slash", head{path: "/users/"}, "users"},
		{"exact beats prefix", head{path: "/users/me"}, "me"},
		{"regex beats prefix", head{path: "/users/17"}, "digits"},
		{"a method match beats none", head{path: "/users/a", method: "POST"}, "users-post"},
		{"a header match beats none", head{path: "/users/a", headers: map[string]string{"x-canary": "yes"}}, "canary"},
		{"a header with another value does not match", head{path: "/users/a", headers: map[string]string{"x-canary": "no"}}, "users"},
		{"an exact host beats a wildcard", head{host: "API.example.com:8080", path: "/v1/x"}, "api"},
		{"a host whose path fails falls through", head{host: "api.example.com", path: "/v2"}, "wild"},
		{"the longer wildcard wins", head{host: "a.eu.example.com", path: "/"}, "deep"},
		{"a wildcard spans labels", head{host: "a.b.example.com", path: "/"}, "wild"},
		{"a wildcard needs a label", head{host: "example.com", path: "/"}, "root"},
		{"an unknown host gets the rules without host", head{host: "other", path: "/users"}, "users"},
	} {
		got, ok := table.Match(c.head, Peer{})
		if !ok || got != c.want {
			t.Errorf("%s: got %q %v, want %q", c.name, got, ok, c.want)
		}
	}
}

func TestCompileReportsEveryMistake(t *testing.T) {
	_, err := Compile([]Rule[int]{
		{Name: "a", Path: "users", Kind: Prefix},
		{Name: "b", Path: "(", Kind: Regex},
		{Name: "c", Hosts: []string{"x:80", "*foo"}},
		{Name: "d", Headers: []Pair{{Name: "h", Pattern: "["}}},
	})
	if err == nil {
		t.Fatal("want errors")
	}
	for _, want := range []string{`"a"`, `"b"`, `x:80`, `*foo`, `"d"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %s: %v", want, err)
		}
	}
}

// naive is the oracle: it tries every rule and keeps the best by the precedence
// of the package comment.
func naive(rules []Rule[int], h head) (int, bool) {
	best, bestKey := -1, ""
	for i, r := range rules {
		hostRank, matched := 0, len(r.Hosts) == 0
		for _, pattern := range r.Hosts {
			if suffix, wild := strings.CutPrefix(pattern, "*"); wild {
				if strings.HasSuffix(h.host, suffix) && len(h.host) > len(suffix) {
					matched, hostRank = true, max(hostRank, len(suffix))
				}
			} else if pattern == h.host {
				matched, hostRank = true, 1000
			}
		}
		pathRank := 0
		switch r.Kind {
		case Exact:
			matched = matched && r.Path == h.path
			pathRank = 2000
		case Prefix:
			p := strings.TrimRight(r.Path, "/")
			matched = matched && (h.path == p || strings.HasPrefix(h.path, p+"/"))
			pathRank = len(p)
		}
		method := 0
		if len(r.Methods) > 0 {
			method = 1
			matched = matched && r.Methods[0] == h.method
		}
		for _, want := range r.Headers {
			v, ok := h.headers[want.Name]
			matched = matched && ok && v == want.Value
		}
		if !matched {
			continue
		}
		key := fmt.Sprintf("%06d %06d %d %03d %06d", hostRank, pathRank, method, len(r.Headers), 999999-i)
		if key > bestKey {
			best, bestKey = r.Value, key
		}
	}
	return best, best >= 0
}

func TestMatchAgreesWithTheNaiveSearch(t *testing.T) {
	hosts := []string{"a.test", "b.a.test", "*.test", "*.a.test"}
	pathsOf := []string{"/", "/x", "/x/", "/x/y", "/x/y/z", "/xy"}
	rapid.Check(t, func(t *rapid.T) {
		rules := make([]Rule[int], rapid.IntRange(0, 12).Draw(t, "n"))
		for i := range rules {
			r := &rules[i]
			r.Name, r.Value = fmt.Sprint(i), i
			r.Hosts = rapid.SliceOfNDistinct(rapid.SampledFrom(hosts), 0, 2, rapid.ID[string]).Draw(t, "hosts")
			r.Kind = rapid.SampledFrom([]PathKind{Exact, Prefix}).Draw(t, "kind")
			r.Path = rapid.SampledFrom(pathsOf).Draw(t, "path")
			if rapid.Bool().Draw(t, "m") {
				r.Methods = []string{rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method")}
			}
			if rapid.Bool().Draw(t, "hd") {
				r.Headers = []Pair{{Name: "k", Value: "v"}}
			}
		}
		table, err := Compile(rules)
		if err != nil {
			t.Fatal(err)
		}
		h := head{
			host:    rapid.SampledFrom([]string{"a.test", "b.a.test", "c.b.a.test", "z.test", "other"}).Draw(t, "host"),
			path:    rapid.SampledFrom([]string{"/", "/x", "/x/", "/x/y", "/x/y/z/w", "/xyz", "/xy"}).Draw(t, "req"),
			method:  rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "meth"),
			headers: map[string]string{},
		}
		if rapid.Bool().Draw(t, "hasheader") {
			h.headers["k"] = rapid.SampledFrom([]string{"v", "w"}).Draw(t, "value")
		}
		got, ok := table.Match(h, Peer{})
		want, wantOK := naive(rules, h)
		if ok != wantOK || (ok && got != want) {
			t.Fatalf("%+v: got %d %v, want %d %v", h, got, ok, want, wantOK)
		}
	})
}

type fixed struct{ method, host, path, query []byte }

func (f *fixed) Query() []byte                { return f.query }
func (f *fixed) Cookie(string) ([]byte, bool) { return f.query[:1], true }

func (f *fixed) Method() []byte               { return f.method }
func (f *fixed) Host() []byte                 { return f.host }
func (f *fixed) Path() []byte                 { return f.path }
func (f *fixed) Header(string) ([]byte, bool) { return nil, false }

func TestMatchAllocatesNothing(t *testing.T) {
	table := benchTable(t)
	h := &fixed{method: []byte("GET"), host: []byte("API.example.com:8080"), path: []byte("/svc42/items/7")}
	if n := testing.AllocsPerRun(1000, func() { table.Match(h, Peer{}) }); n != 0 {
		t.Fatalf("got %v allocations, want 0", n)
	}
}

func benchTable(t testing.TB) *Table[int] {
	var rules []Rule[int]
	for i := range 100 {
		rules = append(rules, Rule[int]{Name: fmt.Sprint(i), Hosts: []string{"api.example.com"}, Kind: Prefix, Path: fmt.Sprintf("/svc%d", i), Value: i})
	}
	table, err := Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func BenchmarkMatch(b *testing.B) {
	table := benchTable(b)
	h := &fixed{method: []byte("GET"), host: []byte("API.example.com:8080"), path: []byte("/svc42/items/7")}
	for b.Loop() {
		table.Match(h, Peer{})
	}
}
