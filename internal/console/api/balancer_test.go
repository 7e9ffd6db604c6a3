package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/audit"
	"github.com/smartlb/smartlb/internal/telemetry/journal"
)

// balancerCalls are the calls of the balancer's own views.
var balancerCalls = []apiCall{
	{"GET", "/api/v1/instances/{instance}/past", "/api/v1/instances/a/past?service=s", ""},
	{"GET", "/api/v1/alerts", "/api/v1/alerts", ""},
	{"GET", "/api/v1/alerts", "/api/v1/alerts?past=true", ""},
	{"GET", "/api/v1/alerts/receivers", "/api/v1/alerts/receivers", ""},
	{"POST", "/api/v1/alerts/receivers/{receiver}/test", "/api/v1/alerts/receivers/ops/test", "{}"},
	{"GET", "/api/v1/silences", "/api/v1/silences", ""},
	{"POST", "/api/v1/silences", "/api/v1/silences", `{"ruleId":"panic","durationMs":60000,"reason":"known"}`},
	{"DELETE", "/api/v1/silences/{silence}", "/api/v1/silences/x1", ""},
	{"GET", "/api/v1/audit", "/api/v1/audit?last=5&actor=kim&since=2026-03-01T12:00:00Z", ""},
	{"GET", "/api/v1/audit/verify", "/api/v1/audit/verify", ""},
	{"GET", "/api/v1/decisions", "/api/v1/decisions?last=5&outcome=failed", ""},
	{"GET", "/api/v1/decisions/{request}", "/api/v1/decisions/r1?span=2h", ""},
	{"GET", "/api/v1/requests", "/api/v1/requests?last=5&outcome=failed&text=x", ""},
	{"GET", "/api/v1/config", "/api/v1/config", ""},
	{"GET", "/api/v1/config/history", "/api/v1/config/history?documents=false", ""},
	{"GET", "/api/v1/config/revisions/{revision}", "/api/v1/config/revisions/1-a", ""},
	{"GET", "/api/v1/config/diff", "/api/v1/config/diff?from=1-a", ""},
	{"POST", "/api/v1/config/check", "/api/v1/config/check", `{"document":"routes: [{name: 5}]"}`},
	{"POST", "/api/v1/config/route", "/api/v1/config/route", `{"method":"GET","url":"https://shop.example.com/users","headers":["X-Canary: yes"],"client":"10.0.0.7","listener":"web","at":"2026-12-24T22:30:00+01:00"}`},
	{"POST", "/api/v1/config/revisions", "/api/v1/config/revisions", `{"document":"routes: []\n# new\n","base":"2-b","comment":"why"}`},
	{"POST", "/api/v1/config/revisions", "/api/v1/config/revisions?dryRun=true", `{"document":"routes: []\n# new\n","base":"2-b"}`},
	{"POST", "/api/v1/config/revisions/{revision}/rollback", "/api/v1/config/revisions/1-a/rollback", `{}`},
	{"POST", "/api/v1/config/revisions/{revision}/rollback", "/api/v1/config/revisions/1-a/rollback?dryRun=true", `{"base":"2-b"}`},
	{"GET", "/api/v1/demo", "/api/v1/demo", ""},
	{"POST", "/api/v1/demo/load", "/api/v1/demo/load", `{"scale":2}`},
	{"POST", "/api/v1/demo/services/{service}/policy", "/api/v1/demo/services/s/policy", `{"policy":"maglev"}`},
}

func decisionOf(id string) api.Decision {
	return api.Decision{Offset: 7, RoutingDecision: event.RoutingDecision{
		Timestamp: noon, Node: "n1", Kind: event.KindDecision, RequestID: id, ServiceID: "s", Route: "r", Policy: "adaptive", ConfigRevision: "1-a", PoolRevision: 9, Panic: true,
		Attempt: 2, Why: event.WhyRetry, InstanceID: "a", Reason: "lowest-cost",
		Candidates: []event.Candidate{{InstanceID: "a", Cost: 1.5, LatencyMs: event.Some(3), LatencyFactor: 1, FleetErrorRate: event.Some(.1), Capacity: event.Some(1), Weight: 1, SlowStart: 1, Silence: 1, Trust: 1, AgeMs: event.Some(5)}, {InstanceID: "b"}},
		Excluded:   []event.Exclusion{{InstanceID: "c", Reason: "ejected", Until: noon}, {InstanceID: "d", Reason: "draining"}},
		Outcome:    event.Outcome{Status: 503, Failure: "timeout", Sent: true, HeadMs: event.Some(1), TotalMs: event.Some(2), Retried: true},
	}}
}

func requestOf(target string) api.LoggedRequest {
	return api.LoggedRequest{Partition: 1, Offset: 8, AccessLog: event.AccessLog{
		Timestamp: noon, Node: "n1", RequestID: "r1", Client: "192.0.2.1", Listener: "web", Protocol: "HTTP/1.1", Method: "GET", Host: "h", Target: target, Status: 503, BytesIn: 1, BytesOut: 2,
		DurationMs: event.Some(1.5), Route: "r", ServiceID: "s", InstanceID: "a", Attempts: 2, User: "ann", QueueMs: event.Some(2), Retried: []string{"503"}, Hedge: "won", Failure: "timeout", Why: "retry",
	}}
}

func changeOf() api.Decision {
	return api.Decision{RoutingDecision: event.RoutingDecision{
		Timestamp: noon, Node: "n1", Kind: event.KindChange, ServiceID: "s", Why: event.WhyEjection,
		Change: event.StandingChange{InstanceID: "a", From: "in", To: "ejected", Reason: "5 failures", Until: noon},
	}}
}

// folded is a log with two revisions, an override and a silence.
func folded() configlog.State {
	return configlog.State{
		Revision: "2-b", Document: "routes: []\n", Overrides: []event.Override{{ServiceID: "s", InstanceID: "a", Action: event.ActionDrain}}, Silences: []configlog.Silence{silence()},
		History: []configlog.Entry{
			{Offset: 0, ChangeID: "c", Timestamp: noon, Kind: event.KindRevision, Revision: "1-a", Result: configlog.ResultSuperseded, Document: "routes: []\nservices: []\n"},
			{Offset: 1, ChangeID: "d", Timestamp: noon, Kind: event.KindRevision, Revision: "2-b", Base: "1-a", Result: configlog.ResultCurrent, Document: "routes: []\n"},
			{Offset: 2, ChangeID: "e", Timestamp: noon, Kind: event.KindSilence, Result: configlog.ResultSilence, Summary: "silence"},
			{Offset: 3, ChangeID: "f", Timestamp: noon, Kind: event.KindRevision, Revision: "0-z", Result: configlog.ResultSuperseded},
		},
	}
}

// followed gives its batches one after the other.
type followed[T any] struct {
	mu      sync.Mutex
	batches [][]T
	skipped int
	away    bool
	closed  bool
}

func (f *followed[T]) Take() ([]T, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.batches) == 0 {
		return nil, 0
	}
	b := f.batches[0]
	f.batches = f.batches[1:]
	return b, f.skipped
}

func (f *followed[T]) Connected() bool { f.mu.Lock(); defer f.mu.Unlock(); return !f.away }
func (f *followed[T]) Close()          { f.mu.Lock(); defer f.mu.Unlock(); f.closed = true }

// balancer are the sources of the balancer's own views.
func balancer() api.Balancer {
	return api.Balancer{
		Past: func(_ context.Context, service, id string) (api.Past, error) {
			if id != "a" {
				return api.Past{}, problem.Errorf(problem.NotFound, "there is no instance %q", id)
			}
			cost := instance("a").Cost
			return api.Past{
				Service: service, Instance: id, At: noon,
				Seconds:   []api.Second{{At: noon, State: "in"}, {At: noon, State: "ejected", Requests: 3, Errors: 1, Share: .3, FairShare: .25, Weight: 1, Cost: &cost}},
				Probes:    []api.Checked{{At: noon, TookMs: 1.5, OK: true, Status: 200}, {At: noon, Event: true, Detail: "connection refused"}},
				Standings: []api.Stood{{At: noon, From: "in", To: "ejected", Until: noon}, {At: noon, From: "ejected", To: "in", Reason: "over"}},
				Reports:   []api.Reported{{Sender: "proxy/n2", Status: event.StatusHealthy, AgeMs: 12, Holds: true}},
			}, nil
		},
		Decisions: func(_ context.Context, _ int, _ journal.Filter) ([]api.Decision, error) {
			return []api.Decision{decisionOf("r1"), changeOf()}, nil
		},
		FollowDecisions: func(int, journal.Filter) api.Follower[api.Decision] {
			return &followed[api.Decision]{batches: [][]api.Decision{{decisionOf("r1")}}}
		},
		Requests: func(_ context.Context, _ int, _ journal.RequestFilter) ([]api.LoggedRequest, error) {
			return []api.LoggedRequest{requestOf("/a?b"), {AccessLog: event.AccessLog{Timestamp: noon, Node: "n1"}}}, nil
		},
		FollowRequests: func(int, journal.RequestFilter) api.Follower[api.LoggedRequest] {
			return &followed[api.LoggedRequest]{batches: [][]api.LoggedRequest{{requestOf("/a?b")}}}
		},
		FindRequest: func(_ context.Context, request string, _ time.Duration, progress func(journal.Search)) (journal.Search, error) {
			s := journal.Search{Scanned: 5, Total: 10, From: noon, Decisions: []api.Decision{}}
			progress(s)
			if request == "r1" {
				s.Decisions = append(s.Decisions, decisionOf("r1"))
			}
			s.Scanned, s.Done = 10, true
			return s, nil
		},
		Configuration: func(context.Context) (configlog.State, error) { return folded(), nil },
		Nodes: func(context.Context) ([]event.NodeStatus, error) {
			return []event.NodeStatus{
				{Node: "n1", Timestamp: noon, Revision: "1-a", ConfigState: event.ConfigRefused, RefusedRevision: "2-b", Errors: []string{"no"}, LostLog: true, AdminURL: "http://127.0.0.1:1", Version: "v"},
				{Node: "analyzer", Timestamp: noon, ConfigState: event.ConfigNone},
			}, nil
		},
		Publish: func(_ context.Context, c configlog.Change) (string, error) {
			if c.Comment == "late" {
				return "3-c", fmt.Errorf("%w: 3-d", configlog.ErrLost)
			}
			return "3-c", nil
		},
		Receivers: func(context.Context) (api.AlertReceivers, error) {
			return api.AlertReceivers{Node: "n1", Sends: true, Sender: "n1", Receivers: []api.AlertReceiver{
				{Name: "ops", Type: "slack", Target: "${env:SLACK}", MinSeverity: "info", SendResolved: true, State: api.ReceiverFailing, Alerts: 1, Delivered: 2, Failed: 3, Dropped: 4, Missed: 5, LastDelivered: noon, FailingSince: noon, Error: "it answered 503", NextAttempt: noon},
				{Name: "mail", Type: "smtp", Target: "mail:587", MinSeverity: "critical", State: api.ReceiverUnused},
			}}, nil
		},
		TestReceiver: func(_ context.Context, name string) error {
			switch name {
			case "ops":
				return nil
			case "down":
				return problem.New(problem.Unavailable, errors.New("receiver down did not take the message: connection refused"), "")
			}
			return problem.Errorf(problem.NotFound, "there is no receiver %s", name)
		},
		Alerts: func(_ context.Context, past bool) ([]api.Alert, error) {
			if past {
				return []api.Alert{alert(), bareAlert()}, nil
			}
			return []api.Alert{alert()}, nil
		},
		Silence: func(_ context.Context, _ event.Silence, _, _ string) (string, error) { return "x2", nil },
		Records: func(context.Context, int, journal.RecordFilter) ([]api.Record, error) {
			return []api.Record{
				{Offset: 3, AuditLog: event.AuditLog{AuditID: "i", Timestamp: noon, Node: "n", Seq: 4, Actor: event.Actor{Type: "user", ID: "kim"}, Action: "drain.instance", Target: event.Target{Kind: "instance", ID: "s/a"},
					Result: event.ResultDenied, Reason: "no", Before: json.RawMessage(`{"a":1}`), After: json.RawMessage(`null`), ConfigRevision: "1-a", Prev: strings.Repeat("0f", 32)}},
				{AuditLog: event.AuditLog{AuditID: "i", Timestamp: noon, Node: "n", Actor: event.Actor{Type: "system"}, Action: "start.node", Result: event.ResultSuccess}},
			}, nil
		},
		VerifyAudit: func(context.Context) (audit.Result, error) {
			return audit.Result{State: audit.Gap, Authenticity: audit.Unproven, Chains: []audit.Chain{{Node: "n", State: audit.Gap, Records: 3, Begins: 1, FirstSeq: 1, LastSeq: 9, From: noon, To: noon,
				Breaks: []audit.Break{{State: audit.Gap, FromSeq: 4, ToSeq: 5, At: noon, Text: "2 records are missing"}}}}}, nil
		},
		Demo: func(context.Context) (api.DemoState, error) {
			return api.DemoState{Load: api.DemoLoad{Scale: 1, Rate: 20}, Policies: []string{"adaptive", "maglev"},
				Services: []api.DemoService{{ID: "s", Policy: "adaptive", Instances: []api.DemoInstance{{ID: "a", Fault: &api.Fault{ErrorRate: 1}}, {ID: "b"}}}}}, nil
		},
		SetLoad:   func(context.Context, float64) error { return nil },
		SetPolicy: func(context.Context, string, string, string) error { return nil },
	}
}

func TestWhatTheBalancersCallsRefuse(t *testing.T) {
	d := describe(t)
	away := full()
	away.Decisions = func(context.Context, int, journal.Filter) ([]api.Decision, error) { return nil, journal.ErrAway }
	readOnly := full()
	readOnly.ReadOnly = true
	for _, c := range []struct {
		what, method, target, body string
		want                       int
		src                        api.Sources
	}{
		{"too many decisions", "GET", "/api/v1/decisions?last=100000", "", 400, full()},
		{"a number that is none", "GET", "/api/v1/decisions?last=x", "", 400, full()},
		{"Kafka is away", "GET", "/api/v1/decisions", "", 503, away},
		{"too many requests", "GET", "/api/v1/requests?last=1001", "", 400, full()},
		{"requests without Kafka", "GET", "/api/v1/requests/events", "", 404, api.Sources{}},
		{"an unknown request", "GET", "/api/v1/decisions/nobody", "", 404, full()},
		{"a span that is none", "GET", "/api/v1/decisions/r1?span=yesterday", "", 400, full()},
		{"a span of years", "GET", "/api/v1/decisions/r1/events?span=90000h", "", 400, full()},
		{"no request", "POST", "/api/v1/config/route", `{"method":"GET","url":"shop"}`, 400, full()},
		{"a request that a proxy refuses", "POST", "/api/v1/config/route", `{"method":"GET","url":"/%zz"}`, 400, full()},
		{"no address", "POST", "/api/v1/config/route", `{"method":"GET","url":"/","client":"shop"}`, 400, full()},
		{"an unknown revision", "GET", "/api/v1/config/revisions/1-b", "", 404, full()},
		{"a comparison with nothing", "GET", "/api/v1/config/diff", "", 400, full()},
		{"a document that is too far back", "GET", "/api/v1/config/diff?from=0-z", "", 404, full()},
		{"a document with mistakes", "POST", "/api/v1/config/revisions", `{"document":"routes: [{}]","base":"2-b"}`, 400, full()},
		{"an empty document", "POST", "/api/v1/config/revisions?dryRun=true", `{"document":" ","base":"2-b"}`, 400, full()},
		{"another base", "POST", "/api/v1/config/revisions", `{"document":"routes: []","base":"1-a"}`, 409, full()},
		{"nothing new", "POST", "/api/v1/config/revisions", `{"document":"routes: []\n","base":"2-b"}`, 409, full()},
		{"somebody was first", "POST", "/api/v1/config/revisions", `{"document":"routes: []\n#\n","base":"2-b","comment":"late"}`, 409, full()},
		{"a long comment", "POST", "/api/v1/config/revisions", `{"document":"routes: []\n#\n","base":"2-b","comment":"` + strings.Repeat("x", 1001) + `"}`, 400, full()},
		{"read-only", "POST", "/api/v1/config/revisions", `{"document":"routes: []\n#\n","base":"2-b"}`, 403, readOnly},
		{"rollback to nothing", "POST", "/api/v1/config/revisions/9-x/rollback", `{}`, 404, full()},
		{"a silence of everything", "POST", "/api/v1/silences", `{"durationMs":60000}`, 400, full()},
		{"a silence for ever", "POST", "/api/v1/silences", `{"ruleId":"r","durationMs":1e15}`, 400, full()},
		{"a silence for no time", "POST", "/api/v1/silences", `{"ruleId":"r","durationMs":0}`, 400, full()},
		{"a silence of a rule with a long name", "POST", "/api/v1/silences", `{"ruleId":"` + strings.Repeat("r", 2000) + `","durationMs":60000}`, 400, full()},
		{"an unknown receiver", "POST", "/api/v1/alerts/receivers/nobody/test", `{}`, 404, full()},
		{"a receiver that is down", "POST", "/api/v1/alerts/receivers/down/test", `{}`, 503, full()},
		{"an unknown silence", "DELETE", "/api/v1/silences/nobody", "", 404, full()},
		{"a time that is none", "GET", "/api/v1/audit?since=noon", "", 400, full()},
		{"a load that breaks the machine", "POST", "/api/v1/demo/load", `{"scale":1e9}`, 400, full()},
		{"no load", "POST", "/api/v1/demo/load", `{}`, 400, full()},
		{"an unknown policy", "POST", "/api/v1/demo/services/s/policy", `{"policy":"magic"}`, 400, full()},
		{"an unknown service", "POST", "/api/v1/demo/services/z/policy", `{"policy":"maglev"}`, 404, full()},
	} {
		status, h, body := call(c.src, c.method, c.target, c.body)
		if status != c.want || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d, want %d: %s", c.what, status, c.want, body)
		}
		d.check("/components/schemas/Problem", body)
	}
}

// What was changed is in the audit log with what it was before.
func TestChangesOfTheBalancerAreAudited(t *testing.T) {
	for target, want := range map[string]struct{ method, body, action, id, before, after string }{
		"/api/v1/config/revisions":              {"POST", `{"document":"routes: []\n# new\n","base":"2-b"}`, "publish.config", "3-c", `{"revision":"2-b"}`, `{"adopt":false,"base":"2-b","comment":"","lines":["+# new"]}`},
		"/api/v1/config/revisions/1-a/rollback": {"POST", `{}`, "rollback.config", "3-c", `{"revision":"2-b"}`, `{"adopt":false,"base":"2-b","comment":"rollback to 1-a","lines":["+services: []"]}`},
		"/api/v1/demo/services/s/policy":        {"POST", `{"policy":"maglev"}`, "policy.service", "s", `{"policy":"adaptive"}`, `{"policy":"maglev"}`},
	} {
		src := full()
		var got []event.AuditLog
		src.Audit = func(a event.AuditLog) { got = append(got, a) }
		if status, _, body := call(src, want.method, target, want.body); status != 200 {
			t.Errorf("%s: %d %s", target, status, body)
		}
		if len(got) != 1 || got[0].Action != want.action || got[0].Target.ID != want.id || string(got[0].Before) != want.before || string(got[0].After) != want.after {
			t.Errorf("%s: %+v", target, got)
			for _, a := range got {
				t.Errorf("before %s after %s", a.Before, a.After)
			}
		}
		if status, _, _ := call(src, want.method, target+"?dryRun=true", want.body); strings.Contains(target, "config") && (status != 200 || len(got) != 1) {
			t.Errorf("a preview of %s: %d, %d audit records", target, status, len(got))
		}
	}
}

// The column "Why" of the audit log was always empty: what a person said about
// a change was published with it and never reached the record.
func TestAuditRecordsSayWhyAChangeWasMade(t *testing.T) {
	for name, row := range map[string]struct{ method, target, body, want string }{
		"a drain":         {"POST", "/api/v1/services/s/instances/a/override", `{"action":"drain","reason":"disk is full"}`, "disk is full"},
		"a weight":        {"POST", "/api/v1/services/s/instances/a/override", `{"action":"weight","weight":2,"reason":"bigger"}`, "bigger"},
		"a drain without": {"POST", "/api/v1/services/s/instances/a/override", `{"action":"drain"}`, ""},
		"a silence":       {"POST", "/api/v1/silences", `{"ruleId":"panic","durationMs":60000,"reason":"known, ticket 12"}`, "known, ticket 12"},
		"a revision":      {"POST", "/api/v1/config/revisions", `{"document":"routes: []\n# new\n","base":"2-b","comment":"canary of 5 %"}`, "canary of 5 %"},
		"a rollback":      {"POST", "/api/v1/config/revisions/1-a/rollback", `{"comment":"errors"}`, "rollback to 1-a errors"},
	} {
		src := full()
		var got []event.AuditLog
		src.Audit = func(a event.AuditLog) { got = append(got, a) }
		src.Override = func(_ context.Context, _ event.Override, _, reason string) (configlog.Applied, error) {
			if reason != row.want {
				t.Errorf("%s: %q is published", name, reason)
			}
			return configlog.Applied{Published: true}, nil
		}
		_, _, body := call(src, row.method, row.target, row.body)
		if len(got) != 1 || got[0].Reason != row.want || got[0].Result != event.ResultSuccess {
			t.Errorf("%s: %+v, answer %s", name, got, body)
		}
	}
	src := full()
	var got []event.AuditLog
	src.Audit = func(a event.AuditLog) { got = append(got, a) }
	src.Override = func(context.Context, event.Override, string, string) (configlog.Applied, error) {
		return configlog.Applied{}, errors.New("no broker")
	}
	call(src, "POST", "/api/v1/services/s/instances/a/override", `{"action":"drain","reason":"disk is full"}`)
	if len(got) != 1 || got[0].Result != event.ResultError || got[0].Reason != "no broker (disk is full)" {
		t.Errorf("a drain that failed: %+v", got)
	}
	if status, _, _ := call(full(), "POST", "/api/v1/services/s/instances/a/override", `{"action":"drain","reason":"`+strings.Repeat("x", 1001)+`"}`); status != 400 {
		t.Errorf("a reason without bound: %d", status)
	}
}

func TestDecisionsAreSentAsTheyComeAndASearchSaysHowFarItIs(t *testing.T) {
	d := describe(t)
	synctest.Test(t, func(t *testing.T) {
		src := full()
		f := &followed[api.Decision]{batches: [][]api.Decision{{decisionOf("r1")}, nil, {changeOf()}}, skipped: 3}
		src.FollowDecisions = func(limit int, filter journal.Filter) api.Follower[api.Decision] {
			if filter.Service != "s" || filter.Outcome != "5xx" || limit != 50 {
				t.Errorf("filter %+v, limit %d", filter, limit)
			}
			return f
		}
		r, stop := stream(src, "/api/v1/decisions/events?service=s&outcome=5xx")
		time.Sleep(12 * time.Second)
		f.mu.Lock()
		f.away = true
		f.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		stop()
		var shown int
		var connected []bool
		for _, e := range r.events(t) {
			d.event("/api/v1/decisions/events", e.name, []byte(e.data))
			var b api.Decisions
			if err := json.Unmarshal([]byte(e.data), &b); err != nil {
				t.Error(err)
			}
			shown += len(b.Decisions)
			connected = append(connected, b.Connected)
		}
		if shown != 2 || !f.closed || len(connected) != 6 || connected[4] != true || connected[5] != false { // three with something to say, two to be heard from, one because Kafka is away
			t.Errorf("%d shown, connected %v, closed %v", shown, connected, f.closed)
		}
		r, stop = stream(src, "/api/v1/decisions/r1/events")
		synctest.Wait()
		stop()
		var names []string
		for _, e := range r.events(t) {
			d.event("/api/v1/decisions/{request}/events", e.name, []byte(e.data))
			names = append(names, e.name)
		}
		if len(names) != 2 {
			t.Errorf("events %v", names)
		}
		src.FindRequest = func(context.Context, string, time.Duration, func(journal.Search)) (journal.Search, error) {
			return journal.Search{}, errors.New("no broker")
		}
		r, stop = stream(src, "/api/v1/decisions/r1/events")
		synctest.Wait()
		stop()
		if e := r.events(t); len(e) != 1 || e[0].name != "problem" || r.status != http.StatusOK {
			t.Errorf("events %v", e)
		}
	})
}

func TestRequestsAreSentAsTheyCome(t *testing.T) {
	d := describe(t)
	synctest.Test(t, func(t *testing.T) {
		src := full()
		f := &followed[api.LoggedRequest]{batches: [][]api.LoggedRequest{{requestOf("/a")}, nil, {requestOf("/b"), requestOf("/c")}}, skipped: 3}
		src.FollowRequests = func(limit int, filter journal.RequestFilter) api.Follower[api.LoggedRequest] {
			want := journal.RequestFilter{Service: "s", Instance: "i", Route: "r", Method: "GET", Node: "n", Outcome: "5xx", Text: "a b"}
			if filter != want || limit != 50 {
				t.Errorf("filter %+v, limit %d", filter, limit)
			}
			return f
		}
		r, stop := stream(src, "/api/v1/requests/events?service=s&instance=i&route=r&method=GET&node=n&outcome=5xx&text=a+b")
		time.Sleep(7 * time.Second)
		synctest.Wait()
		stop()
		var targets []string
		events := r.events(t)
		for _, e := range events {
			d.event("/api/v1/requests/events", e.name, []byte(e.data))
			var b api.LoggedRequests
			if err := json.Unmarshal([]byte(e.data), &b); err != nil || !b.Connected {
				t.Errorf("%v, %+v", err, b)
			}
			for _, q := range b.Requests {
				targets = append(targets, q.Target)
			}
		}
		if strings.Join(targets, " ") != "/a /b /c" || !f.closed || len(events) != 4 { // three with something to say, one to be heard from
			t.Errorf("%v in %d events, closed %v", targets, len(events), f.closed)
		}
	})
}
