package journal

import (
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Request is one message of access-logs with its position in the log.
type Request struct {
	event.AccessLog
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

// keepRequests is how many requests of each partition are read for the first user, and how many are kept.
const keepRequests = 2000

// Requests returns the stream of access-logs.
func Requests(cfg Config) *Stream[Request] {
	return newStream(cfg, event.TopicAccessLogs, keepRequests, func(r kafka.Record) (Request, bool) {
		a, err := event.DecodeAccessLog(r.Value)
		return Request{a, r.Partition, r.Offset}, err == nil
	}, func(r *Request) time.Time { return r.Timestamp })
}

// RequestFilter selects requests; empty fields accept all.
type RequestFilter struct {
	Service, Instance, Route string
	Method, Node             string
	Outcome                  string // as in Filter
	Text                     string // part of the target, the host, the client, the user or the request id, ignoring case
}

// Match reports whether the filter selects a request.
func (f RequestFilter) Match(r *Request) bool {
	return (f.Service == "" || r.ServiceID == f.Service) && (f.Instance == "" || r.InstanceID == f.Instance) && (f.Route == "" || r.Route == f.Route) &&
		(f.Method == "" || strings.EqualFold(r.Method, f.Method)) && (f.Node == "" || r.Node == f.Node) &&
		(f.Outcome == "" || outcome(f.Outcome, event.Outcome{Status: int(r.Status), Failure: r.Failure, Retried: len(r.Retried) > 0})) &&
		(f.Text == "" || holds(r.Target, f.Text) || holds(r.Host, f.Text) || holds(r.Client, f.Text) || holds(r.User, f.Text) || holds(r.RequestID, f.Text))
}
