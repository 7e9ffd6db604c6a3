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
