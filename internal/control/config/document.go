package config

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/dataplane/accesslog"
	"github.com/smartlb/smartlb/internal/dataplane/picker"
	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

// Document is a whole file.
//
// The comment of a field that has a YAML key is its description in docs/configuration.md: text and bounds, then the
// flag, then the default or `required`, separated by semicolons. A test compares each default with the real one.
type Document struct {
	Node
	Traffic
}

// Node is the part that belongs to one process.
type Node struct {
	Identity  Identity      `yaml:"node"`      // identity of the node
	Kafka     Kafka         `yaml:"kafka"`     // address of the Kafka cluster, and how the node writes records
	Proxy     Proxy         `yaml:"proxy"`     // settings of the proxy, except routing
	Admin     Admin         `yaml:"admin"`     // admin API of the node
	Console   Console       `yaml:"console"`   // web UI, and logins of console and admin API
	Scaler    Scaler        `yaml:"scaler"`    // answers for KEDA, which scales workloads of Kubernetes
	Data      Data          `yaml:"data"`      // state of the node on disk
	Signing   sign.Config   `yaml:"signing"`   // keys that sign and verify the records that control smartlb; default no signatures, every record is accepted
	Telemetry Telemetry     `yaml:"telemetry"` // messages that the proxy publishes
	Discovery DiscoveryNode `yaml:"discovery"` // access of the node to the sources of `services[].discovery`
	Alerting  Alerting      `yaml:"alerting"`  // receivers of alerts outside of smartlb. The role analyzer sends them; default no receivers
}

// Identity names the node.
type Identity struct {
	ID string `yaml:"id"` // name of the node in Kafka, logs and the Via header. It must be unique among the nodes; default random, saved in the data folder
	// longest time from the start of a new binary until it is ready, 1s to 1h. Then the node ends the new process, and
	// the old process continues; default 60s
	UpgradeTimeout time.Duration `yaml:"upgradeTimeout"`
	// where the node runs, such as the zone of a cloud, 1 to 64 letters, digits, dots, dashes and underscores. Requests go to
	// instances with the same text in their tag `zone` first, see `services[].zoneSpillover`; default none: zones do not matter
	Zone string `yaml:"zone"`
	// the region that the zone is in, with the same characters. Requests go to instances with the same text in their tag `region`
	// before they go to others, see `services[].zoneSpillover`; default none: regions do not matter
	Region string `yaml:"region"`
}

// Kafka says where the Kafka cluster is and how records are written.
type Kafka struct {
	// addresses of at least one broker, which tells the node the others. Without this key and without
	// SMARTLB_KAFKA_BROKERS, the variable KAFKA_BROKER counts. `smartlb up` does not read this key: it uses --kafka,
	// --profile, the Kafka stack that runs on the machine, or its own broker; flag --kafka; default localhost:9092
	Brokers     []string      `yaml:"brokers"`
	Linger      time.Duration `yaml:"linger"`      // longest wait of a record for more records in its batch, 0s to 1m; default 100ms
	BatchBytes  int           `yaml:"batchBytes"`  // bytes of a batch before compression, 1024 to 11534336. The default fits a record of 10 MB; default 11534336
	Compression string        `yaml:"compression"` // compression of batches, one of `none`, `gzip`, `snappy`, `lz4`, `zstd`; default zstd
	TLS         kafka.TLS     `yaml:"tls"`         // encryption of connections to the brokers. Each key of this section switches it on; default no encryption
	SASL        kafka.SASL    `yaml:"sasl"`        // login at the brokers; default no login
}

// Security returns the settings of encryption and login at the brokers.
func (k Kafka) Security() kafka.Security { return kafka.Security{TLS: k.TLS, SASL: k.SASL} }

// Proxy configures the data plane, except routing.
type Proxy struct {
	// networks of the proxies in front of this node. From these peers the node takes the client's address from
	// X-Forwarded-For, and keeps X-Forwarded-Proto, X-Forwarded-Host, Forwarded and X-Request-Id. It replaces or removes
	// these headers of all other peers; default none
	TrustedProxies []netip.Prefix `yaml:"trustedProxies"`
	// networks of clients that may ask why their request went to its instance (`X-Smartlb-Explain: 1`). The response has
	// the decision in X-Smartlb-Decision. The flag adds networks to this list; flag --explain-from; default none
	ExplainFrom []netip.Prefix `yaml:"explainFrom"`
	// file for the access log, or `-` for stdout. `accessLogOptions` says what its lines are. The node reopens the file on SIGUSR1 and
	// SIGHUP. On SIGHUP it also changes to another file name without a restart; flag --access-log; default no access log
	AccessLog        string    `yaml:"accessLog"`
	AccessLogOptions AccessLog `yaml:"accessLogOptions"` // lines of the access log, and which requests have one
	// folder of the files that `file` of responses names. Without it, a configuration that names a file is refused. Files
	// outside of the folder cannot be read, so that no writer of configurations can read other files of the node; default
	// none
	Pages string `yaml:"pages"`
	// at most 4 keys of the cookies of `sessionPersistence`, the same on all nodes, each of at least 32 characters. The first
	// key makes cookies, all are accepted: to replace a key, first append the new one on all nodes, then move it to the
	// front. Without a key, the cookies of a process are valid until it ends, and only there; default none
	SessionKeyRefs []secret.Ref  `yaml:"sessionKeys"`
	ConnectTimeout time.Duration `yaml:"connectTimeout"` // longest wait for a connection to an instance, for each try, more than 0s; default 1s
	Drain          time.Duration `yaml:"drain"`          // how long a stopping node waits for requests in flight. 0s stands for the default; flag --drain; default 30s (`smartlb up`: 3s)
	LameDuck       time.Duration `yaml:"lameDuck"`       // how long a stopping node still accepts connections after /readyz has begun to fail. Then the drain begins; flag --lame-duck; default 0s
	Limits         Limits        `yaml:"limits"`         // limits of requests and connections
	Timeouts       Timeouts      `yaml:"timeouts"`       // waiting times of the proxy, each 100ms to 720h, compared every 100 ms
}

// Admin configures the admin API of a node.
type Admin struct {
	// address of the API, /metrics, /healthz and /readyz. On an address other than loopback, the node starts only with
	// `admin.token`, `console.users`, `console.oidc` or --insecure-listen; flag --admin; default 127.0.0.1:8081
	Address string `yaml:"address"`
	// secret that nodes and the command line send to admin addresses other than loopback, the same on all nodes. The
	// command line also reads SMARTLB_ADMIN_TOKEN; default none
	Token secret.Ref `yaml:"token"`
	// admin addresses of other nodes that receive the token, each as HOST, HOST:PORT or a network such as 10.0.0.0/8.
	// Nodes with a signed status receive it too; default none
	Peers []Peer `yaml:"peers"`
}

// Console configures the web UI.
type Console struct {
	// address of the web UI. On an address other than loopback, the node starts only with `console.users`, `console.oidc`
	// or --insecure-listen; flag --console; default 127.0.0.1:8083
	Address  string   `yaml:"address"`
	ReadOnly bool     `yaml:"readOnly"` // refuse every change through console and admin API of this node; flag --read-only; default false
	Hosts    []string `yaml:"hosts"`    // host names of console and admin API, without port, in addition to localhost and all addresses. Requests for other names are refused; default none
	TLS      Files    `yaml:"tls"`      // certificate of the console. Changed files are used without a restart; default plain HTTP
	Users    []User   `yaml:"users"`    // users who log in with a password. Without users and without `console.oidc`, no login is required; default none
	OIDC     OIDC     `yaml:"oidc"`     // OpenID Connect issuer that identifies users; default none
	Mask     []Mask   `yaml:"mask"`     // parts of Kafka messages that the console hides, before filters and all other uses; default none

	// networks of the proxies in front of console and admin API. From these peers the node takes the client's address
	// from X-Forwarded-For, for the limits of logins and connections; default none
	TrustedProxies []netip.Prefix `yaml:"trustedProxies"`
}

// Files are the files of a TLS certificate.
type Files struct {
	Cert string `yaml:"cert"` // file with the certificate in PEM, then its chain; required
	Key  string `yaml:"key"`  // file with the private key in PEM, without a password; required
}

// User may log in to the console with a password.
type User struct {
	Name         string `yaml:"name"`         // name of the user, unique; required
	PasswordHash string `yaml:"passwordHash"` // bcrypt hash of the password, of cost 10 to 16. `smartlb config hash-password` makes it; required
	Role         string `yaml:"role"`         // one of `viewer` (reads), `operator` (also drains, resets, restarts), `admin` (everything); required
}

// OIDC is an issuer that identifies users.
type OIDC struct {
	Issuer       string            `yaml:"issuer"`       // https:// address of the issuer. http:// is allowed for localhost; required
	ClientID     string            `yaml:"clientId"`     // id of the console at the issuer; required
	ClientSecret secret.Ref        `yaml:"clientSecret"` // secret of the console at the issuer; default none
	RedirectURL  string            `yaml:"redirectUrl"`  // https:// address of the console with the path /api/v1/login/oidc/callback. http:// is allowed for localhost; required
	Scopes       []string          `yaml:"scopes"`       // scopes that the console requests in addition to openid; default profile, email
	NameClaim    string            `yaml:"nameClaim"`    // claim with the name of the user; default the first of email, preferred_username and sub that is present
	RolesClaim   string            `yaml:"rolesClaim"`   // claim with the groups of the user; default groups
	Roles        map[string]string `yaml:"roles"`        // role of each group: `viewer`, `operator` or `admin`. Either `roles` or `defaultRole` is required; default none
	DefaultRole  string            `yaml:"defaultRole"`  // role of users without a group in `roles`, one of `viewer`, `operator`, `admin`; default these users cannot log in
}

// Mask hides parts of messages in the console.
type Mask struct {
	Topics  []string `yaml:"topics"`  // names of topics. `*` stands for any text, `?` for one character; required
	Fields  []string `yaml:"fields"`  // fields of JSON values, such as `user.email` or `users.*.phone`. One of `fields`, `headers` and `key` is required; default none
	Headers []string `yaml:"headers"` // names of headers whose values are hidden; default none
	Key     bool     `yaml:"key"`     // hide the key of the message; default false
}

// Data says where a node stores its state.
type Data struct {
	// folder for the state of the node: its id, the last good configuration, the audit spool, logs, and the records of the
	// embedded broker; flag --data; default `data` in the working directory (`smartlb up --demo`: in the user's state
	// directory)
	Dir string `yaml:"dir"`
}

// Telemetry configures the messages that a proxy publishes, and its traces.
type Telemetry struct {
	DecisionSample float64       `yaml:"decisionSample"` // share of requests whose decision is published, 0 to 1. Decisions about errors and retries do not depend on it; default 0.01
	DecisionRate   int           `yaml:"decisionRate"`   // limit of published decisions per second, 0 to 1000000. 0: none is published; default 500
	SampleRate     int           `yaml:"sampleRate"`     // limit of sampled decisions per second, 0 to 1000000, within `decisionRate`. 0, or a `decisionSample` of 1: no separate limit; default 2
	Interval       time.Duration `yaml:"interval"`       // shortest time between two reports, 100ms to 60s. A proxy of more than 20 instances reports less often; default 1s
	Tracing        Tracing       `yaml:"tracing"`        // traces of requests, see docs/tracing.md; default off
	Logs           Logs          `yaml:"logs"`           // the access log for an OpenTelemetry collector, see docs/tracing.md; default off
	OTLP           OTLPReceiver  `yaml:"otlp"`           // receiver of metrics of instances, on nodes with the role collector, see docs/load-reports.md; default off

	// logins at the pages of services with `services[].loadReports.scrape`, on nodes with the role collector, at most 1000. A
	// login is sent inside TLS with a verified certificate, or to this machine, only. SIGHUP and --watch apply a change
	// without a restart; default none
	ScrapeLogins []ReportLogin `yaml:"scrapeLogins"`

	// logins at the streams of services with `services[].loadReports.orca.outOfBand`, sent in the field `authorization`. As
	// `scrapeLogins`; default none
	StreamLogins []ReportLogin `yaml:"streamLogins"`
}

// Traffic is the part that is published to all nodes.
type Traffic struct {
	Listeners []Listener `yaml:"listeners"` // addresses where clients connect, at most 1000; default none
	Routes    []Route    `yaml:"routes"`    // rules that map requests to services. The most specific route wins: by host, exact path, regular expression (the longest first), longest prefix, method, number of headers, then the order in the file; default none
	Services  []Service  `yaml:"services"`  // groups of instances that are interchangeable for clients; default none

	// Warnings lists valid settings without effect that Parse found, ordered by line. It is not part of the document.
	Warnings Mistakes
}

// Service is a set of instances that are interchangeable for clients.
type Service struct {
	ID        string        `yaml:"id"`        // id of the service in Kafka, logs and commands, unique; required
	Policy    string        `yaml:"policy"`    // method that chooses an instance, one of `adaptive`, `round_robin`, `least_request`, `random`, `peak_ewma`, `ring_hash`, `maglev`; default adaptive
	SlowStart time.Duration `yaml:"slowStart"` // time in which traffic to an instance grows to its share when the instance is new or rejoins. 0s: none. Not with ring_hash and maglev, which have no slow start; default 10s
	// how strongly differences in latency move requests among healthy instances, 0 to 1. 0: requests in flight, weights and
	// errors decide alone. 1: the fastest instances get the most. Only with `policy: adaptive`; default 0.75
	Spread float64 `yaml:"spread"`
	// limit of the load of an instance with the policies ring_hash and maglev, in percent of its share of the requests in
	// flight, 101 to 1000. Keys of an instance at the limit go to the next instance. 0: no limit; default 0
	HashBalanceFactor int `yaml:"hashBalanceFactor"`
	// binding of each client to one instance with a signed cookie. The keys are in `proxy.sessionKeys`; default none
	SessionPersistence *SessionPersistence `yaml:"sessionPersistence"`
	Concurrency        *Concurrency        `yaml:"concurrency"` // limits of requests in flight from one node, and their queue; default no limits
	Instances          []Instance          `yaml:"instances"`   // processes of the service. Without `discovery` at least one; default none
	// sources that say which processes the service has, in addition to `instances`. Of two instances with the same id or
	// address, that in `instances` counts. See docs/discovery.md; default none
	Discovery   *Discovery   `yaml:"discovery"`
	HealthCheck *HealthCheck `yaml:"healthCheck"` // probes of all instances by every proxy; default no probes
	LoadReports *LoadReports `yaml:"loadReports"` // where the load of the instances is read from, see docs/load-reports.md; default only from messages in Kafka
	Ejection    Ejection     `yaml:"ejection"`    // when failed requests take an instance out of rotation, and for how long
	// share of healthy instances below which backups help or, if none is healthy, requests go to all instances that do not
	// drain (panic), 0 to 1. 0: never, so that requests get 503 while no instance is healthy; default 0.5
	PanicThreshold float64 `yaml:"panicThreshold"`
	// share of the instances of the node's zone (`node.zone`), by weight, that must take requests for all requests to stay in
	// the zone, 0 to 1. Below it, other zones get a growing part of the requests, those of other regions (`node.region`)
	// last. An instance without the tag `zone` counts for every zone. 0: all zones take requests; default 0.7
	ZoneSpillover float64 `yaml:"zoneSpillover"`
	// how much more a request to another zone costs than one within the zone, 1 to 1000: an instance there counts with its weight
	// divided by this factor. Needs `zoneSpillover: 0`; default 1
	CrossZoneCost   float64     `yaml:"crossZoneCost"`
	CrossRegionCost float64     `yaml:"crossRegionCost"` // the same for an instance of another region, at least `crossZoneCost`; default `crossZoneCost`
	RetryBudget     RetryBudget `yaml:"retryBudget"`     // limit of the retries of all routes to the service that are in flight on a proxy
	Protocol        string      `yaml:"protocol"`        // one of `http1`, `h2c`, `h2`: what the instances speak. `h2c` is HTTP/2 without TLS, `h2` is HTTP/2 with `tls`; default http1
	TLS             *ServiceTLS `yaml:"tls"`             // encryption of connections to the instances; default none
	Connections     Connections `yaml:"connections"`     // connections to each instance
	// one of `v1`, `v2`: each connection to an instance begins with a PROXY header of this version, which names the client.
	// Such a connection serves the requests of one client connection only. Health checks send a header without addresses.
	// Only with `protocol: http1`; default no header
	ProxyProtocol string `yaml:"proxyProtocol"`
	// statuses of gRPC that count as failures of the instance, as names of gRPC such as `UNAVAILABLE`. An empty list: none
	// counts; default DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE
	GRPCFailures []string `yaml:"grpcFailures"`
	Strictness   string   `yaml:"strictness"` // one of `tolerant`, `strict`: with `strict`, a response that breaks HTTP but has one meaning becomes 502, see docs/http.md; default tolerant
	// bodies of errors that the proxy sends for this service, instead of its own texts. Responses of instances stay as they
	// are, except for pages with `intercept`; default the texts of the proxy
	ErrorPages []ErrorPage `yaml:"errorPages"`
	RateLimits []RateLimit `yaml:"rateLimits"` // limits of the requests of all routes to the service, at most 8; default none
}

// ErrorPage is the body of errors of the proxy. A client of gRPC gets a status of gRPC instead.
type ErrorPage struct {
	Statuses []int             `yaml:"statuses"` // statuses of the errors, each 400 to 599, at most once in a service; required
	Headers  map[string]string `yaml:"headers"`  // headers of the response, which may have variables. Without Content-Type, a body is text/plain; default none
	Body     string            `yaml:"body"`     // body of the response, at most 65536 bytes. Either `body` or `file` is required; default none
	File     string            `yaml:"file"`     // file with the body, at most 1 MiB, below the folder `proxy.pages` of each node. It is read when the configuration is applied; default none
	// also replace responses of instances with these statuses, body and headers, except Allow, Retry-After and WWW-Authenticate.
	// Responses to calls of gRPC stay as they are; default false
	Intercept bool `yaml:"intercept"`
}

// Connections are the connections of a proxy to each instance of a service.
type Connections struct {
	Limit          int           `yaml:"limit"`          // connections to one instance at the same time, idle ones included, 0 to 1000000. A request that finds no free one goes to another instance if the route retries connect-failure, otherwise it gets 503. 0: unlimited; default 0
	ConnectTimeout time.Duration `yaml:"connectTimeout"` // longest wait for a connection, for each try, 1ms to 720h; default `proxy.connectTimeout`
	Idle           int           `yaml:"idle"`           // idle connections of HTTP/1.1 that are kept, 2 to 65536; default `proxy.limits.idlePerInstance`
	Keep           time.Duration `yaml:"keep"`           // how long a connection may be idle, 100ms to 720h. It must be shorter than the instance's own timeout; default `proxy.timeouts.keep`
}

// ServiceTLS is the encryption of connections to instances. The files are read on each node.
type ServiceTLS struct {
	CA         string `yaml:"ca"`         // PEM file with the certificates of the authorities of the instances. A changed file is used within 2 s; default the authorities of the system
	ServerName string `yaml:"serverName"` // name that the certificates of the instances must have; default the host of the instance's address
	Cert       string `yaml:"cert"`       // PEM file with the certificate of the node for the instances, then its chain; default none
	Key        string `yaml:"key"`        // PEM file with the private key of `cert`; default none
	Insecure   bool   `yaml:"insecure"`   // accept every certificate. An attacker in the network can then read and change all traffic; default false
}

// HTTP2 reports whether the instances speak HTTP/2.
func (s Service) HTTP2() bool { return s.Protocol == "h2c" || s.Protocol == "h2" }

// ProxyHeader returns the version of the PROXY header at the beginning of connections to the instances.
func (s Service) ProxyHeader() proxyproto.Version {
	switch s.ProxyProtocol {
	case "v1":
		return proxyproto.V1
	case "v2":
		return proxyproto.V2
	}
	return proxyproto.None
}

// Instance is one process of a service.
type Instance struct {
	ID      string            `yaml:"id"`      // id of the instance, unique in its service; required
	Address string            `yaml:"address"` // address of the instance, unique in its service: host and port, or `unix:/run/app.sock` for a Unix socket. `protocol` and `tls` of the service say what it speaks; required
	Weight  float64           `yaml:"weight"`  // share of requests relative to the other instances, 0.01 to 1000. To take an instance out, use `smartlb drain`; default 1
	Tags    map[string]string `yaml:"tags"`    // texts that explanations, reports and the console show. `zone` says where the instance runs, see `services[].zoneSpillover`; default none
	Backup  bool              `yaml:"backup"`  // take requests only while less of the other instances are healthy than `services[].panicThreshold`, or none of them takes requests; default false

	// Source names what found the instance; "": the document. It is not part of the document.
	Source string
	// Draining says that the source announced the end of the instance. It is not part of the document.
	Draining bool
	// Incarnation tells an instance apart from an earlier one with the same id and address, such as the uid of a pod; "":
	// the source does not tell them apart. It is not part of the document.
	Incarnation string
	// Unlisted says that no source lists the instance any more, and that it stays because too many left within a minute. It
	// is not part of the document.
	Unlisted bool
}

// Succeeds reports whether the instance is another one than old, although id and address may be the same.
func (in Instance) Succeeds(old string) bool {
	return old != "" && in.Incarnation != "" && in.Incarnation != old
}

// DefaultAdmin is the default address of the admin API.
const DefaultAdmin = "127.0.0.1:8081"

// Default returns the document that results from an empty file. It has node settings only.
func Default() Document {
	return Document{Node: Node{
		Identity: Identity{UpgradeTimeout: time.Minute},
		Kafka:    Kafka{Brokers: []string{"localhost:9092"}, Linger: 100 * time.Millisecond, BatchBytes: 11534336, Compression: "zstd"},
		Proxy:    Proxy{AccessLogOptions: AccessLog{Format: accesslog.JSON, Sample: 1}, ConnectTimeout: time.Second, Limits: DefaultLimits(), Timeouts: DefaultTimeouts()},
		Admin:    Admin{Address: DefaultAdmin}, Console: Console{Address: "127.0.0.1:8083"},
		Telemetry: Telemetry{DecisionSample: .01, DecisionRate: 500, SampleRate: 2, Interval: time.Second, Tracing: DefaultTracing(), Logs: DefaultLogs()},
		Alerting:  DefaultAlerting(),
	}}
}

// fill sets the defaults inside lists for keys that the document omits.
func (d *Document) fill(given func(path string) bool) {
	d.Traffic.fill(given)
	d.Alerting.fill(given)
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
	if r.Redirect != nil {
		orDefault(&r.Redirect.Code, 302, given(path+".redirect.code"))
	}
	r.fillAccess(path, given)
	r.fillCompression(path, given)
	r.fillMirror(path, given)
	fillLimits(path, r.RateLimits, given)
	if r.Hedge != nil && r.Hedge.After == "" {
		r.Hedge.After = hedgeP95
	}
	standard := DefaultRetry()
	if r.Retry == nil {
		r.Retry = &standard
		return
	}
	r.Retry.fill(path+".retry", given)
}

func (s *Service) fill(path string, given func(string) bool) {
	if s.Policy == "" {
		s.Policy = picker.DefaultPolicy
	}
	orDefault(&s.SlowStart, 10*time.Second, given(path+".slowStart"))
	orDefault(&s.Spread, picker.DefaultSpread, given(path+".spread"))
	fillLimits(path, s.RateLimits, given)
	s.Ejection.fill(path+".ejection", given)
	s.RetryBudget.fill(path+".retryBudget", given)
	orDefault(&s.PanicThreshold, picker.DefaultPanic, given(path+".panicThreshold"))
	orDefault(&s.ZoneSpillover, picker.DefaultSpillover, given(path+".zoneSpillover"))
	orDefault(&s.CrossZoneCost, 1, given(path+".crossZoneCost"))
	if s.Discovery != nil {
		s.Discovery.fill(path+".discovery", given)
	}
	for j := range s.Instances {
		orDefault(&s.Instances[j].Weight, 1, given(fmt.Sprintf("%s.instances[%d].weight", path, j)))
	}
	if s.Concurrency != nil {
		s.Concurrency.fill(path+".concurrency", given)
	}
	if s.HealthCheck != nil {
		s.HealthCheck.fill(path+".healthCheck", given)
	}
	if s.LoadReports != nil {
		s.LoadReports.fill(path+".loadReports", given)
	}
}

// orDefault sets *v to standard if the document does not set it.
func orDefault[T comparable](v *T, standard T, given bool) {
	var zero T
	if *v == zero && !given {
		*v = standard
	}
}
