//go:build !race

package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/accesslog"
	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/dataplane/compress"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/picker"
	"github.com/smartlb/smartlb/internal/dataplane/ratelimit"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

type noSpans struct{}

func (noSpans) Record(*Span) {}

// TestSteadyStateAllocatesNothing runs real exchanges over loopback, with an
// instance and a client that allocate nothing themselves, and counts.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	small := "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
	prefix, err := action.NewPrefixPath("/users", "/v2")
	if err != nil {
		t.Fatal(err)
	}
	combined, err := accesslog.Parse(accesslog.Combined)
	if err != nil {
		t.Fatal(err)
	}
	edits := &action.Actions{
		Request:  headersOf(t, []string{"X-Client: ${client}", "X-Route: ${route} ${instance}"}, nil, []string{"User-Agent"}),
		Response: headersOf(t, []string{"X-Frame-Options: DENY"}, nil, []string{"Server"}), Rewrite: &action.Rewrite{Host: "inner", Path: prefix},
	}
	get := "GET /users/1?a=b HTTP/1.1\r\nHost: api.example.com\r\nAccept: */*\r\nUser-Agent: test\r\n\r\n"
	traced := "GET / HTTP/1.1\r\nHost: a\r\nTraceparent: 00-" + aTrace + "-" + aSpan + "-01\r\nTracestate: a=1\r\n\r\n"
	for name, tc := range map[string]struct {
		request, reply string
		actions        *action.Actions
		limit          int // 0: none; requests per hour
	}{
		"GET":      {get, small, nil, 0},
		"limit":    {get, small, nil, 1_000_000},
		"load":     {get, strings.Replace(small, "Content-Type", "Endpoint-Load-Metrics: TEXT cpu_utilization=0.5,rps_fractional=12.5\r\nContent-Type", 1), nil, 0},
		"limited":  {get, small, nil, 1},
		"POST":     {"POST /users HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 5\r\n\r\nhello", small, nil, 0},
		"chunked":  {"POST /users HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", chunked, nil, 0},
		"edits":    {get, small, edits, 0},
		"traced":   {traced, small, nil, 0},
		"type":     {get, small, &action.Actions{Compression: &compress.Policy{Codings: []compress.Coding{compress.Gzip}, Types: compress.Types{"text/html"}}}, 0},
		"redirect": {get, small, &action.Actions{Redirect: &action.Redirect{Status: 308, Scheme: "https", Path: prefix}}, 0},
		"fixed":    {get, small, &action.Actions{Answer: &action.Response{Status: 200, Body: []byte("ok"), Headers: headersOf(t, []string{"X-Client: ${client}"}, nil, nil)}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := raw(t, func(s *upstreamtest.Session) {
				buf, reply := make([]byte, 4096), []byte(tc.reply)
				for {
					if _, err := s.Conn.Read(buf); err != nil { // requests come whole: one write each
						return
					}
					if _, err := s.Conn.Write(reply); err != nil {
						return
					}
				}
			}, func(c *Config, r *dispatch.Route) {
				c.AccessLog, c.Challenges, r.Actions = io.Discard, new(certs.Challenges), tc.actions
				if tc.request == traced {
					c.Tracing = &Tracing{Sample: 1, Recorder: noSpans{}}
				}
				if name == "edits" {
					c.LogFormat, c.LogFilter = combined, accesslog.Sampled(.5, false)
				}
				if name == "load" {
					withLoadReports(true)(c, r)
				}
				if tc.limit > 0 {
					r.Split[0].Limits = []*ratelimit.Limit{limitOf(ratelimit.Spec{Count: tc.limit, Per: time.Hour, Burst: tc.limit, By: ratelimit.By{Kind: ratelimit.Client}, Keys: 1000})}
				}
			})
			conn := b.dial()
			defer conn.Close()
			buf, request := make([]byte, 4096), []byte(tc.request)
			exchanges := func(n int) {
				for range n {
					if _, err := conn.Write(request); err != nil {
						t.Fatal(err)
					}
					if _, err := conn.Read(buf); err != nil { // so do replies
						t.Fatal(err)
					}
				}
			}
			defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties the pools
			exchanges(500)
			const n = 5000
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			exchanges(n)
			runtime.ReadMemStats(&after)
			most := uint64(n / 50) // the runtime and the sweeper may have a few
			if b.tls {
				most = 4 * n // crypto/tls: a small reader for each record, of this client as well
			}
			if got := after.Mallocs - before.Mallocs; got > most {
				t.Errorf("%d allocations in %d exchanges", got, n)
			}
		})
	}
}

// A stack that a request makes grow beyond 4 KiB costs idle connections memory, and requests of HTTP/2 and first requests time.
func TestARequestNeedsASmallStack(t *testing.T) {
	var instances []string
	for range 20 { // the policy draws a sample of them
		s := httptest.NewServer(http.HandlerFunc(reveal))
		defer s.Close()
		instances = append(instances, s.Listener.Addr().String())
	}
	b := runWith(t, false, instances, func(c *Config, _ *dispatch.Route) { c.IdleTimeout = testTimeout })
	pool := *b.service.Pool()
	for i := range pool.Members {
		m := &pool.Members[i]
		m.Capacity, m.Veto, m.SlowStart, m.Trust = 1, 1, 1, 1
	}
	pool.Policy = picker.NewAdaptive(&pool, 0)
	b.service.Swap(&pool)
	stacks := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.StackInuse
	}
	for range 50 { // what is made once
		b.dial().ask(t)
	}
	eventually(t, "they park", func() bool { return b.parked() == 50 })
	const n = 400
	before := stacks()
	for range n {
		b.dial().ask(t)
	}
	served := stacks() - before
	eventually(t, "all park", func() bool { return b.parked() == 50+n })
	parked := stacks() - before
	t.Logf("%d bytes for each connection, %d while it is parked", served/n, parked/n)
	if served/n > 5<<10 {
		t.Errorf("%d bytes of stack for each connection after a request", served/n)
	}
	if parked/n > 3<<10 {
		t.Errorf("%d bytes of stack for each parked connection", parked/n)
	}
}
