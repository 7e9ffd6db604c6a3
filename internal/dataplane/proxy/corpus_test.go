package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/test/corpus"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

func requests(t testing.TB) []corpus.Request {
	t.Helper()
	all, err := corpus.HTTP1()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestCorpus sends every request of the corpus to a running proxy. It checks the replies; that a bystander on another
// connection, served over the same connections to the instance, gets his own reply after each; and in the end that the
// bytes that the instance received are, for three parsers alike, exactly the requests that the access log claims.
func TestCorpus(t *testing.T) {
	instance := upstreamtest.NewRaw(t, sayTarget)
	b := run(t, []string{instance.Addr}, nil)
	cases := requests(t)
	if len(cases) < 150 {
		t.Fatalf("%d cases", len(cases))
	}
	bystander := b.dial()
	for i, tc := range cases {
		t.Run(tc.Name, func(t *testing.T) {
			c := b.dial()
			c.tb = t
			sent := make(chan struct{})
			go func() { defer close(sent); _, _ = io.WriteString(c, tc.Bytes) }()
			for _, want := range tc.Want {
				switch want {
				case "open":
					c.send("GET /last HTTP/1.1\r\nHost: last\r\n\r\n")
					if res, body := c.response("GET"); res.StatusCode != 200 || body != "/last" {
						t.Errorf("behind it: %d %q", res.StatusCode, body)
					}
				case "close":
					c.ended()
				case "more":
					<-sent
					_ = c.CloseWrite()
					c.ended()
				default:
					method := "GET"
					if strings.HasPrefix(tc.Bytes, "HEAD") && want == tc.Want[0] {
						method = "HEAD"
					}
					res, body := c.response(method)
					if strconv.Itoa(res.StatusCode) != want {
						t.Fatalf("got %d %q, want %s", res.StatusCode, body, want)
					}
				}
			}
		})
		target := fmt.Sprintf("/bystander/%d", i)
		bystander.send("GET " + target + " HTTP/1.1\r\nHost: bystander\r\n\r\n")
		if res, body := bystander.response("GET"); res.StatusCode != 200 || body != target {
			t.Fatalf("after %s the bystander got %d %q", tc.Name, res.StatusCode, body)
		}
	}

	n := checkClaims(t, instance, b.entries())
	t.Logf("%d cases, %d requests at the instance", len(cases), n)
}

// TestCorpusOfHTTP2 does the same with requests of HTTP/2, which the instance gets as HTTP/1.1. After each one, the
// connection of its client still answers.
func TestCorpusOfHTTP2(t *testing.T) {
	instance := upstreamtest.NewRaw(t, sayTarget)
	b := run(t, []string{instance.Addr}, nil)
	bystander := b.dial()
	for i, tc := range corpus.HTTP2() {
		t.Run(tc.Name, func(t *testing.T) {
			f := b.frames()
			f.tb = t
			f.request(1, len(tc.Body) == 0, tc.Fields...)
			for n, data := range tc.Body {
				if err := f.WriteData(1, n == len(tc.Body)-1, []byte(data)); err != nil {
					break // refused already
				}
			}
			got := f.outcome()
			if got == "100" {
				got = f.outcome()
			}
			if !slices.Contains(strings.Split(tc.Want, "|"), got) {
				t.Fatalf("got %s, want %s", got, tc.Want)
			}
			f.request(3, true, ":method", "GET", ":scheme", "http", ":path", "/last", ":authority", "last")
			for got := f.outcome(); got != "200"; got = f.outcome() {
				// The rest of a request that was answered early is not needed, or turns out malformed.
				if got != "reset NO_ERROR" && !slices.Contains(strings.Split(tc.Want, "|"), got) {
					t.Fatalf("behind it: %s", got)
				}
			}
			_ = f.nc.Close()
		})
		target := fmt.Sprintf("/bystander/%d", i)
		bystander.send("GET " + target + " HTTP/1.1\r\nHost: bystander\r\n\r\n")
		if res, body := bystander.response("GET"); res.StatusCode != 200 || body != target {
			t.Fatalf("after %s the bystander got %d %q", tc.Name, res.StatusCode, body)
		}
	}
	n := checkClaims(t, instance, b.entries())
	t.Logf("%d cases, %d requests at the instance", len(corpus.HTTP2()), n)
}

// sayTarget answers every request with its target.
func sayTarget(s *upstreamtest.Session) {
	for req := s.Request(); req != nil; req = s.Request() {
		body := req.RequestURI
		reply := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
		if req.Method != "HEAD" {
			reply += body
		}
		s.Write(reply)
	}
}

// checkClaims compares what an instance got with the access log and gives the
// number of requests.
func checkClaims(t *testing.T, instance *upstreamtest.Raw, log []entry) int {
	t.Helper()
	claimed := map[string]entry{}
	for _, e := range log {
		if e.Instance != "" {
			claimed[e.RequestID] = e
		}
	}
	seen := map[string]bool{}
	for _, got := range instance.Received() {
		for _, r := range parseAll(t, got) {
			e, ok := claimed[r.id]
			if !ok || seen[r.id] {
				t.Errorf("the instance saw a request that the access log does not claim: %+v", r)
				continue
			}
			seen[r.id] = true
			if e.Method != r.method || e.Host != r.host || e.Target != r.target {
				t.Errorf("the instance saw %+v, the access log says %+v", r, e)
			}
			if r.whole && e.BytesIn != r.body || !r.whole && e.Status == 200 {
				t.Errorf("the instance saw a body of %d (whole: %v), the access log says %+v", r.body, r.whole, e)
			}
		}
	}
	for id, e := range claimed {
		if !seen[id] && e.Failure == "" { // of a request that broke off early the instance may not have read a byte
			t.Errorf("the instance never saw %+v", e)
		}
	}
	return len(seen)
}

// FuzzConnection sends anything at all: the proxy must end the connection, and
// what the instance got must be what the access log claims.
func FuzzConnection(f *testing.F) {
	for _, tc := range requests(f) {
		if len(tc.Bytes) < 400 && !strings.HasPrefix(tc.Want[0], "4") {
			f.Add([]byte(tc.Bytes))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		instance := upstreamtest.NewRaw(t, sayTarget)
		b := run(t, []string{instance.Addr}, nil)
		c := b.dial()
		go func() {
			_, _ = c.Write(in)
			_ = c.CloseWrite()
		}()
		if _, err := io.Copy(io.Discard, c.r); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the connection hangs after %q", in)
		}
		b.stop()
		eventually(t, "the instance has read it", func() bool { return instance.Open() == 0 })
		checkClaims(t, instance, b.entries())
	})
}

type seenRequest struct {
	id, method, host, target string
	body                     int64
	whole                    bool
}

// parseAll reads everything that an instance got on one connection with net/http, fasthttp and our own parser, and wants
// the same from all.
func parseAll(t *testing.T, got []byte) (out []seenRequest) {
	t.Helper()
	defer func(got []byte) { parseFast(t, got, out) }(bytes.Clone(got)) // our parser moves bytes
	br := bufio.NewReaderSize(bytes.NewReader(got), 1<<16)
	for {
		req, err := http.ReadRequest(br)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("net/http cannot read what the instance got: %v: %.300q", err, got)
		}
		n, err := io.Copy(io.Discard, req.Body)
		out = append(out, seenRequest{req.Header.Get("X-Request-Id"), req.Method, req.Host, req.RequestURI, n, err == nil})
	}
	limits := h1.Limits{Head: h1.MaxHead}.WithDefaults()
	for i, got := 0, got; len(got) > 0; i++ {
		var r h1.Request
		n, bad := r.Parse(got, &limits)
		if bad != nil || n == 0 || i >= len(out) {
			t.Fatalf("our parser reads what the instance got differently: %v: %.300q", bad, got)
		}
		var body h1.Body
		body.Start(r.Body, r.Length)
		target := string(r.AppendTarget(nil))
		id, _ := r.Header("X-Request-Id")
		ours := seenRequest{id: string(id), method: string(r.Method()), host: string(r.Host()), target: target}
		data, used, bad := body.Take(got[n:])
		if bad != nil {
			t.Fatalf("our parser refuses the body that the instance got: %v", bad)
		}
		ours.body, ours.whole = int64(len(data)), body.Done()
		if ours != out[i] {
			t.Fatalf("net/http reads %+v, we read %+v", out[i], ours)
		}
		got = got[n+used:]
	}
	return out
}

// parseFast compares what fasthttp reads with want.
func parseFast(t *testing.T, got []byte, want []seenRequest) {
	t.Helper()
	br := bufio.NewReaderSize(bytes.NewReader(got), 1<<16)
	for i := 0; ; i++ {
		var req fasthttp.Request
		req.Header.DisableNormalizing()
		req.URI().DisablePathNormalizing = true
		err := req.ReadLimitBody(br, 1<<30)
		if err != nil && i == len(want) {
			return
		}
		if i == len(want) {
			t.Fatalf("fasthttp reads one more request: %.300q", got)
		}
		if err != nil {
			if want[i].whole {
				t.Fatalf("fasthttp cannot read %+v: %v: %.900q", want[i], err, got[max(0, bytes.Index(got, []byte(want[i].id))-300):])
			}
			return // broken off: nothing follows
		}
		fast := seenRequest{string(req.Header.Peek("X-Request-Id")), string(req.Header.Method()), string(req.Header.Host()), string(req.Header.RequestURI()), int64(len(req.Body())), true}
		if fast != want[i] {
			t.Fatalf("net/http reads %+v, fasthttp %+v", want[i], fast)
		}
	}
}
