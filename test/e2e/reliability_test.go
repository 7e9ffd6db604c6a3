package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/smartlb/smartlb/internal/test/porttest"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// The table of docs/reliability.md names these tests. They log the figures of that page.

// variable is an instance whose service time and failures change while it runs.
type variable struct {
	addr    string
	delayNs atomic.Int64
	failPct atomic.Int64 // of the requests, answered with 503
	hits    atomic.Int64
}

// newVariable starts an instance with a service time of 5 ms. GET /large has a body of 32 MiB.
func newVariable(t *testing.T) *variable {
	t.Helper()
	v := &variable{}
	v.delayNs.Store(int64(5 * time.Millisecond))
	part := bytes.Repeat([]byte("x"), 1<<20)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			for range 32 {
				if _, err := w.Write(part); err != nil {
					return
				}
			}
			return
		}
		v.hits.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(time.Duration(v.delayNs.Load()))
		if rand.Int64N(100) < v.failPct.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	v.addr = s.Listener.Addr().String()
	return v
}

func variables(t *testing.T, n int) (all []*variable, addrs []string) {
	t.Helper()
	for range n {
		v := newVariable(t)
		all, addrs = append(all, v), append(addrs, v.addr)
	}
	return all, addrs
}

// shareOfFirst returns which share of the next n requests the first instance gets.
func shareOfFirst(t *testing.T, all []*variable, n int64) float64 {
	t.Helper()
	sum := func() (total int64) {
		for _, v := range all {
			total += v.hits.Load()
		}
		return total
	}
	first, before := all[0].hits.Load(), sum()
	eventually(t, "requests arrive", func() bool { return sum() >= before+n })
	return float64(all[0].hits.Load()-first) / float64(sum()-before)
}

// none ends a load and fails the test if a request failed.
func (l *load) none(t *testing.T) {
	t.Helper()
	l.stop()
	ok, bad, first := l.counts()
	if bad > 0 || ok == 0 {
		t.Errorf("%d requests answered, %d failed, such as %s", ok, bad, first)
	}
	t.Logf("%d requests, %d failed, the longest took %s", ok+bad, bad, l.slowest.Round(time.Millisecond))
}

// withinBudget is a number of concurrent requests that may all be retries, see guard.DefaultBudget.
const withinBudget = 3

// since formats the time since a moment for the log.
func since(t time.Time) time.Duration { return time.Since(t).Round(10 * time.Millisecond) }

// An instance that is killed costs no GET. It leaves the rotation, and a new process on its address gets requests.
func TestAKilledInstanceCostsNoIdempotentRequest(t *testing.T) {
	t.Parallel()
	addr := porttest.Address(t)
	serve := func() *process {
		p := start(t, false, "demo", "service", "--service", "shop", "--instance", "i0", "--listen", addr, "--latency", "5ms", "--no-report")
		eventually(t, "the instance listens", func() bool { status, _, _ := get(t, "http://"+addr+"/health"); return status == 200 })
		return p
	}
	victim := serve()
	_, others := variables(t, 3)
	p := lineProxy(t, append([]string{addr}, others...), "--health-interval", "1s")
	admin := p.Address("admin")
	l := startLoad(t, "http://"+p.Address("web")+"/", withinBudget)
	eventually(t, "the instance gets requests", func() bool { return standings(t, admin)[addr].Requests > 50 })
	killed := time.Now()
	victim.stop(syscall.SIGKILL)
	eventually(t, "it is out of rotation", func() bool { return standings(t, admin)[addr].State != "in" })
	t.Logf("out of rotation after %s, %d requests to it failed and were repeated", since(killed), standings(t, admin)[addr].Errors)
	back := time.Now()
	serve()
	before := standings(t, admin)[addr]
	eventually(t, "it gets requests again", func() bool {
		s := standings(t, admin)[addr]
		return s.State == "in" && s.Requests-s.Errors > before.Requests-before.Errors+20
	})
	t.Logf("in rotation with 20 requests answered after %s", since(back))
	l.none(t)
}

// blackhole returns an address that drops connections without an answer: its queue is full and no process accepts.
func blackhole(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for { // until the queue is full
		nc, err := net.DialTimeout("tcp", addr, 500*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { _ = nc.Close() })
	}
}

// An instance behind a network that drops packets costs the connect timeout and no request.
func TestABlackholeCostsNoRequest(t *testing.T) {
	t.Parallel()
	hole := blackhole(t)
	_, others := variables(t, 3)
	p := lineProxy(t, append([]string{hole}, others...), "--policy", "round_robin", "--health-interval", "0")
	admin := p.Address("admin")
	l := startLoad(t, "http://"+p.Address("web")+"/", withinBudget)
	began := time.Now()
	eventually(t, "it is ejected", func() bool { return standings(t, admin)[hole].State == "ejected" })
	t.Logf("ejected after %s", since(began))
	if n := standings(t, admin)[hole].Errors; n < 5 {
		t.Errorf("%d errors are charged to it", n)
	}
	before, _, _ := l.counts()
	eventually(t, "requests continue", func() bool { ok, _, _ := l.counts(); return ok > before+500 })
	l.none(t)
}

// Instances that close idle connections without notice cost no GET.
func TestInstancesThatCloseIdleConnectionsCostNoRequest(t *testing.T) {
	t.Parallel()
	var to []string
	for range 3 {
		raw := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) {
			for range 1 + rand.IntN(3) {
				if s.Request() == nil || !s.Write(upstreamtest.OK) {
					return
				}
			}
		})
		to = append(to, raw.Addr)
	}
	p := lineProxy(t, to, "--health-interval", "0")
	l := startLoad(t, "http://"+p.Address("web")+"/", 16)
	eventually(t, "3000 requests", func() bool { ok, _, _ := l.counts(); return ok > 3000 })
	l.none(t)
	t.Logf("%.0f requests were sent again on a new connection", metric(t, p.Address("admin"), "smartlb_upstream_resent_total"))
	for id, s := range standings(t, p.Address("admin")) {
		if s.State != "in" || s.Errors > 0 {
			t.Errorf("%s is %s with %d errors: the end of an idle connection counts as a failure", id, s.State, s.Errors)
		}
	}
}

// A slow instance gets few requests and stays in rotation. It gets its share again when it is fast again.
func TestASlowInstanceGetsFewRequestsUntilItIsFastAgain(t *testing.T) {
	t.Parallel()
	all, to := variables(t, 4)
	p := lineProxy(t, to)
	l := startLoad(t, "http://"+p.Address("web")+"/", 8)
	eventually(t, "it gets its share", func() bool { return shareOfFirst(t, all, 500) > .125 })
	slow := time.Now()
	all[0].delayNs.Store(int64(500 * time.Millisecond))
	eventually(t, "it gets few requests", func() bool { return shareOfFirst(t, all, 500) < .05 })
	t.Logf("500 ms slower: below 5 %% of the requests within %s", since(slow))
	fast := time.Now()
	all[0].delayNs.Store(int64(5 * time.Millisecond))
	eventually(t, "it gets its share again", func() bool { return shareOfFirst(t, all, 500) > .125 })
	t.Logf("fast again: half of its share within %s", since(fast))
	if s := standings(t, p.Address("admin"))[to[0]]; s.Ejections > 0 || s.State != "in" {
		t.Errorf("it is %s after %d ejections", s.State, s.Ejections)
	}
	l.none(t)
}

// The state of an instance that fails and recovers again and again changes more and more rarely.
func TestAFlappingInstanceIsEjectedForLongerEachTime(t *testing.T) {
	t.Parallel()
	flapping := newMoody(t)
	_, others := variables(t, 3)
	p := lineProxy(t, append([]string{flapping.Addr}, others...), "--policy", "round_robin", "--health-interval", "0")
	l := startLoad(t, "http://"+p.Address("web")+"/", withinBudget)
	began := time.Now()
	for i := range 10 {
		flapping.mood.Store([]string{"reset before the head", "well"}[i%2])
		time.Sleep(2 * time.Second)
	}
	eventually(t, "it was ejected", func() bool { return standings(t, p.Address("admin"))[flapping.Addr].Ejections > 0 })
	most, at := 0, time.Duration(0)
	for length := 5 * time.Second; at <= time.Since(began); length *= 2 { // each ejection begins after the end of the one before
		most, at = most+1, at+length
	}
	got := standings(t, p.Address("admin"))[flapping.Addr].Ejections
	if got > most {
		t.Errorf("%d ejections, at most %d of at least 5 s, 10 s, 20 s fit into %s", got, most, since(began))
	}
	t.Logf("%d ejections in %s", got, since(began))
	l.none(t)
}

// An instance that fails fast, or that fails half of its requests, gets few requests. Retries are off, so each failure
// reaches a client.
func TestAFailingInstanceAttractsNoRequests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		delay   time.Duration
		failPct int64
		most    float64 // share of failed requests
	}{
		"each request fails at once": {0, 100, .03},
		"half of the requests fail":  {5 * time.Millisecond, 50, .03},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, to := variables(t, 4)
			all[0].delayNs.Store(int64(c.delay))
			all[0].failPct.Store(c.failPct)
			p := lineProxy(t, to, "--retries", "0")
			l := startLoad(t, "http://"+p.Address("web")+"/", 8)
			eventually(t, "4000 requests", func() bool { ok, bad, _ := l.counts(); return ok+bad > 4000 })
			l.stop()
			ok, bad, _ := l.counts()
			if share := float64(bad) / float64(ok+bad); share > c.most {
				t.Errorf("%d of %d requests failed: %.1f %%, want at most %.0f %%", bad, ok+bad, 100*share, 100*c.most)
			}
			t.Logf("%d of %d requests failed: %.2f %%", bad, ok+bad, 100*float64(bad)/float64(ok+bad))
		})
	}
}

// If all instances fail, the proxy uses all of them. Retries stay within their budget, and there are none in panic.
func TestRetriesDoNotMultiplyTheLoadIfAllInstancesFail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		interval string // of health checks
		panic    float64
		most     float64 // tries per request
	}{
		"health checks fail too":     {"200ms", 1, 1.1},
		"there are no health checks": {"0", 0, 1.6}, // of 60 requests in flight, 3 + 20 % may be retries: 45 first tries and 15 retries
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			allFail(t, c.interval, c.panic, c.most)
		})
	}
}

func allFail(t *testing.T, interval string, panics, most float64) {
	var failing atomic.Bool
	var tries atomic.Int64
	var to []string
	for range 3 {
		raw := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) {
			for req := s.Request(); req != nil; req = s.Request() {
				if failing.Load() {
					if req.URL.Path != "/health" {
						tries.Add(1)
						s.Wait(20 * time.Millisecond)
					}
					s.Reset()
					return
				}
				if !s.Write(upstreamtest.OK) {
					return
				}
			}
		})
		to = append(to, raw.Addr)
	}
	p := lineProxy(t, to, "--retries", "2", "--health-path", "/health", "--health-interval", interval)
	admin := p.Address("admin")
	l := startLoad(t, "http://"+p.Address("web")+"/", 60)
	eventually(t, "requests succeed", func() bool { ok, _, _ := l.counts(); return ok > 200 })
	failing.Store(true)
	eventually(t, "requests fail", func() bool {
		_, bad, _ := l.counts()
		return bad > 100 && metric(t, admin, "smartlb_service_panic") == panics
	})
	_, failed, _ := l.counts()
	tried := tries.Load()
	eventually(t, "3000 requests fail", func() bool { _, bad, _ := l.counts(); return bad > failed+3000 })
	_, bad, why := l.counts()
	perRequest := float64(tries.Load()-tried) / float64(bad-failed)
	if perRequest > most || perRequest < .9 || !strings.Contains(why, "502") {
		t.Errorf("%.2f tries per request, want at most %.2f; the last failure is %s", perRequest, most, why)
	}
	t.Logf("%.2f tries per request, 2 retries are allowed", perRequest)
	healed := time.Now()
	failing.Store(false)
	ok, _, _ := l.counts()
	eventually(t, "all instances are in rotation, and requests succeed", func() bool {
		for _, s := range standings(t, admin) {
			if s.State != "in" {
				return false
			}
		}
		now, _, _ := l.counts()
		return now > ok+200
	})
	t.Logf("recovered within %s", since(healed))
	l.stop()
	fresh := startLoad(t, "http://"+p.Address("web")+"/", 60)
	eventually(t, "requests go on", func() bool { ok, _, _ := fresh.counts(); return ok > 1000 })
	fresh.none(t)
}

// Responses that violate HTTP become 502, and the proxy goes on.
func TestBytesThatAreNotHTTPBecome502(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"http1", "h2c"} {
		var reply atomic.Value
		raw := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) {
			if protocol == "http1" && !s.Head() {
				return
			}
			s.Write(reply.Load().(string))
			s.Hang()
		})
		p := lineProxy(t, []string{raw.Addr}, "--retries", "0", "--health-interval", "0", "--upstream-protocol", protocol)
		replies := map[string]string{
			"garbage":                  "\x16\x03\x01\x02\x00\xff\x00 this is not HTTP\r\n\r\n",
			"a head of 20 KiB":         "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 20<<10) + "\r\n\r\n",
			"10,000 interim responses": strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 10_000) + "garbage\r\n\r\n",
			"length and chunks":        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			"frames of HTTP/2":         "\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0b\r\n\r\n",
		}
		if protocol == "h2c" {
			settings := "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
			replies = map[string]string{
				"HTTP/1.1":                   upstreamtest.OK,
				"a frame of 16 MiB":          settings + "\xff\xff\xff\x00\x00\x00\x00\x00\x01",
				"headers that do not decode": settings + "\x00\x00\x04\x01\x05\x00\x00\x00\x01\xff\xff\xff\xff",
				"data on an idle stream":     settings + "\x00\x00\x01\x00\x01\x00\x00\x00\x63x",
			}
		}
		for name, text := range replies {
			reply.Store(text)
			if status, body, err := get(t, "http://"+p.Address("web")+"/"); status != 502 {
				t.Errorf("%s: %s: %d %q %v, want 502", protocol, name, status, body, err)
			}
			eventually(t, name+": the connection is closed", func() bool { return raw.Open() == 0 })
		}
		if p.ended() || p.Said("panic") {
			t.Errorf("%s: the proxy ended", protocol)
		}
	}
}

// open connects to an address and sends a text. The connection ends with the test.
func open(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, maxWait)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if _, err := io.WriteString(nc, text); err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(maxWait))
	return nc
}

// statusOf reads a response and returns its status; 0: the connection ended.
func statusOf(nc net.Conn) int {
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// residentKiB returns the memory of a process.
func residentKiB(t *testing.T, p *process) (kib int) {
	t.Helper()
	_, after, _ := strings.Cut(mustRead(t, fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid)), "VmRSS:")
	if _, err := fmt.Sscan(after, &kib); err != nil {
		t.Fatal(err)
	}
	return kib
}

// Clients that send or read slowly are disconnected. Meanwhile they cost other clients no request, and hold little memory.
func TestSlowClientsAreDisconnectedAndCostOthersNothing(t *testing.T) {
	t.Parallel()
	_, to := variables(t, 3)
	file := proxyFile(t, to, "proxy: {timeouts: {head: 3s, body: 3s}}\n")
	p := start(t, true, "run", "--roles", "proxy", "--config", file, "--config-source", "file", "--kafka", "127.0.0.1:1", "--admin", "127.0.0.1:0", "--drain", "2s", "--data", t.TempDir())
	web := p.Address("web")
	l := startLoad(t, "http://"+web+"/", 4)
	eventually(t, "requests succeed", func() bool { ok, _, _ := l.counts(); return ok > 500 })
	before := residentKiB(t, p)
	var heads, bodies, readers []net.Conn
	for range 300 {
		heads = append(heads, open(t, web, "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "))
		bodies = append(bodies, open(t, web, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx"))
	}
	for range 30 {
		readers = append(readers, open(t, web, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n"))
	}
	held := 0
	eventually(t, "the slow clients are connected", func() bool {
		held = max(held, residentKiB(t, p))
		return metric(t, p.Address("admin"), "smartlb_connections_accepted_total") >= 630
	})
	slow := func(conns []net.Conn) map[int]int {
		got := map[int]int{}
		for _, nc := range conns {
			got[statusOf(nc)]++
			held = max(held, residentKiB(t, p))
		}
		return got
	}
	if got := slow(heads); got[408] != len(heads) {
		t.Errorf("slow heads: %v, want 408", got)
	}
	if got := slow(bodies); got[408] != len(bodies) {
		t.Errorf("slow bodies: %v, want 408", got)
	}
	eventually(t, "only the other clients are connected", func() bool {
		held = max(held, residentKiB(t, p))
		return metric(t, p.Address("admin"), "smartlb_connections_open") <= 4
	})
	for _, nc := range readers {
		if n, err := io.Copy(io.Discard, nc); n >= 32<<20 {
			t.Errorf("a client that read nothing for the body timeout got %d bytes, %v", n, err)
		}
	}
	if held > before+64<<10 {
		t.Errorf("the memory grew from %d KiB to %d KiB", before, held)
	}
	t.Logf("630 slow clients: %.1f MiB more memory", float64(held-before)/1024)
	l.none(t)
}

// proxyFile writes a configuration with one listener, one service and further keys.
func proxyFile(t *testing.T, to []string, extra string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("listeners: [{name: web, address: '127.0.0.1:0'}]\nroutes: [{name: all, path: {prefix: /}, service: shop}]\nservices:\n  - id: shop\n    instances:\n")
	for i, addr := range to {
		fmt.Fprintf(&b, "      - {id: i%d, address: %q}\n", i+1, addr)
	}
	return mustWrite(t, b.String()+extra)
}

// Floods of HTTP/2 frames end the connection of their client and cost others nothing.
func TestFloodsOfHTTP2FramesCostOthersNothing(t *testing.T) {
	t.Parallel()
	_, to := variables(t, 2)
	p := lineProxy(t, to)
	l := startLoad(t, "http://"+p.Address("web")+"/", 4)
	var buf bytes.Buffer
	enc := hpack.NewEncoder(&buf)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "a"}} {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			t.Fatal(err)
		}
	}
	head := buf.Bytes()
	for name, flood := range map[string]func(f *http2.Framer, i uint32) error{
		"rapid reset": func(f *http2.Framer, i uint32) error {
			if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, EndStream: true, EndHeaders: true, BlockFragment: head}); err != nil {
				return err
			}
			return f.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
		},
		"continuations": func(f *http2.Framer, i uint32) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head})
			}
			return f.WriteContinuation(1, false, nil)
		},
		"pings":    func(f *http2.Framer, _ uint32) error { return f.WritePing(false, [8]byte{}) },
		"settings": func(f *http2.Framer, _ uint32) error { return f.WriteSettings() },
	} {
		nc := open(t, p.Address("web"), http2.ClientPreface)
		f := http2.NewFramer(nc, nc)
		f.AllowIllegalWrites = true
		if err := f.WriteSettings(); err != nil {
			t.Fatal(err)
		}
		closed := make(chan struct{})
		go func() { defer close(closed); _, _ = io.Copy(io.Discard, nc) }()
		frames := uint32(0)
		for frames < 1_000_000 && flood(f, frames) == nil {
			frames++
		}
		_ = nc.(*net.TCPConn).CloseWrite()
		<-closed
		if frames == 1_000_000 {
			t.Errorf("%s: a million frames were accepted", name)
		}
		t.Logf("%s: the connection was closed after at most %d frames", name, frames)
	}
	before, _, _ := l.counts()
	eventually(t, "requests go on", func() bool { ok, _, _ := l.counts(); return ok > before+200 })
	l.none(t)
}

// The requests of clients that leave are cancelled at the instance.
func TestRequestsOfClientsThatLeaveAreCancelled(t *testing.T) {
	t.Parallel()
	hanging := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) { s.Hang() })
	path := filepath.Join(t.TempDir(), "access.log")
	p := lineProxy(t, []string{hanging.Addr}, "--health-interval", "0", "--timeout", "10m", "--access-log", path)
	const clients = 50
	var conns []net.Conn
	for i := range clients {
		text := "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
		if i%2 == 0 {
			text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nthe first bytes"
		}
		conns = append(conns, open(t, p.Address("web"), text))
	}
	eventually(t, "the instance has all requests", func() bool { return hanging.Open() == clients })
	left := time.Now()
	for _, nc := range conns {
		_ = nc.(*net.TCPConn).SetLinger(0)
		_ = nc.Close()
	}
	eventually(t, "all requests are cancelled", func() bool {
		return hanging.Open() == 0 && metric(t, p.Address("admin"), "smartlb_instance_in_flight") == 0
	})
	t.Logf("cancelled within %s", since(left))
	eventually(t, "all are in the access log", func() bool { return strings.Count(mustRead(t, path), `"status":499`) == clients })
	if n := metric(t, p.Address("admin"), "smartlb_instance_errors_total"); n != 0 {
		t.Errorf("%.0f errors are charged to the instance", n)
	}
}

// Ten times as many connections as the limit get 503, and those within the limit are served.
func TestConnectionsAboveTheLimitGet503(t *testing.T) {
	t.Parallel()
	const limit = 50
	_, to := variables(t, 2)
	file := proxyFile(t, to, fmt.Sprintf("proxy: {limits: {connections: %d}}\n", limit))
	p := start(t, true, "run", "--roles", "proxy", "--config", file, "--config-source", "file", "--kafka", "127.0.0.1:1", "--admin", "127.0.0.1:0", "--drain", "2s", "--data", t.TempDir())
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	var kept []net.Conn
	for range limit {
		nc := open(t, p.Address("web"), request)
		if got := statusOf(nc); got != 200 {
			t.Fatalf("within the limit: status %d", got)
		}
		kept = append(kept, nc)
	}
	var group sync.WaitGroup
	var refused, closed atomic.Int64
	for range 9 * limit {
		group.Go(func() {
			nc, err := net.Dial("tcp", p.Address("web"))
			if err != nil {
				t.Error(err)
				return
			}
			defer nc.Close()
			_ = nc.SetDeadline(time.Now().Add(maxWait))
			switch got := statusOf(nc); got {
			case 503:
				refused.Add(1)
			case 0:
				closed.Add(1)
			default:
				t.Errorf("above the limit: status %d", got)
			}
		})
	}
	group.Wait()
	if got := metric(t, p.Address("admin"), "smartlb_connections_refused_total"); got != 9*limit {
		t.Errorf("%v connections are counted as refused, want %d", got, 9*limit)
	}
	t.Logf("%d connections above the limit: %d got 503, %d were closed", 9*limit, refused.Load(), closed.Load())
	for _, nc := range kept {
		if _, err := io.WriteString(nc, request); err != nil {
			t.Fatal(err)
		}
		if got := statusOf(nc); got != 200 {
			t.Errorf("within the limit, after the storm: status %d", got)
		}
		_ = nc.Close()
	}
	eventually(t, "new clients are served", func() bool { status, _, _ := get(t, "http://"+p.Address("web")+"/"); return status == 200 })
}

// withDescriptors starts a node that may have few descriptors.
func withDescriptors(t *testing.T, descriptors int, file string) *process {
	t.Helper()
	args := []string{binary, "run", "--roles", "proxy", "--config", file, "--config-source", "file", "--kafka", "127.0.0.1:1", "--admin", "127.0.0.1:0", "--drain", "2s", "--log-format", "json", "--data", t.TempDir()}
	return startCommand(t, exec.Command("sh", slices.Concat([]string{"-c", fmt.Sprintf(`ulimit -n %d; exec "$@"`, descriptors), "sh"}, args)...), cleanEnv(t), true)
}

// A process without descriptors goes on serving its connections, and accepts again when descriptors are free. With the
// default limit of connections, the admin listener stays reachable.
func TestANodeWithoutDescriptorsServesItsConnections(t *testing.T) {
	t.Parallel()
	const descriptors, storm = 160, 400
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	_, to := variables(t, 1)
	for name, limit := range map[string]int{"default limit": 0, "limit above the descriptors": 10_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := withDescriptors(t, descriptors, proxyFile(t, to, fmt.Sprintf("proxy: {limits: {connections: %d}}\n", limit)))
			if limit > 0 && !p.Said("the connection limit is above what the descriptor limit allows") {
				t.Error("the log does not warn about the limit")
			}
			kept := open(t, p.Address("web"), request)
			if got := statusOf(kept); got != 200 {
				t.Fatalf("before: status %d", got)
			}
			var conns []net.Conn
			for range storm {
				if nc, err := net.DialTimeout("tcp", p.Address("web"), time.Second); err == nil {
					conns = append(conns, nc)
					defer nc.Close()
				}
			}
			eventually(t, "no more are accepted", func() bool {
				if limit == 0 {
					return metric(t, p.Address("admin"), "smartlb_connections_refused_total") > storm/2
				}
				return fds(t, p) >= descriptors-1
			})
			for range 20 {
				if _, err := io.WriteString(kept, request); err != nil {
					t.Fatal(err)
				}
				if got := statusOf(kept); got != 200 {
					t.Fatalf("during the shortage: status %d", got)
				}
			}
			t.Logf("%d connections, %d descriptors in use", len(conns), fds(t, p))
			for _, nc := range conns {
				_ = nc.Close()
			}
			eventually(t, "new clients are served", func() bool {
				status, _, _ := get(t, "http://"+p.Address("web")+"/")
				return status == 200
			})
			if p.ended() || p.Said("panic") {
				t.Error("the process ended")
			}
		})
	}
}

// A node that was killed is started again and serves at once; clients whose connection broke connect again.
func TestAKilledNodeServesAgainAtOnce(t *testing.T) {
	t.Parallel()
	_, to := variables(t, 2)
	addr, data := porttest.Address(t), t.TempDir()
	file := strings.Replace(mustRead(t, proxyFile(t, to, "")), "127.0.0.1:0", addr, 1)
	path := mustWrite(t, file)
	serve := func() *process {
		return start(t, true, "run", "--roles", "proxy", "--config", path, "--config-source", "file", "--kafka", "127.0.0.1:1", "--admin", "127.0.0.1:0", "--drain", "2s", "--data", data)
	}
	p := serve()
	for range 3 {
		if status, body, err := get(t, "http://"+addr+"/"); status != 200 {
			t.Fatalf("%d %s %v", status, body, err)
		}
		p.stop(os.Kill)
		killed := time.Now()
		p = serve()
		if status, body, err := get(t, "http://"+addr+"/"); status != 200 {
			t.Fatalf("after a kill: %d %s %v", status, body, err)
		}
		t.Logf("first response %s after the kill", since(killed))
	}
}
