package event

import (
	"reflect"
	"time"
)

// Kinds of config-updates messages.
const (
	KindRevision = "revision"
	KindOverride = "override"
	KindSilence  = "silence"
)

// Actions of an override.
const (
	ActionDrain   = "drain"
	ActionUndrain = "undrain"
	ActionWeight  = "weight"
)

// ConfigUpdate is one change of configuration, on topic config-updates: a whole document, or an override or a silence
// that applies whatever the revision is.
type ConfigUpdate struct {
	ChangeID  string    `json:"changeId" event:"required"`
	Timestamp time.Time `json:"timestamp" event:"required"`
	Author    string    `json:"author,omitempty"`
	Node      string    `json:"node,omitempty"`
	Kind      string    `json:"kind" event:"required,enum=revision|override|silence"`
	Revision  string    `json:"revision,omitempty"` // name of the revision that this message makes
	Base      string    `json:"base,omitempty"`     // revision that it was made from; empty: the first
	Comment   string    `json:"comment,omitempty"`
	Document  string    `json:"document,omitempty"` // the Traffic document, YAML
	SHA256    string    `json:"sha256,omitempty"`   // of the document, lower-case hex
	Adopt     bool      `json:"adopt,omitempty"`    // takes effect whatever its base is, also on nodes that wait after the log was lost
	Override  Override  `json:"override,omitzero"`
	Silence   Silence   `json:"silence,omitzero"`
}

// Override drains one instance, ends that, or sets its weight.
type Override struct {
	ServiceID  string   `json:"serviceId" event:"required"`
	InstanceID string   `json:"instanceId" event:"required"`
	Action     string   `json:"action" event:"required,enum=drain|undrain|weight"`
	Weight     Optional `json:"weight,omitzero" event:"exact"` // with action weight

	EndsAt time.Time `json:"endsAt,omitzero"`  // when it ends by itself; zero: never
	Author string    `json:"author,omitempty"` // in a list of overrides in force: who set it, ...
	Reason string    `json:"reason,omitempty"` // why, ...
	Since  time.Time `json:"since,omitzero"`   // and when; a message says that for itself
}

// Silence says which alerts somebody does not want to be called for until when; the message's author and comment say
// who and why. The newest message of an id counts: one whose end has passed ends the silence.
type Silence struct {
	ID     string            `json:"id" event:"required"`
	RuleID string            `json:"ruleId,omitempty"`
	Labels map[string]string `json:"labels,omitempty"` // all of them must be the alert's
	EndsAt time.Time         `json:"endsAt" event:"required"`
}

// Covers tells whether an alert is one that the silence names; whether it still holds is not asked.
func (s Silence) Covers(a Alert) bool {
	if s.RuleID != "" && s.RuleID != a.RuleID {
		return false
	}
	for k, v := range s.Labels {
		if got, ok := a.Labels[k]; !ok || got != v {
			return false
		}
	}
	return s.RuleID != "" || len(s.Labels) > 0
}

// Validate reports every rule that the message breaks, each with its field.
func (c ConfigUpdate) Validate() error { return validate(reflect.ValueOf(&c).Elem()) }

// Encode returns the JSON form, or what Validate says.
func (c ConfigUpdate) Encode() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c.AppendJSON(nil), nil
}

// AppendJSON appends the JSON form of a valid message to dst.
func (c ConfigUpdate) AppendJSON(dst []byte) []byte {
	return appendObject(dst, reflect.ValueOf(&c).Elem())
}

// DecodeConfigUpdate reads a message strictly; the error names every field that breaks a rule.
func DecodeConfigUpdate(b []byte) (ConfigUpdate, error) {
	var c ConfigUpdate
	if err := decode(b, &c); err != nil {
		return ConfigUpdate{}, err
	}
	return c, nil
}
