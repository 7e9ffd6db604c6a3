package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"syscall"
	"testing"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka/connect"
)

// connectCalls belong to calls.
var connectCalls = []apiCall{
	{"GET", "/api/v1/connect", "/api/v1/connect", ""},
	{"GET", "/api/v1/connect/plugins", "/api/v1/connect/plugins", ""},
	{"GET", "/api/v1/connect/connectors/{connector}", "/api/v1/connect/connectors/c", ""},
	{"GET", "/api/v1/connect/connectors/{connector}/offsets", "/api/v1/connect/connectors/c/offsets", ""},
	{"POST", "/api/v1/connect/connectors/{connector}/check", "/api/v1/connect/connectors/c/check", `{"config":{"a":"b"}}`},
	{"PUT", "/api/v1/connect/connectors/{connector}", "/api/v1/connect/connectors/c", `{"config":{"a":"b"}}`},
	{"PUT", "/api/v1/connect/connectors/{connector}", "/api/v1/connect/connectors/c?dryRun=true", `{"config":{"a":"b"},"create":true}`},
	{"POST", "/api/v1/connect/connectors/{connector}/actions", "/api/v1/connect/connectors/c/actions", `{"action":"restart-failed"}`},
	{"DELETE", "/api/v1/connect/connectors/{connector}", "/api/v1/connect/connectors/c", ""},
}

// connectors is a worker with one connector; others fail as their names say.
type connectors struct{}

func (connectors) fail(name string) error {
	switch name {
	case "c", "a/b":
		return nil
	case "busy":
		return fmt.Errorf("connector busy: %w", &connect.Error{Status: 409, Message: "a rebalance is expected"})
	case "none":
		return fmt.Errorf("%w at x: %w", browse.ErrNoConnect, syscall.ECONNREFUSED)
	case "away":
		return fmt.Errorf("%w at x: %w", browse.ErrNoConnect, context.DeadlineExceeded)
	case "broken":
		return &connect.Error{Status: 500, Message: "java.lang.NullPointerException"}
	case "invalid":
		return fmt.Errorf("connector: %w: file: missing", connect.ErrInvalid)
	}
	return &connect.Error{Status: 404, Message: "connector " + name + " does not exist"}
}

func connector(name string) connect.Connector {
	return connect.Connector{Name: name, Type: "source", State: "FAILED", Worker: "w:1", Trace: "t", Class: "C", Tasks: []connect.Task{{ID: 0, State: "FAILED", Worker: "w:1", Trace: "t\n\tat"}, {ID: 1, State: "RUNNING"}},
		Config: map[string]string{"password": connect.Masked}, Topics: []string{"t"}}
}

func (connectors) Connect(context.Context) (browse.Connectors, error) {
	c := connector("c")
	c.Config = nil
	return browse.Connectors{Address: "http://localhost:8084", Version: "3.9.0", Cluster: "id", Connectors: []connect.Connector{c}}, nil
}

func (f connectors) Connector(_ context.Context, name string) (connect.Connector, error) {
	return connector(name), f.fail(name)
}

func (f connectors) ConnectorOffsets(_ context.Context, name string) ([]connect.Offset, error) {
	return []connect.Offset{{Partition: json.RawMessage(`{"file":"x"}`), Offset: json.RawMessage(`null`)}}, f.fail(name)
}

func (connectors) ConnectPlugins(context.Context) ([]connect.Plugin, error) {
	return []connect.Plugin{{Class: "C", Type: "source", Version: "1"}}, nil
}

func (f connectors) CheckConnector(_ context.Context, name string, _ map[string]string) ([]connect.Setting, error) {
	return []connect.Setting{{Name: "a", Type: "INT", Default: some("1"), Recommended: []string{"1"}, Errors: []string{"no"}}}, f.fail(name)
}

func (f connectors) ApplyConnector(_ context.Context, name string, _ map[string]string, create, _ bool) (browse.AppliedConnector, error) {
	done := browse.AppliedConnector{Applied: connect.Applied{Name: name, Result: "updated", Changed: []string{"a"}}, After: map[string]string{"a": "b"}}
	if !create {
		done.Before = map[string]string{"password": connect.Masked}
	}
	return done, f.fail(name)
}

func (f connectors) DoConnector(_ context.Context, name string, _ connect.Action) error {
	return f.fail(name)
}

func TestErrorsOfConnectHaveTheirStatus(t *testing.T) {
	d := describe(t)
	for name, want := range map[string]int{"busy": 409, "none": 409, "away": 503, "broken": 503, "invalid": 400, "nobody": 404} {
		for _, c := range connectCalls[2:] {
			if c.path == "/api/v1/connect" {
				continue
			}
			target := "/api/v1/connect/connectors/" + name + c.target[len("/api/v1/connect/connectors/c"):]
			status, _, body := call(full(), c.method, target, c.body)
			if status != want {
				t.Errorf("%s %s: %d, want %d: %s", c.method, target, status, want, body)
			}
			d.check("/components/schemas/Problem", body)
		}
	}
	if status, _, _ := call(full(), "POST", "/api/v1/connect/connectors/c/actions", `{"action":"explode"}`); status != 400 {
		t.Errorf("an unknown action: %d", status)
	}
	if status, _, body := call(full(), "GET", "/api/v1/connect/connectors/a%2Fb", ""); status != 200 {
		t.Errorf("a name with a slash: %d %s", status, body)
	}
}

func TestChangesOfConnectorsAreAuditedWithoutTheirSecrets(t *testing.T) {
	src := full()
	var records []event.AuditLog
	src.Audit = func(a event.AuditLog) { records = append(records, a) }
	for _, c := range connectCalls {
		call(src, c.method, c.target, c.body)
	}
	var actions []string
	for _, r := range records {
		actions = append(actions, r.Action)
		if r.Target.Kind != "connector" || r.Target.ID != "c" || r.Result != event.ResultSuccess {
			t.Errorf("%+v", r)
		}
	}
	if got, want := fmt.Sprint(actions), "[apply.connector restart-failed.connector delete.connector]"; got != want {
		t.Errorf("audited %s, want %s", got, want)
	}
	if string(records[0].Before) != `{"password":"********"}` {
		t.Errorf("before %s", records[0].Before)
	}
}
