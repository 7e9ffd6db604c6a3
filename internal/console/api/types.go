package api

import (
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// Node is the node that responds.
type Node struct {
	Node       string            `json:"node"`
	Version    string            `json:"version"`
	Roles      []string          `json:"roles"`
	StartedAt  time.Time         `json:"startedAt"`
	Demo       bool              `json:"demo"`
	Listeners  map[string]string `json:"listeners"` // name -> address
	Kafka      KafkaState        `json:"kafka"`
	Config     ConfigState       `json:"config"`
	Drops      map[string]uint64 `json:"drops"` // losses by queue
	AdminURL   string            `json:"adminUrl,omitempty"`
	ConsoleURL string            `json:"consoleUrl,omitempty"`
}

// KafkaState is the node's connection to Kafka.
type KafkaState struct {
	Enabled   bool     `json:"enabled"`
	Connected bool     `json:"connected"`
	Brokers   []string `json:"brokers"`
}

// ConfigState is the state of the configuration on the node.
type ConfigState struct {
	State           string           `json:"state"` // applied, refused, lkg, none
	Revision        string           `json:"revision"`
	Current         string           `json:"current"`
	RefusedRevision string           `json:"refusedRevision,omitempty"`
	Errors          []string         `json:"errors"`
	LostLog         bool             `json:"lostLog"`
	Overrides       []event.Override `json:"overrides"`
}

// Overview is the state of the node at one time; the live page shows it.
type Overview struct {
	At       time.Time `json:"at"`
	Tick     uint64    `json:"tick,omitempty"` // number of the latest second in the histories
	Node     Node      `json:"node"`
	Services []Service `json:"services"`
	Alerts   []Alert   `json:"alerts"` // pending and firing
}

// Service is a service with its instances. Rates cover the last ten seconds.
type Service struct {
	ID          string     `json:"id"`
	Policy      string     `json:"policy"`
	Panic       bool       `json:"panic"`
	HealthCheck string     `json:"healthCheck,omitempty"`
	Insecure    bool       `json:"insecure,omitempty"`
	Rate        float64    `json:"rate"` // requests per second
	ErrorRate   float64    `json:"errorRate"`
	MedianMs    float64    `json:"medianMs"` // work-normalised latency; 0: unknown
	Active      int64      `json:"active"`
	Queue       *Queue     `json:"queue,omitempty"`     // nil: the requests in flight have no limit
	Headroom    *Headroom  `json:"headroom,omitempty"`  // nil: unknown
	Discovery   *Discovery `json:"discovery,omitempty"` // nil: the instances are those of the configuration
	Instances   []Instance `json:"instances"`
}

// Queue is the limit of requests in flight of a service (services[].concurrency), and how many requests wait because of it.
type Queue struct {
	Limit    int  `json:"limit"` // at this moment; 0: no instance is in rotation
	Waiting  int  `json:"waiting"`
	Adaptive bool `json:"adaptive,omitempty"` // the limit follows the latency
}

// Discovery is the state of the sources of a service's instances.
type Discovery struct {
	Sources []DiscoverySource `json:"sources"`
	Held    int               `json:"held"`   // instances that no source lists any more, and that stay because too many left within a minute
	Hidden  int               `json:"hidden"` // targets that the configuration or another source has too
}

// DiscoverySource is one source of instances.
type DiscoverySource struct {
	Source    string    `json:"source"`      // its kind and where it is
	At        time.Time `json:"at,omitzero"` // of the last good answer; zero: none
	Instances int       `json:"instances"`   // in the last good answer
	Saved     bool      `json:"saved,omitempty"`
	Stale     bool      `json:"stale,omitempty"`
	Error     string    `json:"error,omitempty"`   // why the latest attempt failed
	Refused   uint64    `json:"refused,omitempty"` // times that an instance was not permitted to register itself
	Refusal   string    `json:"refusal,omitempty"` // why the latest one was not
}

// Instance is an instance as the proxy sees it.
type Instance struct {
	ID        string            `json:"id"`
	Address   string            `json:"address"`
	Tags      map[string]string `json:"tags,omitempty"`
	Source    string            `json:"source,omitempty"` // what found it; empty: the configuration
	State     string            `json:"state"`            // in, draining, unhealthy, reported-unhealthy, ejected, backup, other-zone
	Condition string            `json:"condition"`        // see Condition
	Failures  uint32            `json:"failures"`         // consecutive failures
	FailedFor time.Duration     `json:"-"`                // time since the latest failure
	Since     time.Time         `json:"since,omitzero"`
	Until     time.Time         `json:"until,omitzero"` // end of an ejection
	Ejections int               `json:"ejections"`
	Share     float64           `json:"share"`     // share of the service's requests, 0..1
	FairShare float64           `json:"fairShare"` // weight divided by the sum of the weights of all instances that do not stand by, 0..1
	Rate      float64           `json:"rate"`
	ErrorRate float64           `json:"errorRate"`
	P50Ms     float64           `json:"p50Ms"`
	P95Ms     float64           `json:"p95Ms"`
	P99Ms     float64           `json:"p99Ms"`
	InFlight  int64             `json:"inFlight"`
	Requests  uint64            `json:"requests"`
	Errors    uint64            `json:"errors"`
	History   []float32         `json:"history"`      // requests per second, oldest first, up to 120
	ErrorHist []float32         `json:"errorHistory"` // errors per second
	Weight    float64           `json:"weight"`
	Cost      Cost              `json:"cost"`
	Facts     *Facts            `json:"facts"` // null: no facts through Kafka
	Probe     *Probe            `json:"probe"`
	DemoFault *Fault            `json:"demoFault,omitempty"`
}

// Cost is the current cost of a request to the instance, and its parts.
type Cost struct {
	Total         float64 `json:"total"`
	LatencyFactor float64 `json:"latencyFactor"`
	ErrorFactor   float64 `json:"errorFactor"`
	Error         float64 `json:"error"`   // the estimate behind ErrorFactor
	Silence       float64 `json:"silence"` // factor for overdue responses
	InFlight      int64   `json:"inFlight"`
	Capacity      float64 `json:"capacity"`
	Veto          float64 `json:"veto"`
	SlowStart     float64 `json:"slowStart"`
	LatencyMs     float64 `json:"latencyMs"`
}

// Facts is the data about an instance that came through Kafka.
type Facts struct {
	Score       float64           `json:"score"`
	Known       bool              `json:"known"` // false: no requests in the last 30 s, ignore the score
	State       string            `json:"state"`
	Reasons     []string          `json:"reasons"`
	AgeMs       float64           `json:"ageMs"`
	Trust       float64           `json:"trust"`
	Capacity    *float64          `json:"capacity"`
	ErrorRate   *float64          `json:"errorRate"`
	Utilization *float64          `json:"utilization"`
	P95Ms       *float64          `json:"p95Ms"`
	Estimate    *Estimate         `json:"-"` // only for Summarize: with 5,000 instances it would double the size of an overview
	Ignored     map[string]uint64 `json:"ignored"`
}

// Probe is the latest active health check.
type Probe struct {
	State  string    `json:"state"` // passing, failing
	At     time.Time `json:"at"`
	OK     bool      `json:"ok"`
	Status int       `json:"status,omitempty"`
	Body   string    `json:"body,omitempty"`
	TookMs float64   `json:"tookMs"`
}

// Alert is an event.Alert with its silence.
type Alert struct {
	event.Alert
	Silence *Silence `json:"silence,omitempty"`
}

// States of a receiver of alerts.
const (
	ReceiverDelivering = "delivering" // the latest attempt succeeded
	ReceiverFailing    = "failing"    // the latest attempt failed
	ReceiverUnused     = "unused"     // this node sends, and had no message for it
	ReceiverUnknown    = "unknown"    // another node sends
)

// AlertReceivers are the receivers of alerts in the configuration of a node.
type AlertReceivers struct {
	Node      string          `json:"node"`             // the node that responds
	Sends     bool            `json:"sends"`            // this node sends alerts
	Sender    string          `json:"sender,omitempty"` // the node that sends; empty: unknown
	Receivers []AlertReceiver `json:"receivers"`
}

// AlertReceiver is one receiver. Counts are those of the node since its start.
type AlertReceiver struct {
	Name          string    `json:"name"`
	Type          string    `json:"type"`
	Target        string    `json:"target"` // without secrets
	MinSeverity   string    `json:"minSeverity"`
	SendResolved  bool      `json:"sendResolved"`
	State         string    `json:"state"`     // delivering, failing, unused, unknown
	Alerts        int       `json:"alerts"`    // alerts that the receiver is to know
	Delivered     uint64    `json:"delivered"` // messages
	Failed        uint64    `json:"failed"`    // attempts
	Dropped       uint64    `json:"dropped"`   // changes of alerts, because there were too many alerts
	Missed        uint64    `json:"missed"`    // alerts that ended before a message about them was delivered
	LastDelivered time.Time `json:"lastDelivered,omitzero"`
	FailingSince  time.Time `json:"failingSince,omitzero"`
	Error         string    `json:"error,omitempty"` // of the latest attempt that failed
	NextAttempt   time.Time `json:"nextAttempt,omitzero"`
}

// Explanation explains an instance's share in sentences.
type Explanation struct {
	Service  string    `json:"service"`
	Instance string    `json:"instance"`
	At       time.Time `json:"at"`
	Lines    []string  `json:"lines"`
	Detail   Instance  `json:"detail"`
}

// Fault is the fault of a demo instance.
type Fault struct {
	ErrorRate float64 `json:"errorRate"`           // 0..1
	LatencyMs float64 `json:"latencyMs,omitempty"` // 0: unchanged
}

// Me is the user of the request and the user's permissions on this server.
type Me struct {
	User     string `json:"user"`
	Role     string `json:"role"`     // viewer, operator, admin
	ReadOnly bool   `json:"readOnly"` // this server refuses all changes
	Local    bool   `json:"local"`    // the listener requires no login
}

// LoginMethods lists the ways to log in.
type LoginMethods struct {
	Password bool   `json:"password"`
	Issuer   string `json:"issuer"` // of OpenID Connect; empty: not configured
}
