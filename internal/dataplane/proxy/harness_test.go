package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// With -tls every listener of the tests speaks TLS, and every client too: what holds in the clear must hold there.
var overTLS = flag.Bool("tls", false, "run the tests over TLS")

// identity is a certificate for 127.0.0.1, with what clients need to trust it.
var identity = sync.OnceValue(func() (id struct{ server, client *tls.Config }) {
	ca := certtest.New(noTest{}, "test")
	id.server = &tls.Config{Certificates: []tls.Certificate{ca.Issue(certtest.Options{}, "127.0.0.1", "localhost")}, NextProtos: []string{"h2", "http/1.1"}}
	id.client = &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1"}
	return id
})

// noTest stands for a test where something is made once for all.
type noTest struct{ testing.TB }

func (noTest) Helper()           {}
func (noTest) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// inTurn takes the first live member that was not tried, in order.
type inTurn struct{}

func (inTurn) Choose(p *upstream.Pool, a *upstream.Ask) int {
	for _, i := range p.Live {
		if !a.WasTried(p.Members[i].Live) {
			a.Trace.Reason = "turn"
			return int(i)
		}
	}
	return -1
}

// logBuf collects lines that several goroutines write.
type logBuf struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuf) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuf) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// entry is a line of the access log.
type entry struct {
	Time      time.Time `json:"time"`
	RequestID string    `json:"request_id"`
	Client    string    `json:"client"`
	Listener  string    `json:"listener"`
	Protocol  string    `json:"protocol"`
	Method    string    `json:"method"`
	Host      string    `json:"host"`
	Target    string    `json:"target"`
	Status    int       `json:"status"`
	BytesIn   int64     `json:"bytes_in"`
	BytesOut  int64     `json:"bytes_out"`
	Route     string    `json:"route"`
	Service   string    `json:"service"`
	Instance  string    `json:"instance"`
	Attempts  int       `json:"attempts"`
	Retried   []string  `json:"retried"`
	Hedge     string    `json:"hedge"`
	Failure   string    `json:"failure"`
	Why       string    `json:"why"`
}

// bench is a running proxy in front of one service.
type bench struct {
	tb      testing.TB
	p       *Proxy
	addr    string
	lives   []*upstream.Live
	service *upstream.Service
	log     *logBuf
	d       *dispatch.Dispatcher
	stop    func()
	route   *dispatch.Route
	tls     bool
}

// run starts a proxy in front of instances; edit may change its configuration
// and its route.
func run(tb testing.TB, instances []string, edit func(*Config, *dispatch.Route)) *bench {
	tb.Helper()
	return runWith(tb, *overTLS, instances, edit)
}

// listening gives the listeners TLS if the tests run over it.
func (b *bench) listening(all ...Listener) []Listener {
	for i := range all {
		if b.tls {
			all[i].TLS = identity().server
		}
	}
	return all
}

func runWith(tb testing.TB, tls bool, instances []string, edit func(*Config, *dispatch.Route)) *bench {
	tb.Helper()
	b := &bench{tb: tb, log: &logBuf{}, tls: tls}
	b.service = upstream.NewService("s")
	pool := &upstream.Pool{Policy: inTurn{}, Name: "turn"}
	for i, addr := range instances {
		live := upstream.NewLive("s", fmt.Sprintf("s-%d", i), addr, 1, 0)
		b.lives = append(b.lives, live)
		pool.Members = append(pool.Members, upstream.Member{Live: live, Weight: 1})
		pool.Live = append(pool.Live, int32(i))
	}
	b.service.Swap(pool)
	b.route = &dispatch.Route{
		Name: "all", Split: []dispatch.Share{{Service: b.service, Weight: 1, Traffic: b.service.Traffic("all")}}, Total: 1, Traffic: b.service.Traffic("all"),
		Retry: dispatch.Retry{Attempts: 2, OnConnect: true, OnReset: true, PerTryTimeout: testTimeout},
	}
	cfg := Config{Listeners: []Listener{{Name: "web", Addr: "127.0.0.1:0"}}, AccessLog: b.log}
	if edit != nil {
		edit(&cfg, b.route)
	}
	routes, err := router.Compile([]router.Rule[*dispatch.Route]{{Name: "all", Path: "/", Kind: router.Prefix, Value: b.route}})
	if err != nil {
		tb.Fatal(err)
	}
	d := dispatch.New(dispatch.Config{ConnectTimeout: testTimeout, Memory: cfg.Memory}) // a busy machine is no failure of an instance
	d.Swap(&dispatch.Table{Revision: "1", Routes: routes, Names: "all"})
	b.listening(cfg.Listeners...)
	b.d = d
	p, err := New(cfg, d)
	if err != nil {
		tb.Fatal(err)
	}
	b.p, b.addr = p, p.Addr("web").String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	var once sync.Once
	b.stop = func() {
		once.Do(func() {
			cancel()
			if err := take(tb, "the end of the proxy", done); err != nil {
				tb.Error(err)
			}
			b.settled()
		})
	}
	tb.Cleanup(b.stop)
	return b
}

// settled checks that nothing is counted as under way after the end.
func (b *bench) settled() {
	b.tb.Helper()
	if n := b.service.Active.Load(); n != 0 {
		b.tb.Errorf("%d requests active after the end", n)
	}
	for _, l := range b.lives {
		if n := l.InFlight.Load(); n != 0 {
			b.tb.Errorf("%s: %d in flight after the end", l.Instance, n)
		}
	}
	b.countsAgreeWithLog()
}

// countsAgreeWithLog compares the counters of each test with its access log: requests by status and route, and bytes.
func (b *bench) countsAgreeWithLog() {
	b.tb.Helper()
	stats := b.p.Stats()
	if b.log.String() == "" || stats.AccessLogDropped > 0 {
		return // the test has a log of its own
	}
	var logged, counted [2][upstream.StatusClasses]uint64 // without a route, with a route
	var in, out int64
	for line := range strings.Lines(b.log.String()) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			b.tb.Fatalf("access log line %q: %v", line, err)
		}
		class := e.Status / 100
		if e.Status > 599 {
			class = 0
		}
		if e.Route == "" {
			logged[0][class]++
			continue
		}
		logged[1][class]++
		in += e.BytesIn
		out += e.BytesOut
	}
	routed := b.service.Traffic("all").Load()
	counted[0], counted[1] = b.d.Own().Traffic("").Load().Requests, routed.Requests
	for class, n := range stats.Own {
		counted[0][class] += n
	}
	if logged != counted {
		b.tb.Errorf("requests by class, without and with a route: the log has %v, counted were %v", logged, counted)
	}
	if uint64(in) != routed.BytesIn || uint64(out) != routed.BytesOut {
		b.tb.Errorf("the log has %d and %d bytes, counted were %d and %d", in, out, routed.BytesIn, routed.BytesOut)
	}
}

// entries stops the proxy and gives its whole access log.
func (b *bench) entries() []entry {
	b.tb.Helper()
	b.stop()
	var out []entry
	for line := range strings.Lines(b.log.String()) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			b.tb.Fatalf("access log line %q: %v", line, err)
		}
		out = append(out, e)
	}
	return out
}

// client is a raw client connection.
type client struct {
	net.Conn
	tcp *net.TCPConn
	tb  testing.TB
	r   *bufio.Reader
}

// CloseWrite ends the sending side.
func (c *client) CloseWrite() error {
	if t, ok := c.Conn.(*tls.Conn); ok {
		if err := errors.Join(t.Handshake(), t.CloseWrite()); err != nil {
			return err
		}
	}
	return c.tcp.CloseWrite()
}

// testTimeout is how long a test waits for something that must come: it is there
// to end a broken test, not to measure.
const testTimeout = 2 * time.Minute

func (b *bench) dial() *client {
	b.tb.Helper()
	nc, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.tb.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(testTimeout))
	b.tb.Cleanup(func() { _ = nc.Close() })
	c := &client{Conn: nc, tcp: nc.(*net.TCPConn), tb: b.tb}
	if b.tls {
		c.Conn = tls.Client(nc, identity().client)
	}
	c.r = bufio.NewReader(c.Conn)
	return c
}

func (c *client) send(s string) {
	c.tb.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.tb.Fatal(err)
	}
}

// http returns a client of net/http and the address of a path.
func (b *bench) http(path string) (*http.Client, string) {
	if !b.tls {
		return plainClient, "http://" + b.addr + path
	}
	tr := &http.Transport{TLSClientConfig: identity().client}
	b.tb.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: testTimeout}, "https://" + b.addr + path
}

var plainClient = &http.Client{Timeout: testTimeout}

// response reads a response to method with its whole body.
func (c *client) response(method string) (*http.Response, string) {
	c.tb.Helper()
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.tb.Fatalf("reading the response: %v", err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.tb.Fatalf("reading the body after %d bytes: %v", len(body), err)
	}
	return res, string(body)
}

// abort breaks the connection.
func (c *client) abort() {
	_ = c.tcp.SetLinger(0)
	_ = c.tcp.Close()
}

// ended checks that nothing more comes and the connection is closed.
func (c *client) ended() {
	c.tb.Helper()
	rest, err := io.ReadAll(c.r)
	if err != nil || len(rest) > 0 {
		c.tb.Fatalf("want the end of the connection, got %q, %v", rest, err)
	}
}

// eventually waits until ok says so.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(testTimeout); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("waited in vain: %s", what)
		}
	}
}

// take waits for the next value of ch, or for its end.
func take[T any](tb testing.TB, what string, ch <-chan T) T {
	tb.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(testTimeout):
		tb.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

func readAll(tb testing.TB, r io.ReadCloser) string {
	tb.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		tb.Fatalf("after %d bytes: %v", len(b), err)
	}
	_ = r.Close()
	return string(b)
}

// cancelled returns a context that has ended.
func cancelled() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx, cancel
}
