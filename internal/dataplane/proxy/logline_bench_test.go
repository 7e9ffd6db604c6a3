package proxy

import (
	"io"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

func BenchmarkLogLine(b *testing.B) {
	p, err := New(Config{Listeners: []Listener{{Name: "web", Addr: "127.0.0.1:0"}}, AccessLog: io.Discard}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer p.closeListeners()
	c := &conn{p: p, l: p.listeners.open[0], front: h1Front{}, now: 1}
	e := newExchange(p)
	lim := h1.Limits{}.WithDefaults()
	if n, bad := e.req.Parse([]byte("GET /users/1?a=b HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: curl/8.5.0\r\nReferer: https://example.com/\r\n\r\n"), &lim); n == 0 || bad != nil {
		b.Fatal(bad)
	}
	e.id = append(e.id, "14b8523979cdd491e703cb72e8726e17"...)
	rec := &dispatch.Record{Service: "user-service", Route: "users", Instance: "user-service-1", Why: "adaptive", Attempts: 1, DurationNs: 12345678}
	b.ReportAllocs()
	for b.Loop() {
		c.logLine(e, rec, 200, "adaptive")
		p.log.shard[0].buf = p.log.shard[0].buf[:0]
	}
}
