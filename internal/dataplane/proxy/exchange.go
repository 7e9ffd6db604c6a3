package proxy

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/accesslog"
	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// exchange is the state of one request and its reply. A connection takes an exchange when bytes arrive and returns it
// when the connection is idle again. Memory therefore grows with the requests in flight, not with the connections.
type exchange struct {
	req h1.Request
	res h1.Response
	x   *dispatch.Exchange
	id  []byte // X-Request-Id
	out []byte // head being written, with the body bytes sent together with it
	up  lease  // received from the instance

	set        *settings     // of the listener, when the head was read
	head       int           // bytes of the request head in the client's buffer
	used       int           // bytes of the client's buffer that belong to this request
	body       h1.Body       // of the request
	first      []byte        // decoded body bytes in the client's buffer; the whole body if body.Done
	uploadBy   int64         // when the request body must be complete; 0: no limit
	allowance  allowance     // of the time in which the proxy waits for the request body
	taking     allowance     // of the time in which the client takes the response
	taken      int64         // request body bytes received
	sent       int64         // response body bytes passed on
	status     int           // the proxy's own status instead of the dispatcher's verdict: the request turned out to be bad
	why        string        // reason of status
	switched   int           // status with which the client's connection became a tunnel; 0: it did not
	client     netip.Addr    // the peer, or the address that a trusted peer names
	began      bool          // response bytes reached the client
	chunked    bool          // the response is sent to the client in chunks
	grpc       bool          // a request of gRPC
	announced  []byte        // names of the trailers of a chunked response that may be passed on; empty: none
	grpcStatus int           // in the head of the response, -1: none
	trailers   []byte        // of the response, as lines "name: value CRLF"
	trailerUp  []byte        // the Trailer field for the instance; empty: the request has no trailers that pass
	trailersUp []byte        // of the request, as lines "name: value CRLF"
	leg        *dispatch.Leg // of the current try
	headEnd    int           // bytes of out that are the request head
	block      int           // bytes of out that are the response head; HTTP/2
	tolerant   bool          // the response body is read tolerantly
	pumping    bool          // pump was started for this request
	pump       pump

	own    []byte  // the head of the request, for one of two tries at a time, or head and body of a mirrored one
	mirror *mirror // the copy of the request whose body has not arrived completely; nil: none

	trace traced
	press compression

	actions *action.Actions // of the route; nil: none
	values  action.Values   // of the variables in headers of the route
	value   []byte          // a value or path that the route makes
	noHost  bool            // the client named no host (HTTP/1.0)

	line   []byte          // of the access log
	entry  accesslog.Entry // of the access log
	dateOf int64           // second of date
	date   []byte          // as in a Date field
}

// bodyBy returns when the next bytes of the request body must arrive: within step and the allowance, and before uploadBy.
func (e *exchange) bodyBy(now int64, step time.Duration) int64 {
	at := now + int64(e.allowance.limit(step, 0))
	if e.uploadBy == 0 || at < e.uploadBy {
		return at
	}
	return e.uploadBy
}

// chunkedUp reports whether the instance gets the request body in chunks.
func (e *exchange) chunkedUp() bool { return e.req.Body == h1.ByChunks || e.req.Body == h1.UntilClose }

const outKeep = 64 << 10 // out buffers above this size are not kept

func newExchange(p *Proxy) *exchange {
	var seed [8]byte
	_, _ = rand.Read(seed[:]) // never fails (crypto/rand)
	return &exchange{
		x:   dispatch.NewExchange(binary.LittleEndian.Uint64(seed[:]) ^ p.seeds.Add(1)),
		out: make([]byte, 0, 2048), id: make([]byte, 0, maxRequestID), line: make([]byte, 0, 1024),
		up: lease{pool: p.small}, date: make([]byte, 0, 32),
	}
}

// reset prepares e for the next request.
func (e *exchange) reset() {
	e.req.Reset()
	e.res.Reset()
	e.id, e.out = e.id[:0], e.out[:0]
	e.head, e.used, e.first, e.taken, e.sent, e.uploadBy = 0, 0, nil, 0, 0, 0
	e.allowance, e.taking = allowance{}, allowance{}
	e.status, e.why, e.switched, e.began, e.pumping = 0, "", 0, false, false
	e.chunked, e.block, e.trailers, e.announced = false, 0, nil, e.announced[:0]
	e.trailerUp, e.trailersUp = e.trailerUp[:0], nil
	e.client = netip.Addr{}
	e.x.Explain, e.x.Pin, e.x.Timeout = false, nil, 0
	e.grpc = false
	e.trace.on = false
	e.press = compression{tag: e.press.tag[:0]}
	e.actions, e.noHost, e.mirror = nil, false, nil
	e.pump.sentAt.Store(0)
}

func (c *conn) takeExchange() *exchange {
	e := c.p.exchanges.Get().(*exchange)
	e.reset()
	return e
}

func (c *conn) giveExchange(e *exchange) {
	e.up.release()
	e.pump.buf.release()
	if cap(e.out) > outKeep {
		e.out = make([]byte, 0, 2048)
	}
	if cap(e.own) > outKeep {
		e.own = nil
	}
	c.p.exchanges.Put(e)
}
