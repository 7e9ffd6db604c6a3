package connect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/kafka/connect"
)

// worker answers as a Connect worker does, as far as these tests go.
type worker struct {
	mu         sync.Mutex
	connectors map[string]map[string]string
	rebalances int      // so many requests are refused first
	refused    func()   // called a little after each; may be nil
	log        []string // method and path of what changes something
}

const sourceClass = "org.apache.kafka.connect.file.FileStreamSourceConnector"

func (w *worker) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	say := func(code int, v any) {
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(code)
		_ = json.NewEncoder(rw).Encode(v)
	}
	refuse := func(code int, text string) { say(code, map[string]any{"error_code": code, "message": text}) }
	if w.rebalances > 0 {
		w.rebalances--
		if w.refused != nil {
			time.AfterFunc(100*time.Millisecond, w.refused)
		}
		if w.rebalances%2 == 0 {
			refuse(500, "Request cannot be completed because a rebalance is expected")
		} else {
			refuse(409, "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway.")
		}
		return
	}
	if r.Method != http.MethodGet {
		w.log = append(w.log, r.Method+" "+r.URL.RequestURI())
	}
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	parts := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	switch {
	case r.URL.Path == "/":
		say(200, map[string]string{"version": "3.9.2", "commit": "abc", "kafka_cluster_id": "id"})
	case r.URL.Path == "/connector-plugins":
		say(200, []map[string]string{{"class": sourceClass, "type": "source", "version": "3.9.2"}})
	case parts[0] == "connector-plugins":
		errs := []string{}
		if body["file"] == "" {
			errs = append(errs, "Missing required configuration")
		}
		say(200, map[string]any{"configs": []any{map[string]any{"value": map[string]any{"name": "file", "errors": errs}}}})
	case r.URL.Path == "/connectors" && r.URL.Query().Has("expand"):
		out := map[string]any{}
		for name, config := range w.connectors {
			out[name] = map[string]any{"status": w.status(name), "info": map[string]any{"config": config}}
		}
		say(200, out)
	case r.URL.Path == "/connectors":
		say(200, slices.Sorted(maps.Keys(w.connectors)))
	default:
		w.one(r, parts, body, say, refuse)
	}
}

func (w *worker) status(name string) map[string]any {
	return map[string]any{
		"name": name, "type": "source", "connector": map[string]string{"state": "RUNNING", "worker_id": "w:1"},
		"tasks": []any{map[string]any{"id": 1, "state": "FAILED", "worker_id": "w:1", "trace": "org.apache.Error: no\n\tat x"}, map[string]any{"id": 0, "state": "RUNNING", "worker_id": "w:1"}},
	}
}

func (w *worker) one(r *http.Request, parts []string, body map[string]string, say func(int, any), refuse func(int, string)) {
	name := strings.ReplaceAll(parts[1], "%2F", "/")
	config, exists := w.connectors[name]
	verb := strings.Join(parts[2:], "/")
	if !exists && !(r.Method == http.MethodPut && verb == "config") {
		refuse(404, "Connector "+name+" not found")
		return
	}
	switch {
	case r.Method == http.MethodPut && verb == "config":
		w.connectors[name] = body
		say(201, map[string]any{"name": name})
	case verb == "config":
		say(200, config)
	case verb == "status" && config["new"] != "":
		refuse(404, "No status found for connector "+name)
	case verb == "status":
		say(200, w.status(name))
	case verb == "topics":
		say(200, map[string]any{name: map[string]any{"topics": []string{"b", "a"}}})
	case verb == "offsets":
		say(200, map[string]any{"offsets": []any{map[string]any{"partition": map[string]string{"filename": "x"}, "offset": map[string]int{"position": 5}}}})
	case r.Method == http.MethodDelete:
		delete(w.connectors, name)
		say(204, nil)
	default:
		say(202, nil)
	}
}

func start(t *testing.T) (*worker, *connect.Client) {
	t.Helper()
	w := &worker{connectors: map[string]map[string]string{}}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	cfg := connect.Default()
	cfg.URL = strings.TrimPrefix(server.URL, "http://")
	cfg.Retry.Base = time.Millisecond
	c, err := connect.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w, c
}

func settings() map[string]string {
	return map[string]string{"connector.class": "FileStreamSource", "file": "x", "topic": "t"}
}

func TestApplyTwiceChangesNothingTheSecondTime(t *testing.T) {
	w, c := start(t)
	for i, want := range []string{"created", "unchanged"} {
		got, err := c.Apply(t.Context(), "a", settings())
		if err != nil || got.Result != want {
			t.Errorf("apply %d: %+v, %v; want %s", i, got, err, want)
		}
	}
	changed := settings()
	changed["file"] = "y"
	delete(changed, "topic")
	got, err := c.Apply(t.Context(), "a", changed)
	if diff := cmp.Diff(connect.Applied{Name: "a", Result: "updated", Changed: []string{"file", "topic"}}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if puts := slices.DeleteFunc(w.log, func(s string) bool { return strings.Contains(s, "validate") }); len(puts) != 2 {
		t.Errorf("it changed %v", puts)
	}
}

func TestSettingsThatAreNotAcceptedChangeNothing(t *testing.T) {
	w, c := start(t)
	bad := settings()
	delete(bad, "file")
	if _, err := c.Apply(t.Context(), "a", bad); !errors.Is(err, connect.ErrInvalid) || !strings.Contains(err.Error(), "file: Missing") {
		t.Errorf("a missing setting gives %v", err)
	}
	bad["connector.class"] = "FileStreamSorce"
	if _, err := c.Apply(t.Context(), "a", bad); err == nil || !strings.Contains(err.Error(), "did you mean FileStreamSource?") {
		t.Errorf("an unknown class gives %v", err)
	}
	delete(bad, "connector.class")
	if _, err := c.Apply(t.Context(), "a", bad); !errors.Is(err, connect.ErrInvalid) {
		t.Errorf("no class gives %v", err)
	}
	if len(w.connectors) > 0 {
		t.Errorf("there is %v", w.connectors)
	}
}

func TestAWorkerThatRebalancesIsWaitedForAndNotForEver(t *testing.T) {
	w, c := start(t)
	w.rebalances = 4
	if info, err := c.Info(t.Context()); err != nil || info.Version != "3.9.2" {
		t.Errorf("%+v, %v", info, err)
	}
	w.rebalances = 1 << 30
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.refused = cancel // the worker has answered, whatever the machine is busy with
	if _, err := c.Info(ctx); err == nil || !strings.Contains(err.Error(), "rebalanc") {
		t.Errorf("it ended with %v", err)
	}
}

func TestConnectorsAreDescribedWithTheirFailures(t *testing.T) {
	w, c := start(t)
	w.connectors["a/b"] = map[string]string{"connector.class": sourceClass, "database.password": "hunter2", "sasl.jaas.config": "x", "api.key": "${file:/s:k}", "file": "f"}
	got, err := c.Describe(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	want := connect.Connector{
		Name: "a/b", Type: "source", State: "RUNNING", Worker: "w:1", Class: sourceClass, Topics: []string{"a", "b"},
		Tasks:  []connect.Task{{ID: 0, State: "RUNNING", Worker: "w:1"}, {ID: 1, State: "FAILED", Worker: "w:1", Trace: "org.apache.Error: no\n\tat x"}},
		Config: map[string]string{"connector.class": sourceClass, "database.password": connect.Masked, "sasl.jaas.config": connect.Masked, "api.key": "${file:/s:k}", "file": "f"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !got.Failed() {
		t.Error("a failed task is no failure")
	}
	all, err := c.List(t.Context())
	if err != nil || len(all) != 1 || all[0].Config["database.password"] != connect.Masked {
		t.Errorf("listed: %+v, %v", all, err)
	}
	if _, err := c.Describe(t.Context(), "a/c"); !errors.Is(err, connect.ErrNotFound) || !strings.Contains(err.Error(), "did you mean a/b?") {
		t.Errorf("an unknown one gives %v", err)
	}
	w.connectors["just-made"] = map[string]string{"connector.class": sourceClass, "new": "yes"}
	if got, err := c.Describe(t.Context(), "just-made"); err != nil || got.State != "UNASSIGNED" || got.Tasks == nil {
		t.Errorf("one that no worker has yet is %+v, %v", got, err)
	}
	if o, err := c.Offsets(t.Context(), "a/b"); err != nil || string(o[0].Offset) != `{"position":5}` {
		t.Errorf("offsets: %v, %v", o, err)
	}
}

func TestActionsAskForWhatTheySay(t *testing.T) {
	w, c := start(t)
	w.connectors["a"] = settings()
	for _, what := range []connect.Action{connect.Pause, connect.Resume, connect.Stop, connect.Restart, connect.RestartFailed, connect.Delete} {
		if err := c.Do(t.Context(), "a", what); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	want := []string{
		"PUT /connectors/a/pause", "PUT /connectors/a/resume", "PUT /connectors/a/stop",
		"POST /connectors/a/restart?includeTasks=true&onlyFailed=false", "POST /connectors/a/restart?includeTasks=true&onlyFailed=true", "DELETE /connectors/a",
	}
	if diff := cmp.Diff(want, w.log); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsNoWorkerIsSaid(t *testing.T) {
	cfg := connect.Default()
	for _, bad := range []string{"", "ftp://x", "http://", "::"} {
		cfg.URL = bad
		if _, err := connect.New(cfg); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
	page := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "<html>") }))
	defer page.Close()
	for url, want := range map[string]string{"127.0.0.1:1": "nothing listens there", page.URL: "does not answer as a Connect worker"} {
		cfg.URL = url
		c, err := connect.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Info(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q", url, err, want)
		}
	}
}

func TestFilesOfConnectors(t *testing.T) {
	want := []connect.Spec{{Name: "a", Config: map[string]string{"name": "a", "connector.class": "X", "tasks.max": "1", "flag": "true"}}}
	for _, doc := range []string{
		`{"name": "a", "config": {"connector.class": "X", "tasks.max": 1, "flag": true}}`,
		"name: a\nconnector.class: X\ntasks.max: 1\nflag: true\n",
		"- {name: a, config: {connector.class: X, tasks.max: '1', flag: true}}",
	} {
		got, err := connect.ParseFile([]byte(doc))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", doc, err, diff)
		}
	}
	if got, err := connect.ParseFile([]byte("name: a\nx: 1\n---\nname: b\nx: 2\n")); err != nil || len(got) != 2 {
		t.Errorf("two documents: %v, %v", got, err)
	}
	for doc, want := range map[string]string{
		"":                                     "nothing in it",
		"just text":                            "no map",
		"connector.class: X":                   "name is missing",
		"name: a\nx: {y: 1}":                   "no plain value",
		"{name: a, config: {x: 1}, why: 1}":    `"why" beside config`,
		"{name: a, config: {name: b, x: 1}}":   "in its config",
		"- {name: a, x: 1}\n- {name: a, x: 1}": "twice",
		"a: [":                                 "connector file",
	} {
		if _, err := connect.ParseFile([]byte(doc)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want %q", doc, err, want)
		}
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add([]byte(`{"name": "a", "config": {"x": 1}}`))
	f.Add([]byte("- name: a\n  x: [1]\n---\nname: b"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		specs, err := connect.ParseFile(doc)
		for _, s := range specs {
			if err == nil && (s.Name == "" || s.Config["name"] != s.Name) {
				t.Errorf("%q gives %+v", doc, s)
			}
		}
	})
}
