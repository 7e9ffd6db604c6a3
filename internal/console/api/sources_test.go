package api_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/records"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func some[T any](v T) *T { return &v }

// instance has every optional field; bare has none.
func instance(id string) api.Instance {
	return api.Instance{
		ID: id, Address: "127.0.0.1:9001", Tags: map[string]string{"region": "eu"}, State: "ejected", Condition: "out", Failures: 5, Since: noon, Until: noon.Add(time.Minute),
		Ejections: 2, Share: .25, FairShare: .5, Rate: 10.5, ErrorRate: 1, P50Ms: 1, P95Ms: 2, P99Ms: 3, InFlight: 4, Requests: 1 << 40, Errors: 7,
		History: []float32{0, 1.5}, ErrorHist: []float32{0, 1}, Weight: 1,
		Cost: api.Cost{Total: 1e12, LatencyFactor: 20, ErrorFactor: 587, Error: .98, Silence: 4, InFlight: 4, Capacity: 1.3, Veto: .4, SlowStart: .1, LatencyMs: 12},
		Facts: &api.Facts{
			Score: .1, State: event.StatusUnhealthy, Reasons: []string{"errors"}, AgeMs: 1200, Trust: .9, Capacity: some(120.0), ErrorRate: some(.5),
			Utilization: some(.97), P95Ms: some(80.0), Estimate: &api.Estimate{Load: some(10.0), Rate: some(90.0), Bound: "cpu", Confidence: "high", Reason: "seen"}, Ignored: map[string]uint64{"late": 3},
		},
		Probe:     &api.Probe{State: "failing", At: noon, Status: 503, Body: "no", TookMs: .8},
		DemoFault: &api.Fault{ErrorRate: 1, LatencyMs: 1},
	}
}

func bare(id string) api.Instance {
	return api.Instance{ID: id, State: "in", Condition: "unknown", History: []float32{}, ErrorHist: []float32{}, Cost: api.Cost{ErrorFactor: 1, Silence: 1}}
}

func node() api.Node {
	return api.Node{
		Node: "n1", Version: "v1", Roles: []string{"proxy", "console"}, StartedAt: noon, Demo: true, Listeners: map[string]string{"web": ":8080"},
		Kafka: api.KafkaState{Enabled: true, Connected: true, Brokers: []string{"localhost:9092"}},
		Config: api.ConfigState{
			State: event.ConfigRefused, Revision: "1-a", Current: "2-b", RefusedRevision: "2-b", Errors: []string{"routes[0]: no"},
			Overrides: []event.Override{
				{ServiceID: "s", InstanceID: "a", Action: event.ActionDrain},
				{ServiceID: "s", InstanceID: "b", Action: event.ActionWeight, Weight: event.Some(3)},
			},
		},
		Drops: map[string]uint64{"decisions": 5}, AdminURL: "http://127.0.0.1:8081", ConsoleURL: "http://127.0.0.1:8083",
	}
}

func emptyNode() api.Node {
	return api.Node{Roles: []string{}, Listeners: map[string]string{}, Kafka: api.KafkaState{Brokers: []string{}},
		Config: api.ConfigState{State: event.ConfigNone, Errors: []string{}, Overrides: []event.Override{}}, Drops: map[string]uint64{}}
}

func alert() api.Alert {
	s := silence()
	return api.Alert{Silence: &s, Alert: event.Alert{
		Fingerprint: "f", AlertID: "f/1", RuleID: "instance-down", Status: event.AlertFiring, Severity: event.SeverityCritical,
		Labels: map[string]string{"service": "s"}, Annotations: event.Annotations{Summary: "a is down"}, Value: event.Some(1), Threshold: event.Some(.5),
		Unit: "ratio", StartsAt: noon, FiredAt: noon, UpdatedAt: noon, Seq: 3,
	}}
}

func bareAlert() api.Alert {
	return api.Alert{Alert: event.Alert{Fingerprint: "g", AlertID: "g/1", RuleID: "panic", Status: "pending", Severity: "info", StartsAt: noon, UpdatedAt: noon}}
}

func silence() api.Silence {
	return api.Silence{
		Silence: event.Silence{ID: "x1", RuleID: "instance-down", Labels: map[string]string{"service": "s"}, EndsAt: time.Now().Add(time.Hour).UTC()},
		Author:  "ann", Reason: "known", Since: noon,
	}
}

func overview() api.Overview {
	return api.Overview{
		At: noon, Node: node(), Alerts: []api.Alert{alert(), bareAlert()},
		Services: []api.Service{
			{ID: "s", Policy: "adaptive", Panic: true, HealthCheck: "http /health", Rate: 20, ErrorRate: .5, MedianMs: 12, Active: 3, Headroom: &api.Headroom{Rate: 40, AtLeast: true}, Instances: []api.Instance{instance("a"), bare("b")}},
			{ID: "t", Policy: "maglev", Instances: []api.Instance{}},
		},
	}
}

func message(offset int64) browse.Message {
	return browse.Message{
		Message:       records.Message{Topic: "alerts", Offset: offset, Timestamp: noon, Key: some("k"), ValueBase64: some("/w=="), Headers: []records.MessageHeader{{Key: "h", Value: some("v")}, {Key: "h"}}},
		TimestampType: "append", LeaderEpoch: 3, Compression: "zstd", KeySize: 1, ValueSize: 1 << 20, HeadersSize: 2, KeyCut: true, ValueCut: true, HeadersCut: true,
		Check: &browse.Check{Errors: []string{"metrics.errorRate: 7 is above 1"}},
	}
}

// tombstone has nothing that need not be there.
func tombstone() browse.Message {
	return browse.Message{Message: records.Message{Topic: "alerts", Timestamp: noon}, TimestampType: "create", Compression: "none"}
}

// messages is a topic as a browser shows it.
type messages struct {
	search func(ctx context.Context, q browse.Query, out browse.Found) (browse.End, error)
	live   func(ctx context.Context, q browse.Query, last int, out func(browse.Live) error, trouble func(error) error) error
}

func (m messages) Search(ctx context.Context, q browse.Query, out browse.Found) (browse.End, error) {
	if m.search != nil {
		return m.search(ctx, q, out)
	}
	if err := errors.Join(out.Progress(browse.Progress{Records: 5, Share: .5, Rate: 10, Next: "0:5"}), out.Matches([]browse.Message{message(1), tombstone()})); err != nil {
		return browse.End{}, err
	}
	return browse.End{Reason: browse.EndLimit, Limit: q.Limit, BudgetBytes: q.Bytes, BudgetMs: q.Time.Milliseconds(), Undecided: 2, UndecidedWhy: "no such key", Notes: []string{"partition 0: offsets 1 to 2 hold no records for readers"}}, nil
}

func (m messages) Live(ctx context.Context, q browse.Query, last int, out func(browse.Live) error, trouble func(error) error) error {
	if m.live != nil {
		return m.live(ctx, q, last, out, trouble)
	}
	if err := out(browse.Live{Messages: []browse.Message{message(0), tombstone()}, Skipped: 7, Read: 9}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func (messages) Message(_ context.Context, _ string, _ int32, offset int64, from, _ int) (browse.Detail, error) {
	switch offset {
	case 404:
		return browse.Detail{}, browse.ErrNoMessage
	case 503:
		return browse.Detail{}, kafka.ErrSilent
	}
	return browse.Detail{Message: message(offset), From: from, Bytes: 3, Masked: true, Batch: &records.BatchInfo{Records: 1, Bytes: 70, Compression: "none", ProducerID: -1}}, nil
}

func (messages) Raw(_ context.Context, _ string, _ int32, offset int64, key bool) ([]byte, error) {
	if offset == 404 {
		return nil, nil
	}
	return []byte("<script>" + fmt.Sprint(key)), nil
}

func (messages) Export(_ context.Context, _ browse.Query, emit func(kafka.Record) error) (browse.End, error) {
	return browse.End{}, emit(kafka.Record{Topic: "alerts", Offset: 1, Timestamp: noon, Key: []byte("<k>")})
}

func (messages) Picked(_ context.Context, _ string, picks browse.Picks, emit func(kafka.Record) error) error {
	for _, o := range picks[0] {
		if o == 500 {
			return errors.New("the broker is gone")
		}
		if err := emit(kafka.Record{Topic: "alerts", Offset: o, Timestamp: noon}); err != nil {
			return err
		}
	}
	return nil
}

func (messages) Produce(_ context.Context, topic string, m browse.NewMessage, dry bool) (browse.Produced, error) {
	if m.Value == nil && m.Key == nil {
		return browse.Produced{}, browse.ErrNotSent
	}
	p := browse.Produced{Topic: topic, KeySize: 1, ValueSize: 2, SHA256: "ab", Check: &browse.Check{Conforms: true, Errors: []string{}}}
	if !dry {
		p.Partition, p.Offset = some(int32(1)), some(int64(5))
	}
	return p, nil
}

func (messages) Redrive(_ context.Context, spec browse.RedriveSpec) (browse.Redrive, error) {
	if spec.Topic == "alerts" {
		return browse.Redrive{}, browse.ErrRedrive
	}
	return browse.Redrive{Letters: 3, Ready: 1, Targets: []browse.RedriveTarget{{Topic: "t", Messages: 1}}, Left: []browse.RedriveLeft{{Reason: "no", Messages: 2, First: "0:1"}}}, nil
}

// full is a node that knows everything.
func full() api.Sources {
	return api.Sources{
		Node:     node,
		Overview: func(context.Context) (api.Overview, error) { return overview(), nil },
		Explain: func(_ context.Context, service, id string) (api.Explanation, error) {
			if id != "a" {
				return api.Explanation{}, problem.Errorf(problem.NotFound, "there is no instance %q", id)
			}
			return api.Explanation{Service: service, Instance: id, At: noon, Lines: []string{"a is ejected."}, Detail: instance("a")}, nil
		},
		Capacity: func(_ context.Context, q api.CapacityQuery) ([]api.Capacity, error) {
			return api.CapacityOf(overview().Services, q)
		},
		Balancer: balancer(),
		Override: func(_ context.Context, o event.Override, _, _ string) (configlog.Applied, error) {
			if o.InstanceID == "unreachable" {
				return configlog.Applied{}, problem.Errorf(problem.Unavailable, "no broker")
			}
			return configlog.Applied{Published: true}, nil
		},
		History: func(context.Context) ([]configlog.Entry, error) {
			return []configlog.Entry{
				{Offset: 0, ChangeID: "c", Timestamp: noon, Author: "me", Kind: event.KindRevision, Revision: "1-a", Base: "", Comment: "first", Result: configlog.ResultCurrent, Document: "routes: []"},
				{Offset: 1, Result: "unreadable", Summary: "not JSON"},
			}, nil
		},
		Topics: topics{}, TopicChanges: topics{}, Cluster: cluster{},
		Groups:   fakeGroups{},
		Messages: messages{},
		Connect:  connectors{},
		Fault: func(_ context.Context, id string, _ *api.Fault) error {
			if id != "a" {
				return problem.Errorf(problem.NotFound, "%q is no demo instance", id)
			}
			return nil
		},
	}
}

// empty is a node that has just started and found nothing.
func empty() api.Sources {
	return api.Sources{
		Node: emptyNode,
		Overview: func(context.Context) (api.Overview, error) {
			return api.Overview{At: noon, Node: emptyNode(), Services: []api.Service{}, Alerts: []api.Alert{}}, nil
		},
		History: func(context.Context) ([]configlog.Entry, error) { return nil, nil },
		Groups:  noGroups{},
		Topics:  topics{bare: true}, TopicChanges: topics{bare: true}, Cluster: cluster{bare: true},
	}
}
