package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/accesslog"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// Dispatcher routes every request; see package dispatch for the contract. Exchange.Fail and Exchange.AppendExplain are
// part of the contract.
type Dispatcher interface {
	Begin(x *dispatch.Exchange, h dispatch.Head, now int64) dispatch.Verdict
	Authorized(x *dispatch.Exchange, h dispatch.Head, o dispatch.AuthOutcome, now int64) dispatch.Verdict
	Admit(x *dispatch.Exchange, f dispatch.Failure, now int64) dispatch.Verdict
	Settle(x *dispatch.Exchange, o dispatch.Outcome, now int64) dispatch.Verdict
	Hedge(x *dispatch.Exchange, now int64) (dispatch.Verdict, bool)
	Drop(x *dispatch.Exchange, hedge bool, o dispatch.Outcome, now int64)
	BeginMirror(x *dispatch.Exchange, h dispatch.Head, now int64) (dispatch.Verdict, dispatch.MirrorResult, bool)
	Resume(x *dispatch.Exchange, ended dispatch.Failure, now int64) dispatch.Verdict
	End(x *dispatch.Exchange, now int64) *dispatch.Record
}

// Listener is an address where clients connect.
type Listener struct {
	Name string // unique; in the access log
	Addr string // host:port, where port 0 selects a free port, or unix:/path

	Mode fs.FileMode // of the file of a Unix socket; 0: the umask decides

	RejectEncoded bool           // refuse encoded slashes, backslashes and control characters in a path
	Underscores   h1.Underscores // request fields with '_' in their name; default: dropped
	TLS           *tls.Config    // nil: no encryption. NextProtos may have h2
	ClientFields  ClientFields   // for the instance, inside TLS
	ProxyFrom     []netip.Prefix // peers whose connections must begin with a PROXY header, before TLS; default none
	RequestID     RequestID      // which clients may set X-Request-Id; default: trusted proxies
	Reserved      []string       // request fields that clients must not send: removed in every spelling, also if the peer is trusted
	HSTS          string         // Strict-Transport-Security of every response inside TLS; empty: the instance's own
	ReusePort     bool           // other processes may listen on the same address; the kernel shares the connections among them
	Backlog       int            // connections that wait to be accepted; 0: what the system allows
	KeepAlive     time.Duration  // silence after which TCP asks whether a client is still there; 0: 15 s

	MaxBody        int64 // bytes of a request body; 0: Config.MaxBody, below 0: unlimited
	MaxConnections int   // client connections; one above the limit gets 503. 0: only Config.MaxConnections
	Timeouts       Timeouts
	HTTP1Only      bool // clients without TLS cannot use HTTP/2; inside TLS the protocols of TLS decide
	HTTPSPort      int  // above 0: every request is redirected to https with this port, and none is routed
}

// Timeouts of a listener's clients. 0 means the timeout of Config.
type Timeouts struct {
	Idle, Head, Body, HalfClose, Tunnel time.Duration
	Upload                              time.Duration // below 0: none
}

// ClientFields name the request fields that describe a verified client certificate; empty: none. Listener.Reserved must
// hold both names.
type ClientFields struct {
	Subject     string // RFC 2253
	Fingerprint string // SHA-256 in hexadecimal digits
}

// RequestID says from which clients the proxy keeps X-Request-Id. It overwrites the field of all other clients.
type RequestID uint8

// The ways to treat X-Request-Id.
const (
	KeepTrustedID RequestID = iota // of trusted proxies
	KeepID                         // of every client, if the value is valid
	OverwriteID                    // of no client
)

// Config of a Proxy. Zero values mean the defaults.
type Config struct {
	Listeners      []Listener     // open from the start; SetListeners replaces them
	TrustedProxies []netip.Prefix // peers whose X-Forwarded-* and X-Request-Id are trusted; default none
	ExplainFrom    []netip.Prefix // peers that may request X-Smartlb-Decision; default none
	Via            string         // the proxy's name in Via; a request that already carries it is a loop. Unique per node; default smartlb
	AccessLog      io.Writer      // lines of LogFormat; nil: no access log. Written to by one goroutine

	LogFormat *accesslog.Format // default: JSON with the standard fields
	LogFilter accesslog.Filter  // of exchanges for the access log; default: all

	AccessMessages io.Writer         // lines of MessageFormat, as for AccessLog; nil: none
	MessageFormat  *accesslog.Format // required with AccessMessages

	// Listen returns the socket of a listener: one that this process inherited, or that of open. It must not wait. Default:
	// that of open.
	Listen func(name, addr string, open func() (net.Listener, error)) (net.Listener, error)

	Limits           h1.Limits     // of request heads; Limits.Head also limits the response head
	MaxBody          int64         // bytes of a request body, 413 above; 0: unlimited
	MaxConnections   int           // client connections of all listeners together; a connection above the limit gets 503. Default: what the descriptor limit allows
	MaxPerClient     int           // connections of one client address, of one /64 network of IPv6; a connection above the limit gets 503. Trusted proxies have no such limit. 0: none
	MaxIdle          int           // kept connections per instance; default 512
	IdleTimeout      time.Duration // of a client connection between requests; default 60 s
	HandshakeTimeout time.Duration // of TLS, from the connection to its end; default 10 s
	HeadTimeout      time.Duration // from the first byte of a head to its last, and from the connection to the end of its PROXY header; default 10 s
	BodyTimeout      time.Duration // without progress in a request body, or while the client does not read the response; default 60 s
	BodyRate         int           // bytes of a request body that a client sends each second, on average over BodyTimeout and without the time that the instance takes; 408 below. Not for gRPC; 0: none
	ResponseRate     int           // bytes of a response that a client takes each second, on average over BodyTimeout and without the time in which the instance sends nothing; 0: none
	UploadTimeout    time.Duration // of a whole request body, from the end of the head; 0: none
	StreamTimeout    time.Duration // of a response body without bytes from the instance; default 1 h
	KeepTimeout      time.Duration // of a kept connection to an instance; default 55 s, below the usual 60 s of instances
	HalfCloseTimeout time.Duration // time to answer a client that closed its sending side; default 30 s
	TunnelTimeout    time.Duration // of a WebSocket without bytes in both directions; default 1 h

	LogRecorder LogRecorder // takes what the access log has; nil: none

	Tracing *Tracing // nil: off; traceparent and tracestate then pass as any other field

	Challenges Challenges // of authorities of certificates; nil: none

	Shortage *guard.Shortage // notes that this process lacks descriptors, memory, ports or an answer of its name server; default: a new Shortage

	Memory *guard.Memory // refuses connections while the memory is exhausted; nil: no limit

	Now func() int64 // monotonic nanoseconds, above 0; default the process clock
	Log *slog.Logger // default: discard
}

func (c Config) withDefaults() Config {
	c.Limits = c.Limits.WithDefaults()
	orInt := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	orTime := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	orInt(&c.MaxConnections, connectionsFor(descriptorLimit()))
	orInt(&c.MaxIdle, 512)
	orTime(&c.IdleTimeout, 60*time.Second)
	orTime(&c.HandshakeTimeout, 10*time.Second)
	orTime(&c.HeadTimeout, 10*time.Second)
	orTime(&c.BodyTimeout, 60*time.Second)
	orTime(&c.StreamTimeout, time.Hour)
	orTime(&c.KeepTimeout, 55*time.Second)
	orTime(&c.TunnelTimeout, time.Hour)
	orTime(&c.HalfCloseTimeout, 30*time.Second)
	c.Via = viaName(c.Via)
	if c.Now == nil {
		start := time.Now()
		c.Now = func() int64 { return int64(time.Since(start)) + 1 }
	}
	if c.Listen == nil {
		c.Listen = func(_, _ string, open func() (net.Listener, error)) (net.Listener, error) { return open() }
	}
	if c.Shortage == nil {
		c.Shortage = new(guard.Shortage)
	}
	if c.LogFormat == nil {
		c.LogFormat = accesslog.Standard()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// otherDescriptors is the number of descriptors reserved for listeners, files, Kafka, the admin API and probes of
// instances. Clients and their requests use the rest.
const otherDescriptors = 256

// connectionsFor returns how many clients a limit of descriptors allows. Each client may need a second descriptor for a
// connection to an instance.
func connectionsFor(descriptors int) int {
	const unknown = 65536
	if descriptors == 0 {
		return unknown
	}
	return min(max((descriptors-otherDescriptors)/2, descriptors/4, 1), 1<<20)
}

// viaName converts a node id to a pseudonym as defined in RFC 9110 §7.6.3.
func viaName(name string) string {
	out := []byte(name)
	for i, b := range out {
		if !(b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '-' || b == '_' || b == '.') {
			out[i] = '-'
		}
	}
	if len(out) == 0 {
		return "smartlb"
	}
	return string(out)
}

// Validate reports all mistakes at once.
func (c Config) Validate() error {
	var errs []error
	if err := validateListeners(c.Listeners); err != nil {
		errs = append(errs, err)
	}
	if c.Limits.Head > h1.MaxHead {
		errs = append(errs, fmt.Errorf("limits.head: %d is above %d", c.Limits.Head, h1.MaxHead))
	}
	if c.Limits.Head != 0 && c.Limits.Head < 1024 {
		errs = append(errs, fmt.Errorf("limits.head: %d is below 1024", c.Limits.Head))
	}
	return errors.Join(errs...)
}
