package dispatch

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/affinity"
	"github.com/smartlb/smartlb/internal/dataplane/forwardauth"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/ratelimit"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Head is the part of a request that dispatch reads. It is read only during Begin and Authorized.
type Head = router.Head

// Action says what the front end does next.
type Action uint8

// The actions.
const (
	Forward   Action = iota // send the request to Verdict.Live
	Relay                   // pass on the response whose head was reported to Settle
	Reply                   // answer with Verdict.Status, without an instance
	Wait                    // wait for Verdict.Waiter until Verdict.Deadline, then call Admit
	Authorize               // ask Verdict.Auth about the request for at most Verdict.Wait, then call Authorized
	Pause                   // wait for Verdict.Wait, then call Resume. A response that was reported to Settle must be kept until Resume
)

// Verdict is the result of Begin, Settle and Resume.
type Verdict struct {
	Action         Action
	Live           *upstream.Live     // Forward
	Waiter         *guard.Waiter      // Wait
	ConnectTimeout time.Duration      // Forward
	Leg            *Leg               // Forward: how the instance is spoken to
	TLS            *upstream.TLS      // Forward: of the connection to the instance; nil: none
	Hedge          time.Duration      // Forward: call Dispatcher.Hedge if there is no response head after this time and the request has no body; 0: never
	HeadTimeout    time.Duration      // Forward: from the start of the try to the final response head; 0 none
	Timeout        time.Duration      // Forward: the route's timeout, which restarts when the rest of a streamed request has been sent; 0 none
	Deadline       int64              // the time by which the request must be sent and, after that, the response must end. Wait: the time by which the wait must end. Same clock as now; 0 none
	StreamTimeout  time.Duration      // Relay: between two pieces of the response body; 0: the default, below 0: none
	Wait           time.Duration      // Pause: before a retry, ends before Deadline. Authorize: the longest time
	Auth           *forwardauth.Check // Authorize
	Status         int                // Reply
	Code           string             // Reply: word for machines, see the Code constants
	Text           string             // Reply: a sentence for people
}

// Machine-readable codes in replies, access log and decision records.
const (
	CodeNoRoute         = "no-route"
	CodeNoInstance      = "no-instance"
	CodeUpstreamConnect = "upstream-connect"
	CodeUpstreamReset   = "upstream-reset"
	CodeUpstreamBad     = "upstream-bad-response"
	CodeUpstreamTimeout = "upstream-timeout"
	CodeClientGone      = "client-gone"
	CodeBodyBroken      = "body-broken"
	CodeClientSlow      = "client-slow"
	CodeBadRequest      = "bad-request"
	CodeInstanceFull    = "instance-full"
	CodeQueueFull       = "queue-full"
	CodeQueueTimeout    = "queue-timeout"
	CodeExhausted       = "proxy-exhausted"
	CodeStreamIdle      = "stream-idle"
	CodeRouteTimeout    = "route-timeout"
	CodeStopped         = "proxy-stopping"
	CodeGRPCStatus      = "grpc-status"
	CodeRateLimited     = "rate-limited"     // a rate limit of the route or service refuses the request
	CodeRedirect        = "redirect"         // the route answers with a redirect
	CodeFixed           = "fixed-response"   // the route answers with a fixed response
	CodePreflight       = "cors-preflight"   // the route answers a preflight
	CodeDenied          = "access-denied"    // the route does not admit the client's address
	CodeUnauthorized    = "unauthorized"     // no password or token, or a wrong one
	CodeAuthRefused     = "auth-refused"     // the authentication service refuses the request
	CodeAuthUnavailable = "auth-unavailable" // the authentication service gives no valid answer
	CodeFault           = "fault-injected"   // the route injects faults for tests
	CodeLoginBusy       = "login-busy"       // too many passwords are being compared
)

// Failure says why a try, or the passing on of its response, ended early.
type Failure uint8

// The failures. Blame gives the consequences of each.
const (
	None           Failure = iota
	ConnectRefused         // no process listens on the port
	ConnectTimeout         // no answer to SYN in time
	ConnectFailed          // any other dial error
	Reset                  // RST while writing or reading
	EOF                    // closed before a complete response
	Timeout                // no response head in time after the request was sent, or the instance does not read the request
	BadResponse            // bytes that are not HTTP
	ClientGone             // the client left
	ClientSlow             // the client sends its body too slowly, or does not read the response
	ClientBad              // the client's body is malformed
	ClientLarge            // the client's body is above the limit
	InstanceFull           // the instance has as many connections as its service allows
	Exhausted              // this process lacks descriptors, memory, ports or an answer of its name server
	StreamIdle             // no bytes of the response body for the stream timeout
	RouteTimeout           // the route's timeout ended while the response was passed on
	Stopped                // the stop of the proxy cut the exchange
	Cancelled              // another try of the request answered first
	GRPCStatus             // the response ended with a gRPC status that counts as a failure of the instance
	NumFailures    = int(iota)
)

var failureWords = [NumFailures]string{
	"", "connect-refused", "connect-timeout", "connect-failed", "reset", "eof", "timeout", "bad-response",
	"client-gone", "client-slow", "client-bad-body", "client-large-body", "instance-full", "proxy-exhausted", "stream-idle", "route-timeout", "proxy-stopping", "cancelled", "grpc-status",
}

func (f Failure) String() string { return failureWords[f] }

// connect reports whether the instance never received the request.
func (f Failure) connect() bool {
	return f == ConnectRefused || f == ConnectTimeout || f == ConnectFailed
}

// Outcome is what a front end reports about one try.
type Outcome struct {
	Status     int           // of the final response head; 0: no head arrived
	Failure    Failure       // None if a head arrived
	Sent       bool          // a write to the instance accepted at least one byte
	Replayable bool          // no response byte reached the client and the whole request so far is still in the buffer
	GRPC       int           // status of gRPC in the head of a response to a call of gRPC; 0: none, or OK
	RetryAfter time.Duration // that a response with 429 or 503 asks for; 0: none
	SentAt     int64         // when the last byte of a streamed request body was sent; 0: the request was sent in one piece
}

// Exchange is the state of one request. The connection that owns it reuses it. The front end sets the exported fields
// before Begin. It is not safe for concurrent use.
type Exchange struct {
	ID         []byte         // request id; must stay unchanged until End
	Client     netip.Addr     // the peer, or the address that a trusted peer names
	ServerName string         // that the client sent in its TLS handshake; empty: none
	Listener   string         // name of the listener
	Explain    bool           // the client may see the decision
	Timeout    time.Duration  // that the client asks for (grpc-timeout); 0: none. The route's timeout applies if it is shorter
	Span       uint64         // id of the exchange's span; those of its tries follow it. It matters only to the front end
	Pin        *upstream.Live // instance to which this client's connection is bound (NTLM, Negotiate); nil: none

	// The front end sets these fields before End.
	Shard             int   // of the counters: differs between connections
	Sent              int   // status that the client got instead of the verdict's; 0: the verdict's
	BytesIn, BytesOut int64 // of the bodies, or of the tunnel
	Tunnel            bool  // the connection became a tunnel

	table      *Table
	route      *Route
	service    *upstream.Service
	traffic    *upstream.Traffic
	leg        *Leg
	pages      action.Pages
	session    *affinity.Sessions // of the service; nil: it has none
	seat       affinity.Seat      // that the client's cookie names; the zero value: none
	sat        upstream.SessionResult
	user       string              // whose password was right, or the subject of the token; empty: none was needed
	proven     []string            // claims of the token, then headers of the answer of the authentication service
	share      *Share              // of the route; nil: the route answers itself
	auth       *forwardauth.Answer // of the authentication service, if the client gets it
	authWait   int64               // for that service
	edits      *action.Headers     // of the response, with fields of the answer of that service; nil: it gave none
	challenge  *action.Headers     // of a 401
	refusal    string              // sentence about a refused token; empty: there is none
	priority   guard.Priority      // at the gate of the service
	fault      int                 // status with which the request is aborted after its delay; 0: it is not
	delaying   bool                // a delay of the route's faults is under way
	delayed    int64               // when that delay, or the wait for the authentication service, ended; 0: there was none
	waiter     *guard.Waiter       // nil: no request of this exchange came to a gate with a limit
	inside     bool                // it has a place at the gate of the service
	active     bool                // it is one of the service's active requests
	admitted   int64               // when its wait at the gate ended; 0: it did not wait
	limited    *ratelimit.Limit    // refused the request; nil: none did
	limitWait  time.Duration       // until that limit has a token
	ask        upstream.Ask
	ticket     upstream.Ticket
	first      upstream.Ticket // of the first try, while a hedge is under way
	began      int64
	headAt     int64
	sentAt     int64
	idempotent bool
	measuring  bool // the first try is under way, and the route hedges requests with this method
	hedged     bool
	hedge      HedgeResult
	budget     guard.Budget
	retrying   bool // the current try holds a place in the retry budget
	retryWhy   RetryReason
	sampled    bool
	notable    bool // record the decision even if the request is not sampled
	status     int
	code       string
	failure    Failure
	attempts   [upstream.MaxTries]Attempt
	n          int     // attempts made
	next       Verdict // see then
	rand       rand.PCG
	record     Record
	text       []byte
}

// Route returns the name of the matched route, "" if there is none.
func (x *Exchange) Route() string {
	if x.route == nil {
		return ""
	}
	return x.route.Name
}

// User returns the name whose password was right, or the subject of the token; "" if the route needs none.
func (x *Exchange) User() string { return x.user }

// Proven returns the claims that the route reads from the token, and the headers that it reads from the answer of the
// authentication service.
func (x *Exchange) Proven() []string { return x.proven }

// AuthAnswer returns the answer of the authentication service that the client gets with CodeAuthRefused.
func (x *Exchange) AuthAnswer() *forwardauth.Answer { return x.auth }

// Edits returns the edits of the response: those of the route and what the authentication service gives to the client. It is nil
// if there are none.
func (x *Exchange) Edits() *action.Headers {
	if x.edits != nil || x.route == nil || x.route.Actions == nil {
		return x.edits
	}
	return x.route.Actions.Response
}

// Challenge returns the headers of a 401.
func (x *Exchange) Challenge() *action.Headers { return x.challenge }

// Actions returns what the matched route does to the exchange, nil if it does nothing.
func (x *Exchange) Actions() *action.Actions {
	if x.route == nil {
		return nil
	}
	return x.route.Actions
}

// Limited returns the rate limit that refused the request, and how long to wait for a token of it; nil if none did.
func (x *Exchange) Limited() (*ratelimit.Limit, time.Duration) { return x.limited, x.limitWait }

// Page returns the page of the service for an error of the proxy, nil if there is none.
func (x *Exchange) Page(status int) *action.Response { return x.pages[status] }

// Service returns the id of the service of the exchange, "" if there is none.
func (x *Exchange) Service() string {
	if x.service == nil {
		return ""
	}
	return x.service.ID
}

// Instance returns the id of the instance of the latest try, "" if there is none.
func (x *Exchange) Instance() string {
	if x.n == 0 {
		return ""
	}
	a := &x.attempts[x.n-1]
	return a.Pool.Members[a.Chosen].Instance
}

// Tries returns the tries so far. It is valid until the next Begin.
func (x *Exchange) Tries() []Attempt { return x.attempts[:x.n] }

// TrySpan returns the id of the span of the latest try, which has begun.
func (x *Exchange) TrySpan() uint64 { return x.attempts[x.n-1].Span }

// Random returns a random number of the exchange.
func (x *Exchange) Random() uint64 { return x.rand.Uint64() }

// NewExchange returns an exchange whose random numbers are generated from seed.
func NewExchange(seed uint64) *Exchange {
	x := &Exchange{}
	x.rand.Seed(seed, 0x9E3779B97F4A7C15)
	x.ask.Rand = &x.rand
	return x
}

// Attempt is one try as the decision record shows it. Pool is the snapshot that the pick used, so the recorder can list
// exclusions later without delaying the request.
type Attempt struct {
	Pool    *upstream.Pool
	Chosen  int32
	At      int64
	Trace   upstream.Trace
	Status  int
	GRPC    int // status of gRPC in the head of the response; 0: none, or OK
	Failure Failure
	Sent    bool
	HeadNs  int64
	Retried bool // another try followed
	Hedge   bool // sent while the first try was under way
	Span    uint64
}

// note notes how a try ended.
func (a *Attempt) note(o Outcome, now int64) {
	a.Status, a.GRPC, a.Failure, a.Sent, a.HeadNs = o.Status, o.GRPC, o.Failure, o.Sent, now-a.At
}

// Record summarizes a finished request. It is valid until the next Begin on the same exchange.
type Record struct {
	Service, Route, Instance string
	User                     string // whose password was right; empty: none was needed
	Why                      string // why the instance was chosen, or the Code of the reply
	Status                   int    // as sent to the client; 0: no status was sent
	Attempts                 int
	Earlier                  []Attempt // the tries before the last one
	Hedge                    string    // result of a hedge: won or lost; empty: there was none
	DurationNs, HeadNs       int64     // whole exchange; last try until its response head
	QueueNs                  int64     // wait at the gate of the service
	AuthNs                   int64     // wait for the authentication service
	Failure                  Failure
}

// Decision is passed to a Recorder. The pointer is valid only during the call: the recorder must copy what it keeps.
type Decision struct {
	ID         []byte
	Service    string
	Route      string
	Revision   string // of the configuration
	Why        string // sample, error, retry, panic
	At         int64  // when the request began
	DurationNs int64
	Attempts   []Attempt
}

// Recorder takes decisions. It must not block: if its queue is full, it drops the decision and counts it.
type Recorder interface{ Record(*Decision) }
