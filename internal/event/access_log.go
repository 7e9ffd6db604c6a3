package event

import (
	"reflect"
	"time"
)

// AccessLog is the line of the access log about one request, on topic access-logs, keyed by node. Proxies write it with
// package accesslog. Texts that a request does not have are absent. Bytes above 126 of what clients sent are the
// characters with their numbers.
type AccessLog struct {
	Timestamp  time.Time `json:"timestamp" event:"required"` // end of the request
	Node       string    `json:"node" event:"required"`
	RequestID  string    `json:"requestId,omitempty"`
	Client     string    `json:"client,omitempty"` // address
	Listener   string    `json:"listener,omitempty"`
	Protocol   string    `json:"protocol,omitempty"`
	Method     string    `json:"method,omitempty"`
	Host       string    `json:"host,omitempty"`
	Target     string    `json:"target,omitempty"`
	Status     int64     `json:"status"` // 0: none was sent
	BytesIn    int64     `json:"bytesIn"`
	BytesOut   int64     `json:"bytesOut"`
	DurationMs Optional  `json:"durationMs,omitzero"`
	Route      string    `json:"route,omitempty"`
	ServiceID  string    `json:"serviceId,omitempty"`
	InstanceID string    `json:"instanceId,omitempty"`
	Attempts   int64     `json:"attempts"`
	User       string    `json:"user,omitempty"`
	QueueMs    Optional  `json:"queueMs,omitzero"`
	Retried    []string  `json:"retried,omitempty"` // why each try but the last one was not enough: its failure or its status
	Hedge      string    `json:"hedge,omitempty"`
	Failure    string    `json:"failure,omitempty"`
	Why        string    `json:"why,omitempty"`
}

// Validate reports every rule that the message breaks, each with its field.
func (a AccessLog) Validate() error { return validate(reflect.ValueOf(&a).Elem()) }

// Encode returns the JSON form, or the error of Validate.
func (a AccessLog) Encode() ([]byte, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	return a.AppendJSON(nil), nil
}

// AppendJSON appends the JSON form of a valid message to dst.
func (a AccessLog) AppendJSON(dst []byte) []byte {
	return appendObject(dst, reflect.ValueOf(&a).Elem())
}

// DecodeAccessLog reads a message strictly; the error names every field that breaks a rule.
func DecodeAccessLog(b []byte) (AccessLog, error) {
	var a AccessLog
	if err := decode(b, &a); err != nil {
		return AccessLog{}, err
	}
	return a, nil
}
