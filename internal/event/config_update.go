package event

import (
	"reflect"
	"time"
)

// Kinds of config-updates messages.
const (
	KindRevision  = "revision"
	KindOverride  = "override"
	KindSilence   = "silence"
	KindChallenge = "challenge"
)

// Actions of an override.
const (
	ActionDrain   = "drain"
	ActionUndrain = "undrain"
	ActionWeight  = "weight"
)

// ConfigUpdate is one change of configuration, on topic config-updates: a whole document, or an override, a silence or
// a challenge. The last three apply whatever the current revision is.
type ConfigUpdate struct {
	ChangeID  string    `json:"changeId" event:"required"`
	Timestamp time.Time `json:"timestamp" event:"required"`
	Author    string    `json:"author,omitempty"`
	Node      string    `json:"node,omitempty"`
	Kind      string    `json:"kind" event:"required,enum=revision|override|silence|challenge"`
	Revision  string    `json:"revision,omitempty"` // name of the new revision
	Base      string    `json:"base,omitempty"`     // revision from which it was made; empty: the first
	Comment   string    `json:"comment,omitempty"`
	Document  string    `json:"document,omitempty"` // the Traffic document, YAML
	SHA256    string    `json:"sha256,omitempty"`   // of the document, lower-case hex
	Adopt     bool      `json:"adopt,omitempty"`    // takes effect whatever its base is, also on nodes that lost the log and wait for an adopted revision
	Override  Override  `json:"override,omitzero"`
	Silence   Silence   `json:"silence,omitzero"`
	Challenge Challenge `json:"challenge,omitzero"`
}

// Override drains one instance, ends the drain, or sets the weight of the instance.
type Override struct {
	ServiceID  string   `json:"serviceId" event:"required"`
	InstanceID string   `json:"instanceId" event:"required"`
	Action     string   `json:"action" event:"required,enum=drain|undrain|weight"`
	Weight     Optional `json:"weight,omitzero" event:"exact"` // with action weight

	EndsAt time.Time `json:"endsAt,omitzero"`  // when it ends automatically; zero: never
	Author string    `json:"author,omitempty"` // in a list of overrides in effect: author of the override
	Reason string    `json:"reason,omitempty"` // in such a list: reason
	Since  time.Time `json:"since,omitzero"`   // in such a list: time; a message has these three itself
}

// Silence names the alerts that need no call to an operator, until its end. Author and comment of the message give
// author and reason. The latest message of an id counts: a message with an end in the past ends the silence.
type Silence struct {
	ID     string            `json:"id" event:"required"`
	RuleID string            `json:"ruleId,omitempty"`
	Labels map[string]string `json:"labels,omitempty"` // the alert must have all of them
	EndsAt time.Time         `json:"endsAt" event:"required"`
}

// Challenge is the answer that an ACME authority expects from a server with a name (RFC 8555 §8). One node orders the
// certificate, and every node may be asked. A later message of the same node and name replaces it; one with an end in the
// past ends it.
type Challenge struct {
	Name             string    `json:"name" event:"required"`
	Type             string    `json:"type" event:"required,enum=http-01|tls-alpn-01"`
	Token            string    `json:"token" event:"required"`
	KeyAuthorization string    `json:"keyAuthorization" event:"required"`
	EndsAt           time.Time `json:"endsAt" event:"required"`
}

// Covers reports whether the silence names an alert. It does not check whether the silence has ended.
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

// Encode returns the JSON form, or the error of Validate.
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
