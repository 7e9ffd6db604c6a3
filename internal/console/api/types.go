package api

import (
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// Node is who answers.
type Node struct {
	Node       string            `json:"node"`
	Version    string            `json:"version"`
	Roles      []string          `json:"roles"`
	StartedAt  time.Time         `json:"startedAt"`
	Demo       bool              `json:"demo"`
	Listeners  map[string]string `json:"listeners"` // name -> address
	Kafka      KafkaState        `json:"kafka"`
	Config     ConfigState       `json:"config"`
	Drops      map[string]uint64 `json:"drops"` // what was lost, by queue
	AdminURL   string            `json:"adminUrl,omitempty"`
	ConsoleURL string            `json:"consoleUrl,omitempty"`
}

// KafkaState is how the node stands with Kafka.
type KafkaState struct {
	Enabled   bool     `json:"enabled"`
	Connected bool     `json:"connected"`
	Brokers   []string `json:"brokers"`
}

// ConfigState is how the node stands with the configuration.
type ConfigState struct {
	State           string           `json:"state"` // applied, refused, lkg, none
	Revision        string           `json:"revision"`
	Current         string           `json:"current"`
	RefusedRevision string           `json:"refusedRevision,omitempty"`
	Errors          []string         `json:"errors"`
	LostLog         bool             `json:"lostLog"`
	Overrides       []event.Override `json:"overrides"`
}

// Overview is one moment of the node: what the live page shows.
type Overview struct {
	At       time.Time `json:"at"`
	Tick     uint64    `json:"tick,omitempty"` // number of the newest second in the histories
	Node     Node      `json:"node"`
	Services []Service `json:"services"`
	Alerts   []Alert   `json:"alerts"` // pending and firing
}

// Service with its instances. Rates are over the last ten seconds.
type Service struct {
	ID          string     `json:"id"`
	Policy      string     `json:"policy"`
	Panic       bool       `json:"panic"`
	HealthCheck string     `json:"healthCheck,omitempty"`
	Rate        float64    `json:"rate"` // requests per second
	ErrorRate   float64    `json:"errorRate"`
	MedianMs    float64    `json:"medianMs"` // work-normalised latency, 0 unknown
	Active      int64      `json:"active"`
	Instances   []Instance `json:"instances"`
}

// Instance as the proxy sees it.
type Instance struct {
	ID        string            `json:"id"`
	Address   string            `json:"address"`
	Tags      map[string]string `json:"tags,omitempty"`
	State     string            `json:"state"`     // in, draining, unhealthy, reported-unhealthy, ejected
	Condition string            `json:"condition"` // see Condition
	Failures  uint32            `json:"failures"`  // in a row, until a success
	FailedFor time.Duration     `json:"-"`         // since the last of them
	Since     time.Time         `json:"since,omitzero"`
	Until     time.Time         `json:"until,omitzero"` // of an ejection
	Ejections int               `json:"ejections"`
	Share     float64           `json:"share"`     // of the service's requests, 0..1
	FairShare float64           `json:"fairShare"` // by weight among all instances, 0..1
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
	Facts     *Facts            `json:"facts"` // null: nothing known through Kafka
	Probe     *Probe            `json:"probe"`
	DemoFault *Fault            `json:"demoFault,omitempty"`
}

// Cost is what a request to the instance would cost now, and its parts.
type Cost struct {
	Total         float64 `json:"total"`
	LatencyFactor float64 `json:"latencyFactor"`
	ErrorFactor   float64 `json:"errorFactor"`
	Error         float64 `json:"error"`   // the estimate behind it
	Silence       float64 `json:"silence"` // factor of answers that are overdue
	InFlight      int64   `json:"inFlight"`
	Capacity      float64 `json:"capacity"`
	Veto          float64 `json:"veto"`
	SlowStart     float64 `json:"slowStart"`
	LatencyMs     float64 `json:"latencyMs"`
}

// Facts is what came through Kafka.
type Facts struct {
	Score       float64           `json:"score"`
	Known       bool              `json:"known"` // false: no requests in the last 30 s, the score says nothing
	State       string            `json:"state"`
	Reasons     []string          `json:"reasons"`
	AgeMs       float64           `json:"ageMs"`
	Trust       float64           `json:"trust"`
	Capacity    *float64          `json:"capacity"`
	ErrorRate   *float64          `json:"errorRate"`
	Utilization *float64          `json:"utilization"`
	P95Ms       *float64          `json:"p95Ms"`
	Ignored     map[string]uint64 `json:"ignored"`
}

// Probe is the last active check.
type Probe struct {
	State  string    `json:"state"` // passing, failing
	At     time.Time `json:"at"`
	OK     bool      `json:"ok"`
	Status int       `json:"status,omitempty"`
	Body   string    `json:"body,omitempty"`
	TookMs float64   `json:"tookMs"`
}

// Alert is event.Alert with the silence that holds for it.
type Alert struct {
	event.Alert
	Silence *Silence `json:"silence,omitempty"`
}

// Explanation is an instance's share in words.
type Explanation struct {
	Service  string    `json:"service"`
	Instance string    `json:"instance"`
	At       time.Time `json:"at"`
	Lines    []string  `json:"lines"`
	Detail   Instance  `json:"detail"`
}

// Fault is what a demo instance was told to do wrong.
type Fault struct {
	ErrorRate float64 `json:"errorRate"`           // 0..1
	LatencyMs float64 `json:"latencyMs,omitempty"` // 0: as before
}

// Me is who calls and what they may do here.
type Me struct {
	User     string `json:"user"`
	Role     string `json:"role"`     // viewer, operator, admin
	ReadOnly bool   `json:"readOnly"` // nothing can be changed through this server
	Local    bool   `json:"local"`    // nobody is asked who they are
}

// LoginMethods says how one can log in.
type LoginMethods struct {
	Password bool   `json:"password"`
	Issuer   string `json:"issuer"` // of OpenID Connect; empty: none
}

// Problem is the body of every error.
type Problem struct {
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
}
