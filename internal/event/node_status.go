package event

import (
	"reflect"
	"time"
)

// Roles of a node.
const (
	RoleProxy     = "proxy"
	RoleAnalyzer  = "analyzer"
	RoleCollector = "collector"
	RoleConsole   = "console"
	RoleBroker    = "broker"
)

// States of a node's configuration.
const (
	ConfigApplied = "applied"
	ConfigRefused = "refused"
	ConfigLKG     = "lkg" // serving the last good configuration from disk
	ConfigNone    = "none"
)

// NodeStatus is the report of a node about itself every 5 s, on topic smartlb-node-status, keyed by node.
type NodeStatus struct {
	Timestamp       time.Time         `json:"timestamp" event:"required"`
	Node            string            `json:"node" event:"required"`
	Roles           []string          `json:"roles" event:"required"`
	Version         string            `json:"version,omitempty"`
	AdminURL        string            `json:"adminUrl,omitempty"`
	ConsoleURL      string            `json:"consoleUrl,omitempty"`
	StartedAt       time.Time         `json:"startedAt,omitzero"`
	Revision        string            `json:"revision,omitempty"`
	ConfigState     string            `json:"configState,omitempty" event:"enum=applied|refused|lkg|none"`
	RefusedRevision string            `json:"refusedRevision,omitempty"`
	Errors          []string          `json:"errors,omitempty"`
	Overrides       []Override        `json:"overrides,omitempty"`
	PanicServices   []string          `json:"panicServices,omitempty"`
	CrowdedServices []string          `json:"crowdedServices,omitempty"` // services for which health-status messages request to take out more instances than permitted
	StaleServices   []string          `json:"staleServices,omitempty"`   // services of which a source of instances has given no good answer for too long
	LostLog         bool              `json:"lostLog,omitempty"`
	RecreatedTopics []string          `json:"recreatedTopics,omitempty"`
	UnsignedTopics  []string          `json:"unsignedTopics,omitempty"`  // topics with recent records that were refused because no known key signed them
	Shortage        string            `json:"shortage,omitempty"`        // what this node lacked within the last 30 s: descriptors, memory, ports, an answer of its name server
	Certificates    []Certificate     `json:"certificates,omitempty"`    // files of TLS with a problem
	RefusedFile     string            `json:"refusedFile,omitempty"`     // first line of the error for which this node refused its changed configuration file
	FailedUpgrade   string            `json:"failedUpgrade,omitempty"`   // why the last upgrade of the binary failed
	SendsAlerts     bool              `json:"sendsAlerts,omitempty"`     // this node sends alerts to the receivers of its configuration
	FailedReceivers []string          `json:"failedReceivers,omitempty"` // receivers of alerts to which its latest attempt failed
	Drops           map[string]uint64 `json:"drops,omitempty"`           // number of lost messages, by queue
}

// Certificate is a problem with a TLS file of a listener or of a service. A file with several problems has an entry for
// each.
type Certificate struct {
	Listener string    `json:"listener,omitempty"`
	Service  string    `json:"service,omitempty"` // whose instances the file is for
	File     string    `json:"file" event:"required,long"`
	Expires  time.Time `json:"expires,omitzero"`  // of a served certificate that expires soon or has expired
	Refused  string    `json:"refused,omitempty"` // why the changed file is not used
	Order    string    `json:"order,omitempty"`   // why the latest order of an automatic certificate failed
	Retry    time.Time `json:"retry,omitzero"`    // when it is ordered again
}

// Validate reports every rule that the message breaks, each with its field.
func (n NodeStatus) Validate() error { return validate(reflect.ValueOf(&n).Elem()) }

// Encode returns the JSON form, or the error of Validate.
func (n NodeStatus) Encode() ([]byte, error) {
	if err := n.Validate(); err != nil {
		return nil, err
	}
	return n.AppendJSON(nil), nil
}

// AppendJSON appends the JSON form of a valid message to dst.
func (n NodeStatus) AppendJSON(dst []byte) []byte {
	return appendObject(dst, reflect.ValueOf(&n).Elem())
}

// DecodeNodeStatus reads a message strictly; the error names every field that breaks a rule.
func DecodeNodeStatus(b []byte) (NodeStatus, error) {
	var n NodeStatus
	if err := decode(b, &n); err != nil {
		return NodeStatus{}, err
	}
	return n, nil
}
