package config

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/dataplane/picker"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

// Document is a whole file.
type Document struct {
	Node
	Traffic
}

// Node is the part that belongs to one process.
type Node struct {
	Identity  Identity    `yaml:"node"`
	Kafka     Kafka       `yaml:"kafka"`
	Proxy     Proxy       `yaml:"proxy"`
	Admin     Admin       `yaml:"admin"`
	Console   Console     `yaml:"console"`
	Data      Data        `yaml:"data"`
	Signing   sign.Config `yaml:"signing"`
	Telemetry Telemetry   `yaml:"telemetry"`
}

// Identity names the node.
type Identity struct {
	ID string `yaml:"id"` // default: random, stored in the data directory
}

// Kafka says where the Kafka cluster is and how records are written.
type Kafka struct {
	Brokers     []string      `yaml:"brokers"`     // default localhost:9092
	Linger      time.Duration `yaml:"linger"`      // how long a record waits for further records, default 100ms (bench/results)
	BatchBytes  int           `yaml:"batchBytes"`  // of one produce batch before compression, default 11534336 (fits a 10 MB record)
	Compression string        `yaml:"compression"` // none, gzip, snappy, lz4 or zstd; default zstd
	TLS         kafka.TLS     `yaml:"tls"`         // enabled, ca, cert, key, serverName, insecure; default: no encryption
	SASL        kafka.SASL    `yaml:"sasl"`        // mechanism, user, password, tokenUrl, clientId, clientSecret, scopes, tokenFile; default: no login
}

// Security returns the settings of encryption and login at the brokers.
func (k Kafka) Security() kafka.Security { return kafka.Security{TLS: k.TLS, SASL: k.SASL} }

// Proxy configures the data plane, except routing.
type Proxy struct {
	TrustedProxies []netip.Prefix `yaml:"trustedProxies"` // peers whose X-Forwarded-* and X-Request-Id are trusted
	ExplainFrom    []netip.Prefix `yaml:"explainFrom"`    // clients that may request X-Smartlb-Decision
	AccessLog      string         `yaml:"accessLog"`      // a file, or - for stdout; empty: none
	ConnectTimeout time.Duration  `yaml:"connectTimeout"` // per try, default 1s
	Drain          time.Duration  `yaml:"drain"`          // how long a stop waits for requests in flight, default 30s (up: 3s)
	LameDuck       time.Duration  `yaml:"lameDuck"`       // how long a stop continues to accept after /readyz has begun to fail, default 0s
	Limits         Limits         `yaml:"limits"`
	Timeouts       Timeouts       `yaml:"timeouts"`
}

// Admin configures the admin API of a node.
type Admin struct {
	Address string     `yaml:"address"` // default 127.0.0.1:8081
	Token   secret.Ref `yaml:"token"`   // required from nodes and the command line on addresses other than loopback; default: none
	Peers   []Peer     `yaml:"peers"`   // admin addresses of other nodes that receive the token: HOST, HOST:PORT or a network; default: signed nodes only
}

// Console configures the web UI.
type Console struct {
	Address  string   `yaml:"address"`  // default 127.0.0.1:8083
	ReadOnly bool     `yaml:"readOnly"` // the console accepts no changes
	Hosts    []string `yaml:"hosts"`    // names under which clients reach the console, in addition to addresses and localhost
	TLS      Files    `yaml:"tls"`      // default: plain HTTP
	Users    []User   `yaml:"users"`    // default: no login is required
	OIDC     OIDC     `yaml:"oidc"`     // OpenID Connect issuer; default: none
	Mask     []Mask   `yaml:"mask"`     // parts of messages to hide; default: nothing

	TrustedProxies []netip.Prefix `yaml:"trustedProxies"` // peers of console and admin whose X-Forwarded-For names the client, for the limits on logins and connections; default: none
}

// Files are the files of a TLS certificate.
type Files struct {
	Cert string `yaml:"cert"` // PEM, including the chain
	Key  string `yaml:"key"`
}

// User may log in to the console with a password.
type User struct {
	Name         string `yaml:"name"`
	PasswordHash string `yaml:"passwordHash"` // bcrypt; create it with smartlb config hash-password
	Role         string `yaml:"role"`         // viewer, operator or admin
}

// OIDC is an issuer that identifies users.
type OIDC struct {
	Issuer       string            `yaml:"issuer"` // https://...
	ClientID     string            `yaml:"clientId"`
	ClientSecret secret.Ref        `yaml:"clientSecret"`
	RedirectURL  string            `yaml:"redirectUrl"` // the console's address with /api/v1/login/oidc/callback
	Scopes       []string          `yaml:"scopes"`      // in addition to openid; default profile, email
	NameClaim    string            `yaml:"nameClaim"`   // default email, preferred_username, sub: the first claim that is present
	RolesClaim   string            `yaml:"rolesClaim"`  // default groups
	Roles        map[string]string `yaml:"roles"`       // maps values of that claim to viewer, operator or admin
	DefaultRole  string            `yaml:"defaultRole"` // of a user without a value in roles; default: login refused
}

// Mask hides parts of messages in the console.
type Mask struct {
	Topics  []string `yaml:"topics"`  // names or patterns: user-*
	Fields  []string `yaml:"fields"`  // of JSON values: user.email, users.*.phone
	Headers []string `yaml:"headers"` // by name
	Key     bool     `yaml:"key"`
}

// Data says where a node stores its state.
type Data struct {
	Dir string `yaml:"dir"`
}

// Telemetry configures the messages that a proxy publishes.
type Telemetry struct {
	DecisionSample float64       `yaml:"decisionSample"` // share of requests whose decision is published, default 0.01
	DecisionRate   int           `yaml:"decisionRate"`   // maximum number of decisions per second, default 500
	SampleRate     int           `yaml:"sampleRate"`     // of these, maximum number per second that were only sampled, default 2; 0, or a decisionSample of 1: no separate limit
	Interval       time.Duration `yaml:"interval"`       // shortest time between reports, default 1s; proxies of more than 20 instances report less often
}

// Traffic is the part that is published to all nodes.
type Traffic struct {
	Listeners []Listener `yaml:"listeners"`
	Routes    []Route    `yaml:"routes"`
	Services  []Service  `yaml:"services"`

	// Warnings lists valid settings without effect that Parse found, ordered by line. It is not part of the document.
	Warnings Mistakes
}

// Listener is an address where clients connect.
type Listener struct {
	Name    string `yaml:"name"`
	Address string `yaml:"address"`

	TLS *ListenerTLS `yaml:"tls"` // default: plain HTTP

	RedirectToHTTPS bool `yaml:"redirectToHttps"` // answer every request with a redirect to https; none is routed
	HTTPSPort       int  `yaml:"httpsPort"`       // of that URL, default 443

	EncodedCharacters string `yaml:"encodedCharacters"` // keep (default) or reject: %2F, %5C and encoded control characters in a path
	UnderscoreHeaders string `yaml:"underscoreHeaders"` // drop (default), keep or reject: request headers with _ in their name
	RequestID         string `yaml:"requestId"`         // trusted (default), keep or overwrite: whose X-Request-Id the proxy keeps
}

// ListenerTLS is the encryption of a listener. The files are read on each node.
type ListenerTLS struct {
	Certificates []Files `yaml:"certificates"` // chosen by the server name; the first one serves clients that ask for no known name
	MinVersion   string  `yaml:"minVersion"`   // 1.2 (default) or 1.3

	TicketKeys string `yaml:"ticketKeys"` // file with keys of session tickets that all nodes share; default: keys of each node

	Clients ClientCertificates `yaml:"clientCertificates"`

	HSTS           *time.Duration `yaml:"hsts"`                  // max-age of Strict-Transport-Security; default: the instance's own field
	HSTSSubDomains bool           `yaml:"hstsIncludeSubDomains"` // it also holds for the names below the host
}

// ClientCertificates says which certificates a listener requests from clients, and what instances get to know of them.
type ClientCertificates struct {
	Mode              string `yaml:"mode"`              // off (default), request (a client may have none) or require
	CA                string `yaml:"ca"`                // PEM: certificates of the authorities of clients
	SubjectHeader     string `yaml:"subjectHeader"`     // request header with the subject (RFC 2253); default: none
	FingerprintHeader string `yaml:"fingerprintHeader"` // request header with the SHA-256 of the certificate; default: none
}

// Route sends matching requests to a service, or splits them among several services.
type Route struct {
	Name    string        `yaml:"name"`
	Hosts   []string      `yaml:"hosts"`
	Path    Path          `yaml:"path"`
	Methods []string      `yaml:"methods"`
	Headers []Header      `yaml:"headers"`
	Service string        `yaml:"service"`
	Split   []Split       `yaml:"split"`
	Timeout time.Duration `yaml:"timeout"` // of the whole exchange, default none
	Retry   *Retry        `yaml:"retry"`
	HashOn  string        `yaml:"hashOn"` // client (default), path, or header:NAME; for ring_hash and maglev
}

// Path sets one of three ways to compare the path.
type Path struct {
	Prefix string `yaml:"prefix"`
	Exact  string `yaml:"exact"`
	Regex  string `yaml:"regex"`
}

// Header is a condition on a request header. If only the name is set, the header must be present.
type Header struct {
	Name  string `yaml:"name"`
	Exact string `yaml:"exact"`
	Regex string `yaml:"regex"`
}

// Split is one part of a route's traffic.
type Split struct {
	Service string `yaml:"service"`
	Weight  int    `yaml:"weight"`
}

// Retry says when a request is sent again to another instance.
type Retry struct {
	Attempts      int           `yaml:"attempts"` // retries: tries after the first, 0..3
	On            []string      `yaml:"on"`       // connect-failure, reset, timeout, or a status
	PerTryTimeout time.Duration `yaml:"perTryTimeout"`
}

// DefaultRetry is the policy of a route without `retry`. It never repeats a request that an instance may have started,
// unless the method allows it.
func DefaultRetry() Retry { return Retry{Attempts: 2, On: []string{"connect-failure", "reset"}} }

// Service is a set of instances that are interchangeable for clients.
type Service struct {
	ID          string        `yaml:"id"`
	Policy      string        `yaml:"policy"`    // default adaptive
	SlowStart   time.Duration `yaml:"slowStart"` // default 10s; 0s: none
	Instances   []Instance    `yaml:"instances"`
	HealthCheck *HealthCheck  `yaml:"healthCheck"`
	Strictness  string        `yaml:"strictness"` // tolerant (default) or strict: how responses are read, see docs/http.md
}

// Instance is one process of a service.
type Instance struct {
	ID      string            `yaml:"id"`
	Address string            `yaml:"address"` // host:port
	Weight  float64           `yaml:"weight"`  // default 1; .01 to 1000
	Tags    map[string]string `yaml:"tags"`
}

// HealthCheck is the active probe of a service's instances.
type HealthCheck struct {
	Type               string        `yaml:"type"` // http (default) or tcp
	Path               string        `yaml:"path"` // http, default /health
	Host               string        `yaml:"host"` // http, default the instance's address
	Interval           time.Duration `yaml:"interval"`
	Timeout            time.Duration `yaml:"timeout"`
	HealthyThreshold   int           `yaml:"healthyThreshold"`
	UnhealthyThreshold int           `yaml:"unhealthyThreshold"`
	Statuses           []int         `yaml:"statuses"` // http, default 200..299
}

// DefaultAdmin is the default address of the admin API.
const DefaultAdmin = "127.0.0.1:8081"

// Default returns the document that results from an empty file. It has node settings only.
func Default() Document {
	return Document{Node: Node{
		Kafka: Kafka{Brokers: []string{"localhost:9092"}, Linger: 100 * time.Millisecond, BatchBytes: 11534336, Compression: "zstd"},
		Proxy: Proxy{ConnectTimeout: time.Second, Limits: DefaultLimits(), Timeouts: DefaultTimeouts()},
		Admin: Admin{Address: DefaultAdmin}, Console: Console{Address: "127.0.0.1:8083"},
		Telemetry: Telemetry{DecisionSample: .01, DecisionRate: 500, SampleRate: 2, Interval: time.Second},
	}}
}

// fill sets the defaults inside routes and services for keys that the document omits. It does not replace a 0 that the
// document sets.
func (t *Traffic) fill(given func(path string) bool) {
	for i := range t.Routes {
		t.Routes[i].fill(fmt.Sprintf("routes[%d]", i), given)
	}
	for i := range t.Services {
		t.Services[i].fill(fmt.Sprintf("services[%d]", i), given)
	}
}

func (r *Route) fill(path string, given func(string) bool) {
	standard := DefaultRetry()
	if r.Retry == nil {
		r.Retry = &standard
		return
	}
	orDefault(&r.Retry.Attempts, standard.Attempts, given(path+".retry.attempts"))
	if !given(path + ".retry.on") {
		r.Retry.On = standard.On
	}
}

func (s *Service) fill(path string, given func(string) bool) {
	if s.Policy == "" {
		s.Policy = picker.DefaultPolicy
	}
	orDefault(&s.SlowStart, 10*time.Second, given(path+".slowStart"))
	for j := range s.Instances {
		orDefault(&s.Instances[j].Weight, 1, given(fmt.Sprintf("%s.instances[%d].weight", path, j)))
	}
	if s.HealthCheck != nil {
		s.HealthCheck.fill(path+".healthCheck", given)
	}
}

func (h *HealthCheck) fill(path string, given func(string) bool) {
	if h.Type == "" {
		h.Type = "http"
	}
	if h.Type == "http" && h.Path == "" {
		h.Path = "/health"
	}
	orDefault(&h.Interval, 2*time.Second, given(path+".interval"))
	orDefault(&h.Timeout, min(time.Second, h.Interval), given(path+".timeout"))
	orDefault(&h.HealthyThreshold, 2, given(path+".healthyThreshold"))
	orDefault(&h.UnhealthyThreshold, 3, given(path+".unhealthyThreshold"))
}

// orDefault sets *v to standard if the document does not set it.
func orDefault[T comparable](v *T, standard T, given bool) {
	var zero T
	if *v == zero && !given {
		*v = standard
	}
}
