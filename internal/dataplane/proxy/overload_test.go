package proxy

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// A client may be behind the rate for as long as the allowance says, however fast it was before.
func TestAllowance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1, 1<<30).Draw(t, "rate")
		most := time.Duration(rapid.Int64Range(1e8, 1e12).Draw(t, "most"))
		a := allowance{rate: rate, most: most, left: most}
		a.took(rapid.IntRange(0, 1<<20).Draw(t, "first"), 0)
		behind := 0.0 // seconds
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			n, wait := rapid.IntRange(0, 1<<16).Draw(t, "bytes"), rapid.Int64Range(0, 1e11).Draw(t, "wait")
			a.took(n, wait)
			behind = max(behind+float64(wait)/1e9-float64(n)/float64(rate), 0)
			got, want := a.limit(time.Hour, 0).Seconds(), max(min(most.Seconds()-behind, 3600), 0)
			if diff := got - want; diff < -1e-5 || diff > 1e-5 {
				t.Fatalf("%f s are left, want %f", got, want)
			}
		}
	})
	if none := (&allowance{}); none.limit(time.Minute, 1<<16) != time.Minute {
		t.Error("no rate, but a limit")
	}
}

// A client that takes a response at the lowest rate or faster is never ended, in pieces of any size. A slower one is ended when
// it is behind for longer than the allowance, whatever it took at once before.
func TestAllowanceOfAReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1, 1<<30).Draw(t, "rate")
		most := time.Duration(rapid.Int64Range(1e8, 1e11).Draw(t, "most"))
		speed := rapid.SampledFrom([]float64{.1, .5, .9, 1.1, 10}).Draw(t, "speed") // as a multiple of rate
		a := allowance{rate: rate, most: most, left: most}
		a.took(rapid.IntRange(0, 1<<24).Draw(t, "buffered"), 0)
		waited, took, ended := 0.0, time.Duration(0), false
		for range 5000 {
			n := rapid.IntRange(1, 1<<16).Draw(t, "bytes")
			took = time.Duration(float64(n) / float64(rate) / speed * 1e9)
			if ended = took > a.limit(1<<62, n)+1; ended { // 1: rounding
				break
			}
			a.took(n, int64(took))
			waited += took.Seconds()
		}
		least, longest := most.Seconds(), most.Seconds()/(1-speed)+1e-3
		switch {
		case speed > 1 && ended:
			t.Fatalf("a client that is fast enough was ended after %f s", waited)
		case speed < 1 && ended && waited+took.Seconds() < least:
			t.Fatalf("a slow client was ended after %f s, want %f s at least", waited, least)
		case speed < 1 && waited > longest:
			t.Fatalf("a slow client was not ended after %f s, want %f s at most", waited, longest)
		}
	})
}

// A client that reads, but less than it must each second, is ended, and the instance is not charged.
func TestASlowReaderEndsAtTheResponseRate(t *testing.T) {
	endless := upstreamtest.NewHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		piece := make([]byte, 32<<10)
		for {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	b := run(t, []string{endless}, func(c *Config, _ *dispatch.Route) { c.ResponseRate, c.BodyTimeout = 500_000_000, 5*soon })
	c := b.dial()
	c.send(get)
	for buf := make([]byte, 32<<10); ; time.Sleep(5 * time.Millisecond) {
		if _, err := c.Read(buf); err != nil {
			break
		}
	}
	f := b.frames()
	f.request(1, true, get2()...)
	for ended := false; !ended; {
		fr, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch fr := fr.(type) {
		case *http2.DataFrame:
			time.Sleep(5 * time.Millisecond)
			for _, id := range []uint32{0, 1} {
				f.must(f.WriteWindowUpdate(id, max(uint32(len(fr.Data())), 1)))
			}
		case *http2.RSTStreamFrame:
			ended = true
		}
	}
	f.request(3, true, get2()...) // other requests on the connection go on
	if got := f.outcome(); got != "200" {
		t.Errorf("got %s", got)
	}
	f.must(f.WriteRSTStream(3, http2.ErrCodeCancel))
	_ = f.nc.Close()
	slow := 0
	for _, e := range b.entries() {
		if e.Status != 200 || e.Failure == dispatch.ClientSlow.String() && e.BytesOut == 0 {
			t.Errorf("log %+v", e)
		}
		if e.Failure == dispatch.ClientSlow.String() {
			slow++
		}
	}
	if l := b.lives[0]; slow < 2 || l.Errors.Load() != 0 {
		t.Errorf("%d slow clients, want 2; the instance is charged with %d errors", slow, l.Errors.Load())
	}
}

// A response that is silent has no limit, and a large one that is read at once neither.
func TestTheResponseRateMeasuresTheClientOnly(t *testing.T) {
	const size, behind = 8 << 20, 20 * soon
	events := upstreamtest.NewHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 3 { // longer in all than the client may be behind
			_, _ = io.WriteString(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(behind * 4 / 10)
		}
		_, _ = w.Write(make([]byte, size))
	}))
	b := run(t, []string{events}, func(c *Config, _ *dispatch.Route) { c.ResponseRate, c.BodyTimeout = 1_000_000, behind })
	var wg sync.WaitGroup
	defer wg.Wait()
	for name, of := range b.clientsOf("/") {
		client, url := of()
		wg.Go(func() {
			res, err := client.Get(url)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			if n, err := io.Copy(io.Discard, res.Body); res.StatusCode != 200 || n != size+3*int64(len("data: x\n\n")) || err != nil {
				t.Errorf("%s: got %d and %d bytes, %v", name, res.StatusCode, n, err)
			}
		})
	}
}

// Progress alone is not enough: a client that sends too few bytes each second gets 408, whichever way they come.
func TestASlowBodyEndsAtTheBodyRate(t *testing.T) {
	instance := upstreamtest.NewHTTP(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	b := run(t, []string{instance}, func(c *Config, _ *dispatch.Route) { c.BodyRate, c.BodyTimeout = 100_000, 5*soon })
	for name, head := range map[string]string{"small": "Content-Length: 4000\r\n\r\n", "large": "Content-Length: 1000000\r\n\r\n", "chunked": "Transfer-Encoding: chunked\r\n\r\n"} {
		c := b.dial()
		c.send("POST / HTTP/1.1\r\nHost: a\r\n" + head)
		go func() {
			for {
				if _, err := io.WriteString(c, "1\r\nx\r\n"); err != nil {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}()
		if res, body := c.response("POST"); res.StatusCode != 408 || !res.Close {
			t.Errorf("%s: got %d %q", name, res.StatusCode, body)
		}
		c.abort()
	}
	f := b.frames()
	f.request(1, false, ":method", "POST", ":scheme", "http", ":path", "/", ":authority", "a")
	go func() {
		for f.WriteData(1, false, []byte("x")) == nil {
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if got := f.outcome(); got != "408" {
		t.Errorf("HTTP/2: got %s", got)
	}
	_ = f.nc.Close()
	for _, e := range b.entries() {
		if e.Status != 408 || e.Failure != "" && e.Failure != dispatch.ClientSlow.String() {
			t.Errorf("log %+v", e)
		}
	}
	if l := b.lives[0]; l.Errors.Load() != 0 {
		t.Errorf("the instance is charged with %d errors", l.Errors.Load())
	}
}

// The framing of chunks does not count: 200 bytes per second in chunks of one byte are not 800.
func TestTheBodyRateCountsTheBodyOnly(t *testing.T) {
	instance := upstreamtest.NewHTTP(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	b := run(t, []string{instance}, func(c *Config, _ *dispatch.Route) { c.BodyRate, c.BodyTimeout = 800, 10*soon })
	const most = 1500
	c := b.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	go func() {
		for range most {
			if _, err := io.WriteString(c, "1\r\nx\r\n"); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		_, _ = io.WriteString(c, "0\r\n\r\n")
	}()
	if res, body := c.response("POST"); res.StatusCode != 408 {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
	c.abort()
}

// Time in which the instance reads nothing is no time of the client.
func TestTheBodyRateMeasuresTheClientOnly(t *testing.T) {
	const size, behind = 8 << 20, 20 * soon
	slow := upstreamtest.NewHTTP(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for range 2 { // longer than the client may be behind, but not at a time
			time.Sleep(behind * 6 / 10)
			if _, err := io.CopyN(io.Discard, r.Body, size/2); err != nil {
				t.Error(err)
			}
		}
	}))
	b := run(t, []string{slow}, func(c *Config, _ *dispatch.Route) { c.BodyRate, c.BodyTimeout = 1_000_000, behind })
	for name, of := range b.clientsOf("/") {
		client, url := of()
		res, err := client.Post(url, "text/plain", strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			t.Fatal(err)
		}
		if body := readAll(t, res.Body); res.StatusCode != 200 {
			t.Errorf("%s: got %d %s", name, res.StatusCode, body)
		}
	}
}

// Above the first mark requests of low priority are refused, above the second one all requests and connections.
func TestShortMemoryRefusesByPriority(t *testing.T) {
	memory := guard.NewMemory(100)
	instance := upstreamtest.NewHTTP(t, http.HandlerFunc(upstreamtest.Echo))
	b := run(t, []string{instance}, func(c *Config, r *dispatch.Route) {
		c.Memory = memory
		r.Priority = dispatch.Priority{Header: "x-priority"}
	})
	ask := func(priority string) map[string]int {
		got := map[string]int{}
		for name, of := range b.clientsOf("/") {
			client, url := of()
			req, _ := http.NewRequest("GET", url, nil)
			req.Header.Set("X-Priority", priority)
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body := readAll(t, res.Body)
			if got[name] = res.StatusCode; res.StatusCode == 503 && (!strings.Contains(body, "proxy-exhausted") || res.Header.Get("Retry-After") != "1") {
				t.Errorf("%s: got %v %s", name, res.Header, body)
			}
		}
		return got
	}
	expect := func(what string, got map[string]int, want int) {
		t.Helper()
		if got["HTTP/1.1"] != want || got["HTTP/2"] != want {
			t.Errorf("%s: got %v, want %d", what, got, want)
		}
	}
	expect("at rest", ask("low"), 200)
	open := b.dial()
	open.send(get)
	open.response("GET")

	memory.Observe(85)
	expect("low at 85 %", ask("low"), 503)
	expect("normal at 85 %", ask("normal"), 200)

	memory.Observe(95)
	open.send(get)
	if res, _ := open.response("GET"); res.StatusCode != 503 || !res.Close {
		t.Errorf("an open connection got %d, close %v", res.StatusCode, res.Close)
	}
	late := b.dial()
	if text, _ := io.ReadAll(late.r); !b.tls && !strings.Contains(string(text), "503 proxy-exhausted") || b.tls && len(text) > 0 {
		t.Errorf("a new connection got %q", text)
	}
	if n := b.p.Stats().NoMemory; n != 1 {
		t.Errorf("%d connections refused", n)
	}

	memory.Observe(50)
	expect("afterwards", ask("low"), 200)
	if l := b.lives[0]; l.Errors.Load() != 0 {
		t.Errorf("the instance is charged with %d errors", l.Errors.Load())
	}
	if s := memory.Stats(); s.Low != 2 || s.Normal != 1 {
		t.Errorf("%+v", s)
	}
}
