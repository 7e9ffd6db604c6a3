package action

import (
	"net/http"
	"strings"
	"testing"
)

func TestFieldsOfAnAnswerCross(t *testing.T) {
	h := Fields(http.Header{
		"Set-Cookie": {"a=1; Path=/", "b=${client}"}, "Location": {"https://login/?rd=${host}"}, "Www-Authenticate": {"Basic"}, "Content-Type": {"text/html"},
		"Connection": {"close, X-Hop ,x-other"}, "X-Hop": {"1"}, "X-Other": {"1"}, "Keep-Alive": {"1"}, "Transfer-Encoding": {"chunked"}, "Content-Length": {"3"},
		"Trailer": {"X"}, "Upgrade": {"x"}, "Proxy-Authenticate": {"Basic"}, "Date": {"now"}, "X-Request-Id": {"theirs"}, "X-Smartlb-Decision": {"x"}, "Via": {"1.1 x"},
		"Bad Name": {"1"}, "X-Bad": {"a\r\nX-Evil: 1"}, "X-Empty": {""},
	})
	var out []byte
	for i := range h.Len() {
		out = h.AppendLine(i, out, &Values{})
	}
	want := "Content-Type: text/html\r\nLocation: https://login/?rd=${host}\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=${client}\r\nWww-Authenticate: Basic\r\n"
	if string(out) != want || !h.Puts("content-type") || h.Drops("set-cookie") {
		t.Errorf("got %s", strings.ReplaceAll(string(out), "\r\n", "\n"))
	}
	if h := Fields(nil); h.Len() != 0 {
		t.Errorf("%+v", h)
	}
}

// Cookies of the answer are added to those of the response, other fields replace, and the edits of the route come first.
func TestFieldsOfAnAnswerAreAddedToEdits(t *testing.T) {
	answer := Fields(http.Header{"Set-Cookie": {"a=1", "b=2", "c=\r\n"}, "X-Level": {"1", "2"}, "X-Gone": {"1"}, "X-Hop": {"1"}, "Connection": {"x-hop"}})
	route, err := NewHeaders([]Edit{{Name: "X-Route", Value: "r"}}, []string{"X-Gone"})
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		edits *Headers
		want  string
		drops int
	}{
		"no edits": {nil, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Gone: 1\r\nX-Level: 1\r\nX-Level: 2\r\n", 2},
		"edits":    {route, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Level: 1\r\nX-Level: 2\r\nX-Route: r\r\n", 3},
	} {
		got := row.edits.With(answer)
		var out []byte
		for i := range got.Len() {
			out = got.AppendLine(i, out, &Values{})
		}
		if string(out) != row.want || len(got.Dropped()) != row.drops || !got.Drops("x-level") || got.Drops("set-cookie") {
			t.Errorf("%s: got %q, drops %q", name, out, got.Dropped())
		}
	}
	if route.Len() != 1 || len(route.Dropped()) != 2 {
		t.Errorf("the edits of the route changed: %+v", route)
	}
}
