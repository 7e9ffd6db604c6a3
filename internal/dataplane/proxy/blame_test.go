//go:build linux

package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/test/porttest"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

const (
	soon    = 100 * time.Millisecond // a timeout that is to end
	upload  = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n"
	chunks  = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
	stream  = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ndata\n\n\r\n"
	partial = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"
)

// blameCase makes one exchange end for one cause.
type blameCase struct {
	cause    dispatch.Failure
	relayed  bool
	addr     func(t *testing.T) string   // of the instance; nil: script
	script   func(*upstreamtest.Session) // nil: answers
	edit     func(*Config, *dispatch.Route)
	act      func(t *testing.T, b *bench, c *client) // what the client does; nil: GET
	answered bool                                    // the client gets the reply
}

// begin writes the start of a response, then does the rest.
func begin(head string, rest func(*upstreamtest.Session)) func(*upstreamtest.Session) {
	return func(s *upstreamtest.Session) {
		s.Head()
		s.Write(head)
		rest(s)
	}
}

func hang(s *upstreamtest.Session) { s.Hang() }

// afterHead sends a request and goes on once the response's head is there.
func afterHead(request string, then func(t *testing.T, b *bench, c *client)) func(*testing.T, *bench, *client) {
	return func(t *testing.T, b *bench, c *client) {
		c.send(request)
		if _, err := http.ReadResponse(c.r, nil); err != nil {
			t.Fatal(err)
		}
		then(t, b, c)
	}
}

// drip uploads slowly until the proxy has enough of it.
func drip(_ *testing.T, _ *bench, c *client) {
	c.send(upload)
	go func() {
		for {
			if _, err := io.WriteString(c, "0123456789"); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
}

func blameCases() []blameCase {
	noRetry := func(_ *Config, r *dispatch.Route) { r.Retry = dispatch.Retry{} }
	tries := func(_ *Config, r *dispatch.Route) { r.Retry = dispatch.Retry{PerTryTimeout: soon} }
	deadline := func(_ *Config, r *dispatch.Route) { r.Timeout = 3 * soon }
	stop := func(t *testing.T, b *bench, _ *client) {
		eventually(t, "it is under way", func() bool { return b.lives[0].InFlight.Load() == 1 })
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = b.p.Drain(ctx)
	}
	leave := func(_ *testing.T, _ *bench, c *client) { c.abort() }
	wait := func(*testing.T, *bench, *client) {}
	return []blameCase{
		{cause: dispatch.ConnectRefused, addr: func(t *testing.T) string { return porttest.Refused(t) }, edit: noRetry, answered: true},
		{cause: dispatch.ConnectTimeout, addr: fullBacklog, edit: func(c *Config, r *dispatch.Route) {
			noRetry(c, r)
			r.Split[0].Leg = &dispatch.Leg{ConnectTimeout: soon}
		}, answered: true},
		{cause: dispatch.ConnectFailed, addr: func(*testing.T) string { return "no-port" }, edit: noRetry, answered: true},
		{cause: dispatch.Reset, script: func(s *upstreamtest.Session) { s.Head(); s.Reset() }, answered: true},
		{cause: dispatch.EOF, script: func(s *upstreamtest.Session) { s.Head() }, answered: true},
		{cause: dispatch.Timeout, script: hang, edit: tries, answered: true},
		{cause: dispatch.BadResponse, script: upstreamtest.Always("SSH-2.0 hello\r\n\r\n"), answered: true},
		{cause: dispatch.ClientGone, script: hang, act: func(t *testing.T, b *bench, c *client) {
			c.send(get)
			eventually(t, "it is under way", func() bool { return b.lives[0].InFlight.Load() == 1 })
			c.abort()
		}},
		{cause: dispatch.ClientSlow, script: hang, edit: deadline, act: drip, answered: true},
		{cause: dispatch.ClientBad, script: hang, act: func(t *testing.T, b *bench, c *client) {
			c.send(chunks)
			eventually(t, "it is under way", func() bool { return b.lives[0].InFlight.Load() == 1 })
			c.send("zz\r\n")
		}, answered: true},
		{cause: dispatch.ClientLarge, script: hang, edit: func(c *Config, _ *dispatch.Route) { c.MaxBody = 7 },
			act: func(t *testing.T, b *bench, c *client) {
				c.send(chunks)
				eventually(t, "it is under way", func() bool { return b.lives[0].InFlight.Load() == 1 })
				c.send("5\r\nhello\r\n")
			}, answered: true},
		{cause: dispatch.InstanceFull, edit: func(_ *Config, r *dispatch.Route) { r.Split[0].Leg = &dispatch.Leg{MaxConnections: 1} },
			act: func(_ *testing.T, b *bench, c *client) { occupy(b); c.send(get) }, answered: true},
		{cause: dispatch.Exhausted, edit: noRetry, act: exhausted, answered: true},
		{cause: dispatch.Exhausted, addr: noNameServer, edit: noRetry, act: lookupFails, answered: true},
		{cause: dispatch.Stopped, script: hang, act: func(t *testing.T, b *bench, c *client) { c.send(get); stop(t, b, c) }},

		{cause: dispatch.Reset, relayed: true, script: begin(partial, func(s *upstreamtest.Session) { s.Wait(soon); s.Reset() })},
		{cause: dispatch.EOF, relayed: true, script: begin(partial, func(*upstreamtest.Session) {})},
		{cause: dispatch.BadResponse, relayed: true, script: begin(stream+"zz", hang)},
		{cause: dispatch.Timeout, relayed: true, script: func(s *upstreamtest.Session) { // it answers and takes no more of the upload
			s.Head()
			s.Write(stream)
			s.Wait(testTimeout)
		}, edit: func(c *Config, _ *dispatch.Route) { c.BodyTimeout = 20 * soon },
			act: afterHead(upload, func(_ *testing.T, _ *bench, c *client) { go func() { _, _ = c.Write(make([]byte, 32<<20)) }() })},
		{cause: dispatch.ClientGone, relayed: true, script: begin(stream, hang), act: afterHead(get, leave)},
		{cause: dispatch.ClientSlow, relayed: true, script: begin("HTTP/1.1 200 OK\r\n\r\n", func(s *upstreamtest.Session) {
			for s.Write(strings.Repeat("x", 1<<20)) {
			}
		}), edit: func(c *Config, _ *dispatch.Route) { c.BodyTimeout = soon }, act: afterHead(get, wait)},
		{cause: dispatch.ClientBad, relayed: true, script: begin(stream, hang), act: afterHead(chunks, func(_ *testing.T, _ *bench, c *client) { c.send("zz\r\n") })},
		{cause: dispatch.ClientLarge, relayed: true, script: begin(stream, hang), edit: func(c *Config, _ *dispatch.Route) { c.MaxBody = 7 },
			act: afterHead(chunks, func(_ *testing.T, _ *bench, c *client) { c.send("5\r\nhello\r\n") })},
		{cause: dispatch.StreamIdle, relayed: true, script: begin(stream, hang), edit: func(_ *Config, r *dispatch.Route) { r.StreamTimeout = soon }},
		{cause: dispatch.StreamIdle, relayed: true, script: begin(partial, hang), edit: func(c *Config, _ *dispatch.Route) { c.StreamTimeout = soon }},
		{cause: dispatch.RouteTimeout, relayed: true, script: begin(stream, hang), edit: deadline},
		{cause: dispatch.Stopped, relayed: true, script: begin(stream, hang), act: afterHead(get, stop)},
		{cause: dispatch.GRPCStatus, relayed: true, addr: func(t *testing.T) string {
			addr, _ := h2Instance(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Trailer", "Grpc-Status")
				_, _ = io.WriteString(w, "hello")
				w.Header().Set("Grpc-Status", "14")
			})
			return addr
		}, edit: func(_ *Config, r *dispatch.Route) {
			r.Split[0].Leg = &dispatch.Leg{HTTP2: true, GRPCFailures: dispatch.DefaultGRPCFailures}
		},
			act: afterHead("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n", wait)},
	}
}

// TestBlame walks the table: for every cause the reply, the word in the log, and whether the instance's counters know
// of it. An instance is charged only for what it did: slow uploaders, quiet streams and our own lack of descriptors
// once ejected healthy instances.
func TestBlame(t *testing.T) {
	walked := map[[2]int]bool{}
	for _, tc := range blameCases() {
		phase, relayed := "before the head", 0
		if tc.relayed {
			phase, relayed = "after the head", 1
		}
		walked[[2]int{int(tc.cause), relayed}] = true
		t.Run(tc.cause.String()+" "+phase, func(t *testing.T) { walkBlame(t, tc) })
	}
	for f := range dispatch.NumFailures {
		for relayed := range 2 {
			if dispatch.Blame(dispatch.Failure(f), relayed == 1).Code != "" && !walked[[2]int{f, relayed}] {
				t.Errorf("no case for %s, relayed %d", dispatch.Failure(f), relayed)
			}
		}
	}
}

func walkBlame(t *testing.T, tc blameCase) {
	row := dispatch.Blame(tc.cause, tc.relayed)
	var b *bench
	if tc.addr != nil {
		b = run(t, []string{tc.addr(t)}, tc.edit)
	} else {
		script := tc.script
		if script == nil {
			script = upstreamtest.Always(upstreamtest.OK)
		}
		b, _ = raw(t, script, tc.edit)
	}
	c := b.dial()
	if tc.act == nil {
		c.send(get)
	} else {
		tc.act(t, b, c)
	}
	if tc.answered {
		res, body := c.response("GET")
		if res.StatusCode != row.Status || !strings.HasPrefix(body, "smartlb: "+strconv.Itoa(row.Status)+" ") {
			t.Errorf("reply %d %q, want %d", res.StatusCode, body, row.Status)
		}
	}
	eventually(t, "the exchange ends", func() bool {
		return b.service.Active.Load() == 0 && b.service.Traffic("all").Load().Requests != [upstream.StatusClasses]uint64{}
	})
	got := b.entries()
	if len(got) != 1 || got[0].Failure != tc.cause.String() {
		t.Fatalf("access log %+v, want the failure %s", got, tc.cause)
	}
	if row.Status != 0 && got[0].Status != row.Status {
		t.Errorf("logged status %d, want %d", got[0].Status, row.Status)
	}
	want := uint64(0)
	if row.Charged == dispatch.Instance {
		want = 1
	}
	l := b.lives[0]
	if l.Errors.Load() != want || uint64(l.Fails.Load()) != want {
		t.Errorf("the instance has %d errors, %d in a row; the row says it is charged to the %s", l.Errors.Load(), l.Fails.Load(), row.Charged)
	}
	if row.Charged != dispatch.Instance && !tc.relayed && l.Requests.Load() != 0 {
		t.Error("it was counted as an answer of the instance")
	}
}

// fullBacklog gives the address of a listener that takes no more connections: SYNs get no answer.
func fullBacklog(t *testing.T) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*unix.SockaddrInet4).Port))
	for { // until the queue is full
		nc, err := net.DialTimeout("tcp", addr, soon)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { _ = nc.Close() })
	}
}

// noNameServer makes every lookup fail, and gives an address that needs one. The resolver is set before the proxy runs.
func noNameServer(t *testing.T) string {
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "udp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}}
	return "instance.example:80"
}

// lookupFails sends a request whose instance cannot be looked up.
func lookupFails(t *testing.T, b *bench, c *client) {
	c.send(get)
	if _, err := c.r.Peek(1); err != nil {
		t.Fatal(err)
	}
	if got := b.p.cfg.Shortage.Current(b.p.cfg.Now()); got != guard.NameServer {
		t.Errorf("the node lacks %q", got)
	}
}

// exhausted sends a request while this process may open no more files.
func exhausted(t *testing.T, b *bench, c *client) {
	eventually(t, "the client is accepted", func() bool { return b.p.Stats().Accepted == 1 })
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	c.send(get)
	_, err := c.r.Peek(1)
	if restore := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); restore != nil || err != nil {
		t.Fatal(restore, err)
	}
	if b.p.cfg.Shortage.Current(b.p.cfg.Now()) == "" {
		t.Error("the node does not know of its shortage")
	}
}
