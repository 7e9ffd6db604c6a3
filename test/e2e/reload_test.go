package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// changing is a configuration that differs from reload to reload in its last five fields.
type changing struct {
	web, secure string // addresses of the listeners that stay
	shop        []string
	sick        string
	shaky       []string
	long        string

	page   int      // number in the path of a route
	third  bool     // the instance i3
	extra  string   // address of a further listener; empty: none
	moving string   // address of a listener that moves
	cert   []string // files of the certificate of secure
}

func (c changing) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "listeners:\n  - {name: web, address: %q}\n  - {name: secure, address: %q, tls: {certificates: [{cert: %q, key: %q}]}}\n  - {name: moving, address: %q}\n", c.web, c.secure, c.cert[0], c.cert[1], c.moving)
	if c.extra != "" {
		fmt.Fprintf(&b, "  - {name: extra, address: %q}\n", c.extra)
	}
	b.WriteString("routes:\n")
	for _, r := range [][2]string{{"/shop", "shop"}, {"/shaky", "shaky"}, {"/long", "long"}, {fmt.Sprintf("/page-%d", c.page), "shop"}} {
		fmt.Fprintf(&b, "  - {name: %s, path: {prefix: %s}, service: %s, retry: {attempts: 0}}\n", r[0][1:], r[0], r[1])
	}
	fmt.Fprintf(&b, "services:\n  - id: shop\n    healthCheck: {interval: 2s, timeout: 2s}\n    instances:\n      - {id: sick, address: %q}\n", c.sick)
	for i, addr := range c.shop {
		if i < 2 || c.third {
			fmt.Fprintf(&b, "      - {id: i%d, address: %q}\n", i+1, addr)
		}
	}
	fmt.Fprintf(&b, "  - id: shaky\n    policy: round_robin\n    instances: [{id: s1, address: %q}, {id: s2, address: %q}]\n", c.shaky[0], c.shaky[1])
	fmt.Fprintf(&b, "  - id: long\n    instances: [{id: l1, address: %q}]\n", c.long)
	return b.String()
}

// longInstance serves a stream that ends when finish is closed, and a tunnel that echoes lines.
func longInstance(t *testing.T, finish <-chan struct{}) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/long/stream", func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			fmt.Fprintf(w, "line %d\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-finish:
				fmt.Fprint(w, "end\n")
				return
			case <-tick.C:
			}
		}
	})
	mux.HandleFunc("/long/tunnel", func(w http.ResponseWriter, _ *http.Request) {
		nc, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		fmt.Fprint(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		for line := ""; line != "bye\n"; {
			if line, err = rw.ReadString('\n'); err != nil {
				return
			}
			fmt.Fprint(nc, line)
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.Listener.Addr().String()
}

// openTunnel upgrades a connection to an address. say sends a line and returns what comes back.
func openTunnel(t *testing.T, addr string) (nc net.Conn, say func(line string) string) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	fmt.Fprint(nc, "GET /long/tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	r := bufio.NewReader(nc)
	_ = nc.SetReadDeadline(time.Now().Add(maxWait))
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 101 {
		t.Fatalf("no tunnel: %v, %v", resp, err)
	}
	return nc, func(line string) string {
		_ = nc.SetDeadline(time.Now().Add(maxWait))
		fmt.Fprint(nc, line)
		got, err := r.ReadString('\n')
		if err != nil {
			return err.Error()
		}
		return got
	}
}

// steady is a client that never stops and never repeats a request. It counts its connections.
type steady struct {
	name  string
	kept  bool // it keeps its connection
	dials atomic.Int64
	ok    atomic.Int64
}

// runSteady starts the clients of the two listeners that stay. stop ends them and returns the failures.
func runSteady(t *testing.T, ca *certtest.Authority, web, secure string) (clients []*steady, stop func() []string) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	var mu sync.Mutex
	var failures []string
	for _, k := range []struct {
		name, url   string
		kept, http2 bool
	}{
		{name: "kept", url: "http://" + web, kept: true}, {name: "kept too", url: "http://" + web, kept: true}, {name: "new connections", url: "http://" + web},
		{name: "kept, TLS", url: "https://" + secure, kept: true}, {name: "HTTP/2", url: "https://" + secure, kept: true, http2: true}, {name: "new connections, TLS", url: "https://" + secure},
	} {
		s := &steady{name: k.name, kept: k.kept}
		clients = append(clients, s)
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, DisableKeepAlives: !k.kept, ForceAttemptHTTP2: k.http2, MaxIdleConnsPerHost: 1,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				s.dials.Add(1)
				return new(net.Dialer).DialContext(ctx, network, addr)
			},
		}
		client := &http.Client{Transport: transport, Timeout: maxWait}
		group.Go(func() {
			defer transport.CloseIdleConnections()
			for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
				resp, err := client.Post(k.url+"/shop", "text/plain", strings.NewReader("x")) // Go repeats no POST
				if err == nil {
					if _, err = io.Copy(io.Discard, resp.Body); err == nil && resp.StatusCode != 200 {
						err = fmt.Errorf("status %s", resp.Status)
					}
					_ = resp.Body.Close()
				}
				if err == nil {
					s.ok.Add(1)
					continue
				}
				mu.Lock()
				failures = append(failures, s.name+": "+err.Error())
				mu.Unlock()
			}
		})
	}
	stop = func() []string {
		cancel()
		group.Wait()
		return failures
	}
	t.Cleanup(func() { stop() })
	return clients, stop
}

// standing is what a node knows about an instance.
type standing struct {
	ID, State        string
	Until            time.Time
	Ejections        int
	Requests, Errors uint64
	InFlight         int64
	Cost             struct{ LatencyMs float64 }
}

// standings returns what the node knows, by instance.
func standings(t *testing.T, admin string) map[string]standing {
	t.Helper()
	var o struct {
		Services []struct{ Instances []standing }
	}
	if err := getJSON(t, "http://"+admin+"/api/v1/overview", &o); err != nil {
		t.Fatal(err)
	}
	out := map[string]standing{}
	for _, s := range o.Services {
		for _, in := range s.Instances {
			out[in.ID] = in
		}
	}
	return out
}

// A hundred changes of the file, by SIGHUP and by --watch in turns, cost no request and no connection of the listeners
// that stay, and nothing of what the node knows about the instances that stay.
func TestAHundredReloadsLoseNothing(t *testing.T) {
	t.Parallel()
	const reloads = 100
	base := porttest.Block(t, 0, 1, 2, 3, 4)
	addr := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", base+i) }
	ca, dir := certtest.New(t, "e2e"), t.TempDir()
	var certs [2][]string
	for i, subject := range []string{"one", "two"} {
		cert, key := ca.IssuePEM(certtest.Options{Subject: subject}, "127.0.0.1")
		certFile, keyFile := certtest.Files(t, dir, subject, cert, key)
		certs[i] = []string{certFile, keyFile}
	}
	shop, shaky := instances(t, 3), instances(t, 2)
	shaky[1].set(true)
	var sickRequests atomic.Int64
	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			sickRequests.Add(1)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer sick.Close()
	finish := make(chan struct{})
	c := changing{
		web: addr(0), secure: addr(1), moving: addr(2), cert: certs[1], sick: sick.Listener.Addr().String(), long: longInstance(t, finish),
		shop: []string{shop[0].addr, shop[1].addr, shop[2].addr}, shaky: []string{shaky[0].addr, shaky[1].addr},
	}
	file := filepath.Join(dir, "smartlb.yaml")
	write := func(byRename bool) {
		t.Helper()
		path := file
		if byRename {
			path += ".new"
		}
		err := os.WriteFile(path, []byte(c.text()), 0o600)
		if err == nil && byRename {
			err = os.Rename(path, file)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(false)
	p := start(t, true, "run", "--roles", "proxy", "--config", file, "--config-source", "file", "--watch", "--kafka", "127.0.0.1:1", "--drain", "2s", "--admin", "127.0.0.1:0", "--data", t.TempDir())
	admin := p.Address("admin")

	clients, stop := runSteady(t, ca, c.web, c.secure)
	provoke, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ; provoke.Err() == nil; time.Sleep(20 * time.Millisecond) {
			if resp, err := http.Get("http://" + c.web + "/shaky"); err == nil {
				_ = resp.Body.Close()
			}
		}
	}()
	tunnel, say := openTunnel(t, c.moving)
	forStream := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}}
	stream, err := forStream.Get("https://" + c.secure + "/long/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	streamed := make(chan error, 1)
	go func() { streamed <- readStream(stream.Body) }()
	eventually(t, "the node knows its instances", func() bool {
		s := standings(t, admin)
		return s["sick"].State == "unhealthy" && s["s2"].Ejections > 0 && s["i1"].Cost.LatencyMs > 0 && s["i2"].Cost.LatencyMs > 0 && s["l1"].InFlight == 2
	})
	sickBefore := int64(0)
	done := func() int { return strings.Count(strings.Join(p.Log(), "\n"), "configuration file read again") }
	for i := range reloads {
		was := c
		switch i % 5 {
		case 0:
			c.page = i + 1
		case 1:
			c.third = !c.third
		case 2:
			c.extra = map[bool]string{true: addr(4)}[c.extra == ""]
		case 3:
			c.moving = addr(2 + i%2)
		case 4:
			c.cert = certs[i%2]
		}
		before := standings(t, admin)
		write(i%4 < 2)
		if i%2 == 0 {
			if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, fmt.Sprintf("reload %d", i), func() bool { return done() > i })
		compare(t, i, before, standings(t, admin))
		inEffect(t, ca, i, was, c, admin)
		if i == 0 {
			sickBefore = sickRequests.Load() // the node has known for some time that the instance is unhealthy
		}
		if got, want := say(fmt.Sprintf("%d\n", i)), fmt.Sprintf("%d\n", i); got != want {
			t.Fatalf("the tunnel after reload %d: %q", i, got)
		}
	}
	if got := sickRequests.Load() - sickBefore; got != 0 {
		t.Errorf("%d requests were sent to an unhealthy instance", got)
	}
	if got := say("bye\n"); got != "bye\n" {
		t.Errorf("the end of the tunnel: %q", got)
	}
	if n, err := tunnel.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the end of the tunnel: %d bytes, %v", n, err)
	}
	close(finish)
	if err := <-streamed; err != nil {
		t.Errorf("the stream: %v", err)
	}
	failures := stop()
	if len(failures) > 0 {
		t.Errorf("%d requests failed, such as %q", len(failures), failures[0])
	}
	for _, s := range clients {
		t.Logf("%s: %d requests, %d connections", s.name, s.ok.Load(), s.dials.Load())
		if s.kept && s.dials.Load() != 1 {
			t.Errorf("%s: %d connections, want the first one only", s.name, s.dials.Load())
		}
	}
	for i, in := range shop[:2] {
		id := fmt.Sprintf("i%d", i+1)
		eventually(t, id+" counts the requests that it got, and no error", func() bool {
			got := standings(t, admin)[id]
			return got.Requests == uint64(in.count()) && got.Errors == 0
		})
	}
	if n := standings(t, admin)["s2"].Ejections; n < 2 {
		t.Errorf("%d ejections of an instance that always fails: its ejections were forgotten", n)
	}
}

// readStream reads lines until "end" and reports a gap.
func readStream(r io.Reader) error {
	lines := bufio.NewScanner(r)
	n := 0
	for ; lines.Scan(); n++ {
		if lines.Text() == "end" {
			if lines.Scan() || lines.Err() != nil {
				return fmt.Errorf("after the end: %q, %v", lines.Text(), lines.Err())
			}
			return nil
		}
		if want := fmt.Sprintf("line %d", n); lines.Text() != want {
			return fmt.Errorf("got %q, want %q", lines.Text(), want)
		}
	}
	return fmt.Errorf("broken off after %d lines: %v", n, lines.Err())
}

// compare reports what a reload lost of the instances that stay.
func compare(t *testing.T, reload int, before, after map[string]standing) {
	t.Helper()
	for _, id := range []string{"i1", "i2", "sick", "s1", "s2", "l1"} {
		b, a := before[id], after[id]
		switch {
		case a.ID == "":
			t.Errorf("reload %d: %s is missing", reload, id)
		case a.Requests < b.Requests || a.Errors < b.Errors || a.Ejections < b.Ejections:
			t.Errorf("reload %d: %s counts %d requests, %d errors, %d ejections after %d, %d, %d", reload, id, a.Requests, a.Errors, a.Ejections, b.Requests, b.Errors, b.Ejections)
		case b.Cost.LatencyMs > 0 && a.Cost.LatencyMs == 0:
			t.Errorf("reload %d: the latency of %s is forgotten", reload, id)
		case id != "s2" && a.State != b.State:
			t.Errorf("reload %d: %s is %s, and was %s", reload, id, a.State, b.State)
		case id == "s2" && b.State == "ejected" && time.Until(b.Until) > 0 && (a.State != "ejected" || a.Until.Sub(b.Until).Abs() > 100*time.Millisecond):
			t.Errorf("reload %d: s2 was ejected until %s and is %s until %s", reload, b.Until, a.State, a.Until)
		}
	}
	if n := after["l1"].InFlight; n != 2 {
		t.Errorf("reload %d: %d requests of l1 are in flight, want the stream and the tunnel", reload, n)
	}
}

// inEffect waits until the node has made a change.
func inEffect(t *testing.T, ca *certtest.Authority, reload int, was, is changing, admin string) {
	t.Helper()
	open := func(addr string) bool {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		_ = nc.Close()
		return true
	}
	eventually(t, fmt.Sprintf("reload %d is in effect: from %+v to %+v", reload, was, is), func() bool {
		switch reload % 5 {
		case 0:
			now, _, _ := get(t, fmt.Sprintf("http://%s/page-%d", is.web, is.page))
			old, _, _ := get(t, fmt.Sprintf("http://%s/page-%d", is.web, was.page))
			return now == 200 && old == 404
		case 1:
			return (standings(t, admin)["i3"].ID != "") == is.third
		case 2:
			return open(is.extra+was.extra) == (is.extra != "") // one of the two is empty
		case 3:
			return open(is.moving) && !open(was.moving)
		default:
			subject := strings.TrimSuffix(filepath.Base(is.cert[0]), ".pem")
			return certificateAt(t, ca, is.secure) == subject
		}
	})
}
