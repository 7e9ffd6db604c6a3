package dispatch

import (
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/affinity"
	"github.com/smartlb/smartlb/internal/dataplane/forwardauth"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/jwt"
	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
	"github.com/smartlb/smartlb/internal/dataplane/ratelimit"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Table is the routing of one configuration. It is immutable, except the instances of its sessions; Swap replaces it as a
// whole.
type Table struct {
	Revision string
	Routes   *router.Table[*Route]
	Names    string                            // of all routes, for the text of a 404
	Limits   map[ratelimit.ID]*ratelimit.Limit // all of them
	KeySets  []*jwt.KeySet                     // of issuers whose keys are fetched
	Refused  map[string]*jwt.Refusals          // tokens that were refused, by route
	Auths    map[string]*forwardauth.Counts    // questions to authentication services, by route
	Sessions map[string]*affinity.Sessions     // of the services that have them, by service
}

// SetInstances replaces the instances that sessions of a service may name. Calls must not overlap.
func (t *Table) SetInstances(service string, ids []string) {
	if s := t.Sessions[service]; s != nil {
		s.SetInstances(ids)
	}
}

// Route is the destination of a matched request.
type Route struct {
	Name          string
	Split         []Share       // at least one, none if the route answers by itself
	Total         uint64        // sum of the weights
	Timeout       time.Duration // for the whole exchange, 0 none
	StreamTimeout time.Duration // between two pieces of a response body; 0: the proxy's default, below 0: none
	Retry         Retry
	Priority      Priority // of its requests, where requests wait
	Hedge         *Hedge   // nil: none
	HashOn        HashOn
	Actions       *action.Actions    // nil: none
	Traffic       *upstream.Traffic  // counts the requests that the route answers itself
	Limits        []*ratelimit.Limit // of a route without services
}

// Share is one part of a split.
type Share struct {
	Service *upstream.Service
	Weight  uint64
	Leg     *Leg               // how its instances are spoken to; nil: HTTP/1.1 with the defaults
	Pages   action.Pages       // instead of the texts of the proxy's errors
	Session *affinity.Sessions // binds clients to instances; nil: it does not
	Traffic *upstream.Traffic  // counts the requests; nil: they are not counted
	Limits  []*ratelimit.Limit // of the route, then of the service
	Budget  *guard.Budget      // of retries, the same for all shares of a service; nil: guard.DefaultBudget
}

// Leg says how a proxy speaks to the instances of a service, except for TLS. It is immutable.
type Leg struct {
	HTTP2          bool               // they speak HTTP/2
	Strict         bool               // read their responses strictly, accept no tolerable departure from HTTP
	ProxyProtocol  proxyproto.Version // of the header that names the client at the beginning of a connection; HTTP/1.1 only
	ConnectTimeout time.Duration      // per try; 0: Config.ConnectTimeout
	MaxConnections int                // to one instance, idle ones included; 0: no limit
	MaxIdle        int                // kept connections of HTTP/1.1 to one instance; 0: the proxy's default
	KeepTimeout    time.Duration      // that a kept connection may be idle; 0: the proxy's default
	QueueTimeout   time.Duration      // longest wait at the gate of the service
	GRPCFailures   GRPCStatuses       // statuses of gRPC that count as failures of the instance
	LoadReports    LoadReports        // reports of ORCA in responses
}

// LoadReports says what the proxy does with the load reports of ORCA in responses. The zero value leaves them alone.
type LoadReports struct {
	Read  bool // use them
	Strip bool // do not pass them on to clients; only with Read
}

// standardLeg is the leg of a share without one.
var standardLeg = Leg{GRPCFailures: DefaultGRPCFailures}

// GRPCStatuses is a set of status codes of gRPC, 0 to 16: bit n stands for code n.
type GRPCStatuses uint32

// DefaultGRPCFailures holds DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL and UNAVAILABLE.
const DefaultGRPCFailures GRPCStatuses = 1<<4 | 1<<8 | 1<<13 | 1<<14

// Has reports whether the set holds a status code. Codes that gRPC does not define count as UNKNOWN, which is 2.
func (s GRPCStatuses) Has(code int) bool {
	if code < 0 || code > 16 {
		code = 2
	}
	return s&(1<<code) != 0
}

// Priority says which requests wait longer than others.
type Priority struct {
	Low    bool   // all requests
	Header string // name of a header: requests have low priority if its value is "low"; empty: none
}

// HashOn names the affinity key of ring_hash and maglev. A request without it uses the address of the client.
type HashOn struct {
	Kind HashKind
	Name string // of the header, cookie or parameter
}

// HashKind selects the source of the affinity key.
type HashKind uint8

// The kinds.
const (
	HashClient HashKind = iota // address of the client
	HashPath
	HashHeader
	HashCookie
	HashQuery // parameter of the query
)
