package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// corpusCase is one entry of testdata/requests.
type corpusCase struct {
	name  string
	want  []string // statuses, then close, open or more
	bytes string
}

func readCorpus(t testing.TB) (cases []corpusCase) {
	t.Helper()
	files, err := filepath.Glob("testdata/requests/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case strings.HasPrefix(line, "#") || line == "":
			case strings.HasPrefix(line, "case "):
				name, want, ok := strings.Cut(line[len("case "):], ": ")
				if !ok {
					t.Fatalf("%s: %q", file, line)
				}
				cases = append(cases, corpusCase{name: name, want: strings.Fields(want)})
			case len(cases) == 0:
				t.Fatalf("%s: %q before the first case", file, line)
			default:
				cases[len(cases)-1].bytes += unescape(t, line)
			}
		}
	}
	return cases
}

// unescape reads a corpus line: Go's escapes, and @N before a text to repeat.
func unescape(t testing.TB, line string) string {
	t.Helper()
	n := 1
	if strings.HasPrefix(line, "@") {
		count, rest, _ := strings.Cut(line[1:], " ")
		var err error
		if n, err = strconv.Atoi(count); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		line = rest
	}
	var b strings.Builder
	for len(line) > 0 {
		r, raw, rest, err := strconv.UnquoteChar(line, 0)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if raw {
			b.WriteRune(r)
		} else {
			b.WriteByte(byte(r))
		}
		line = rest
	}
	return strings.Repeat(b.String(), n)
}

// TestCorpus sends every malformed, ambiguous and odd request of testdata to a
// running proxy. It checks the replies; that a bystander on another connection,
// served over the same connections to the instance, gets his own reply after
// each; and in the end that the bytes the instance received are, for net/http
// and for our own parser alike, exactly the requests that the access log claims.
func TestCorpus(t *testing.T) {
	instance := upstreamtest.NewRaw(t, sayTarget)
	b := run(t, []string{instance.Addr}, nil)
	cases := readCorpus(t)
	if len(cases) < 150 {
		t.Fatalf("%d cases", len(cases))
	}
	bystander := b.dial()
	for i, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := b.dial()
			c.tb = t
			sent := make(chan struct{})
			go func() { defer close(sent); _, _ = io.WriteString(c, tc.bytes) }()
			for _, want := range tc.want {
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
					if strings.HasPrefix(tc.bytes, "HEAD") && want == tc.want[0] {
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
			t.Fatalf("after %s the bystander got %d %q", tc.name, res.StatusCode, body)
		}
	}

	n := checkClaims(t, instance, b.entries())
	t.Logf("%d cases, %d requests at the instance", len(cases), n)
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
		for _, r := range parseBoth(t, got) {
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
	for _, tc := range readCorpus(f) {
		if len(tc.bytes) < 400 && !strings.HasPrefix(tc.want[0], "4") {
			f.Add([]byte(tc.bytes))
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

// parseBoth reads everything an instance got on one connection with net/http
// and with our own parser, and wants the same from both.
func parseBoth(t *testing.T, got []byte) (out []seenRequest) {
	t.Helper()
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
	for i := 0; len(got) > 0; i++ {
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
