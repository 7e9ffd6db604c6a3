package h1

import (
	"strings"
	"testing"
)

func TestRemovedFieldsAreNotForwarded(t *testing.T) {
	head := "GET /a HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nX_A: 2\r\nx.a: 3\r\nX-B:4\r\nCookie: c\r\nX-C: 5\r\n\r\n"
	for _, tc := range []struct {
		names []string
		loose bool
		want  string
	}{
		{[]string{"x-a"}, true, "X-B: 4\r\nCookie: c\r\nX-C: 5\r\n"},
		{[]string{"x-a"}, false, "X_A: 2\r\nx.a: 3\r\nX-B: 4\r\nCookie: c\r\nX-C: 5\r\n"},
		{[]string{"cookie", "x-b", "x-none"}, true, "X-A: 1\r\nX_A: 2\r\nx.a: 3\r\nX-C: 5\r\n"},
	} {
		var r Request
		lim := Limits{Underscores: KeepUnderscores}.WithDefaults()
		if _, err := r.Parse([]byte(head), &lim); err != nil {
			t.Fatal(err)
		}
		for range 2 { // a retry removes them again
			r.Remove(tc.names, tc.loose)
			got := string(r.AppendRewritten(nil, []byte("/b"), "inner:1", 0))
			if want := "GET /b HTTP/1.1\r\nHost: inner:1\r\n" + tc.want; got != want {
				t.Errorf("%q: got %q, want %q", tc.names, got, want)
			}
		}
		if _, ok := r.Header(tc.names[0]); !ok {
			t.Errorf("%q: what was received is not found", tc.names)
		}
	}
}

func TestAHeadWithoutARewriteIsThatOfTheRequest(t *testing.T) {
	head := "POST http://h:80/a%2Fb?c=%20 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n"
	var r Request
	lim := Limits{}.WithDefaults()
	if _, err := r.Parse([]byte(head), &lim); err != nil {
		t.Fatal(err)
	}
	if got, want := string(r.AppendRewritten(nil, nil, "", 0)), string(r.AppendHead(nil, 0)); got != want || !strings.Contains(want, "POST /a%2Fb?c=%20 HTTP/1.1\r\nHost: h:80\r\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}
