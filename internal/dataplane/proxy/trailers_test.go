package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// trailing is a response with trailers: two that are announced, one that is not, and one that a trailer must not be.
const trailing = "HTTP/1.1 200 OK\r\nTrailer: X-Sum, X-Late\r\nTrailer: grpc-status\r\nTransfer-Encoding: chunked\r\n\r\n" +
	"5\r\nhello\r\n0\r\nX-Sum:  5 \r\nX-Other: 1\r\ngrpc-status: 14\r\n\r\n"

func TestTrailersOfAChunkedResponseReachClientsThatAcceptThem(t *testing.T) {
	for name, tc := range map[string]struct {
		request, response string
		want              string // trailers, by name
	}{
		"accepted":                {"TE: trailers\r\n", trailing, "Grpc-Status=14 X-Sum=5"},
		"accepted, in two pieces": {"TE: trailers\r\n", "", "Grpc-Status=14 X-Sum=5"},
		"not accepted":            {"", trailing, ""},
		"not announced":           {"TE: trailers\r\n", strings.Replace(trailing, "Trailer:", "X-Trailer:", -1), ""},
		"none that may trail": {"TE: trailers\r\n", "HTTP/1.1 200 OK\r\nTrailer: Content-Length, Host, Set-Cookie, Authorization, Content-Type, Trailer, X-Forwarded-For\r\n" +
			"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 1\r\nHost: a\r\nSet-Cookie: a=b\r\nAuthorization: x\r\nContent-Type: x\r\nTrailer: x\r\nX-Forwarded-For: 1\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, r := raw(t, func(s *upstreamtest.Session) {
				for s.Head() {
					if tc.response != "" {
						s.Write(tc.response)
						continue
					}
					s.Write(trailing[:len(trailing)-20])
					s.Wait(soon)
					s.Write(trailing[len(trailing)-20:])
				}
			}, nil)
			c := b.dial()
			for range 2 { // the connection to the instance is kept
				c.send("GET / HTTP/1.1\r\nHost: a\r\n" + tc.request + "\r\n")
				res, body := c.response("GET")
				if got := trailersOf(res); body != "hello" || got != tc.want {
					t.Errorf("%q, trailers %q, want %q", body, got, tc.want)
				}
			}
			b.stop()
			heads := string(r.Received()[0])
			if got, want := strings.Count(heads, "\r\nTE: trailers\r\nConnection: TE\r\n"), 2*strings.Count(tc.request, "TE"); got != want {
				t.Errorf("%d requests said that they accept trailers, want %d:\n%s", got, want, heads)
			}
			if n := r.Connections(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func trailersOf(res *http.Response) string {
	var out strings.Builder
	_ = res.Trailer.Write(&out)
	return strings.Join(strings.FieldsFunc(strings.ReplaceAll(out.String(), ": ", "="), func(r rune) bool { return r == '\r' || r == '\n' }), " ")
}

// A client of HTTP/2 gets the trailers of an instance with HTTP/1.1. A gRPC status among them counts.
func TestTrailersOfHTTP1ReachClientsOfHTTP2(t *testing.T) {
	for _, name := range []string{"grpc-status", "Grpc-Status"} {
		t.Run(name, func(t *testing.T) { trailersOverHTTP2(t, strings.ReplaceAll(trailing, "grpc-status", name)) })
	}
}

func trailersOverHTTP2(t *testing.T, reply string) {
	b := runWith(t, true, []string{upstreamtest.NewRaw(t, upstreamtest.Always(reply)).Addr}, nil)
	cfg := identity().client.Clone()
	cfg.NextProtos = []string{"h2"}
	tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: cfg}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequest("POST", "https://"+b.addr+"/", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	res, err := (&http.Client{Transport: tr, Timeout: testTimeout}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if got := trailersOf(res); err != nil || string(body) != "hello" || got != "Grpc-Status=14 X-Sum=5" {
		t.Errorf("%q, %v, trailers %q", body, err, got)
	}
	if got := b.entries(); len(got) != 1 || got[0].Failure != dispatch.GRPCStatus.String() {
		t.Errorf("%+v", got)
	}
}
