package event

import "time"

// States of a node's configuration.
const (
	ConfigApplied = "applied"
	ConfigRefused = "refused"
	ConfigLKG     = "lkg" // serving the last good one from disk
	ConfigNone    = "none"
)

// NodeStatus is what a node says about itself every 5 s, on topic smartlb-node-status, keyed by node.
type NodeStatus struct {
	Timestamp       time.Time         `json:"timestamp" event:"required"`
	Node            string            `json:"node" event:"required"`
	Roles           []string          `json:"roles" event:"required"`
	Version         string            `json:"version,omitempty"`
	AdminURL        string            `json:"adminUrl,omitempty"`
	ConsoleURL      string            `json:"consoleUrl,omitempty"`
	StartedAt       time.Time         `json:"startedAt,omitzero"`
	Revision        string            `json:"revision,omitempty"`
	ConfigState     string            `json:"configState,omitempty"`
	RefusedRevision string            `json:"refusedRevision,omitempty"`
	Errors          []string          `json:"errors,omitempty"`
	Overrides       []Override        `json:"overrides,omitempty"`
	PanicServices   []string          `json:"panicServices,omitempty"`
	LostLog         bool              `json:"lostLog,omitempty"`
	RecreatedTopics []string          `json:"recreatedTopics,omitempty"`
	Drops           map[string]uint64 `json:"drops,omitempty"` // what was lost, by queue
}
