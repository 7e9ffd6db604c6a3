package connect_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/kafka/connect"
)

// states answers with one state after another, the last one for ever. A state is
// that of the connector and of its task, after a blank.
func states(t *testing.T, all ...string) *connect.Client {
	t.Helper()
	var n atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/status") {
			_ = json.NewEncoder(rw).Encode(map[string]string{"connector.class": "X"})
			return
		}
		at := int(n.Add(1)) - 1
		words := strings.Fields(all[min(at, len(all)-1)])
		tasks := []any{}
		for i, state := range words[1:] {
			task := map[string]any{"id": i, "state": state}
			if state == "FAILED" {
				task["trace"] = "org.x.Wrapped: no\n\tat a\nCaused by: java.io.IOException: disk full\n\tat b"
			}
			tasks = append(tasks, task)
		}
		_ = json.NewEncoder(rw).Encode(map[string]any{"name": "a", "type": "source", "connector": map[string]string{"state": words[0]}, "tasks": tasks})
	}))
	t.Cleanup(server.Close)
	cfg := connect.Default()
	cfg.URL = server.URL
	c, err := connect.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Workers answer before they act: a task that fails at once runs first, and a
// task that was restarted is still FAILED.
func TestAConnectorIsAwaitedUntilItsStateStays(t *testing.T) {
	quick := connect.Steady{Poll: time.Millisecond, For: 300 * time.Millisecond}
	for _, row := range []struct {
		story  string
		states []string
		want   string
	}{
		{"it runs", []string{"UNASSIGNED", "RUNNING", "RUNNING RUNNING"}, "RUNNING, tasks: 1 RUNNING"},
		{"a task fails at once", []string{"RUNNING", "RUNNING RUNNING", "RUNNING RUNNING FAILED"}, "RUNNING, tasks: 1 RUNNING, 1 FAILED"},
		{"a failed task is restarted", []string{"RUNNING FAILED", "RUNNING RESTARTING", "RUNNING RUNNING"}, "RUNNING, tasks: 1 RUNNING"},
		{"it is paused", []string{"PAUSED PAUSED"}, "PAUSED, tasks: 1 PAUSED"},
		{"it has no task", []string{"RUNNING"}, "RUNNING, no tasks"},
	} {
		got, err := states(t, row.states...).Await(t.Context(), "a", quick)
		if err != nil || got.Summary() != row.want {
			t.Errorf("%s: %s, %v; want %s", row.story, got.Summary(), err, row.want)
		}
	}
	got, err := states(t, "RUNNING FAILED").Await(t.Context(), "a", quick)
	want := []string{"connector a: task 0 failed: org.x.Wrapped: no (java.io.IOException: disk full)"}
	if diff := cmp.Diff(want, got.Problems()); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestAConnectorThatDoesNotSettleEndsTheWait(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := states(t, "RUNNING RESTARTING").Await(ctx, "a", connect.Steady{Poll: time.Millisecond, For: time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "RESTARTING") {
		t.Errorf("the wait ended with %v", err)
	}
}

// ${file:...} was taken literally where the worker had no such provider.
func TestReferencesThatTheWorkerTakesLiterallyAreRefused(t *testing.T) {
	for _, row := range []struct{ given, got, want string }{
		{"${file:/s:k}", "${file:/s:k}", "no config provider file"},
		{"jdbc:x?p=${env:PW}", "jdbc:x?p=${env:PW}", "no config provider env"},
		{"${file:/s:k}", "resolved", ""},
		{"${file:/s:k}", "[hidden]", ""},
		{"${date:yyyy}", "${date:yyyy}", ""}, // a template of the connector
		{"plain", "plain", ""},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				_ = json.NewEncoder(rw).Encode([]map[string]string{{"class": "X", "type": "source"}})
				return
			}
			_ = json.NewEncoder(rw).Encode(map[string]any{"configs": []any{map[string]any{"value": map[string]any{"name": "url", "value": row.got, "errors": []string{}}}}})
		}))
		cfg := connect.Default()
		cfg.URL = server.URL
		c, err := connect.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		bad, err := c.Validate(t.Context(), map[string]string{"connector.class": "X", "url": row.given})
		server.Close()
		switch {
		case err != nil:
			t.Errorf("%s: %v", row.given, err)
		case row.want == "" && len(bad) > 0:
			t.Errorf("%s, seen as %s: %v", row.given, row.got, bad)
		case row.want != "" && (len(bad) != 1 || !strings.Contains(bad[0].Errors[0], row.want)):
			t.Errorf("%s: %v; want %s", row.given, bad, row.want)
		}
	}
}
