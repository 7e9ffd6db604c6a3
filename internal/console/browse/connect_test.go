package browse_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/connect"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

const jdbc = "com.example.JdbcSource"

// fakeWorker is a Connect worker with one class, which calls pin a password.
type fakeWorker struct {
	mu         sync.Mutex
	connectors map[string]map[string]string
	asked      map[string]string // the settings that were validated last
}

func (w *fakeWorker) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	say := func(code int, v any) {
		rw.WriteHeader(code)
		_ = json.NewEncoder(rw).Encode(v)
	}
	pin := map[string]any{"name": "pin", "type": "PASSWORD", "required": false, "default_value": nil, "importance": "HIGH", "documentation": "d", "group": nil, "display_name": nil}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	name := parts[min(1, len(parts)-1)]
	switch {
	case r.URL.Path == "/":
		say(200, map[string]string{"version": "3.9.0", "kafka_cluster_id": "c"})
	case r.URL.Path == "/connector-plugins":
		say(200, []map[string]string{{"class": jdbc, "type": "source", "version": "1"}})
	case strings.HasSuffix(r.URL.Path, "/config/validate"):
		w.asked = body
		errs := []string{}
		if body["url"] == "" {
			errs = append(errs, "Missing required configuration")
		}
		say(200, map[string]any{"configs": []any{
			map[string]any{"definition": pin, "value": map[string]any{"name": "pin", "recommended_values": []any{}, "errors": []string{}, "visible": true}},
			map[string]any{"definition": map[string]any{"name": "url", "type": "STRING", "required": true, "importance": "HIGH", "display_name": "Address"},
				"value": map[string]any{"name": "url", "recommended_values": []any{"a", nil, 5}, "errors": errs, "visible": false}},
		}})
	case parts[0] == "connector-plugins":
		say(200, []any{pin})
	case r.URL.Path == "/connectors":
		say(200, map[string]any{})
	case r.Method == http.MethodPut:
		w.connectors[name] = body
		say(201, map[string]any{})
	case w.connectors[name] == nil:
		say(404, map[string]any{"message": "not found"})
	case parts[len(parts)-1] == "config":
		say(200, w.connectors[name])
	case parts[len(parts)-1] == "restart":
		say(409, map[string]any{"message": "Cannot complete request because of a conflicting operation"})
	default:
		say(200, map[string]any{"connector": map[string]string{"state": "RUNNING"}})
	}
}

func withWorker(t *testing.T, address string) (*browse.Browser, *fakeWorker) {
	t.Helper()
	w := &fakeWorker{connectors: map[string]map[string]string{}}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	if address == "" {
		address = server.URL
	}
	b, err := browse.New(browse.Config{Kafka: kafka.Default(), Worker: func() string { return strings.TrimPrefix(address, "none") }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return b, w
}

// What a page was shown masked keeps its value, whatever else is edited; a
// reference to a secret is none.
func TestMaskedSecretsAreKept(t *testing.T) {
	b, w := withWorker(t, "")
	w.connectors["orders"] = map[string]string{"name": "orders", "connector.class": jdbc, "url": "x", "pin": "1234", "db.password": "p", "api.token": "${file:/s:t}"}
	c, err := b.Connector(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"name": "orders", "connector.class": jdbc, "url": "x", "pin": connect.Masked, "db.password": connect.Masked, "api.token": "${file:/s:t}"}
	if diff := cmp.Diff(want, c.Config); diff != "" {
		t.Fatal(diff)
	}
	edited := c.Config
	edited["url"] = "y"
	for _, dry := range []bool{true, false} {
		done, err := b.ApplyConnector(t.Context(), "orders", edited, false, dry)
		if err != nil || done.Result != "updated" || !cmp.Equal(done.Changed, []string{"url"}) || done.After["pin"] != connect.Masked || done.Before["pin"] != connect.Masked {
			t.Errorf("dry %v: %+v %v", dry, done, err)
		}
		if changed := w.connectors["orders"]["url"] == "y"; changed == dry {
			t.Errorf("dry %v: %v", dry, w.connectors["orders"])
		}
	}
	if got := w.connectors["orders"]; got["pin"] != "1234" || got["db.password"] != "p" || got["api.token"] != "${file:/s:t}" {
		t.Errorf("kept: %v", got)
	}
	all, err := b.CheckConnector(t.Context(), "orders", map[string]string{"connector.class": jdbc, "pin": connect.Masked})
	if err != nil || w.asked["pin"] != "1234" || len(all) != 2 {
		t.Fatalf("check: %v %v %v", all, w.asked, err)
	}
	url := connect.Setting{Name: "url", Type: "STRING", Required: true, Importance: "HIGH", Title: "Address", Recommended: []string{"a", "5"}, Errors: []string{"Missing required configuration"}}
	if diff := cmp.Diff(url, all[1]); diff != "" {
		t.Error(diff)
	}
}

func TestWhatCannotBeDoneToAConnectorIsSaid(t *testing.T) {
	b, w := withWorker(t, "")
	w.connectors["orders"] = map[string]string{"connector.class": jdbc, "url": "x"}
	apply := func(name string, create bool, config map[string]string) error {
		_, err := b.ApplyConnector(t.Context(), name, config, create, true)
		return err
	}
	good := map[string]string{"connector.class": jdbc, "url": "x"}
	if err := apply("new", true, good); err != nil {
		t.Errorf("create: %v", err)
	}
	if err := apply("orders", true, good); !errors.Is(err, browse.ErrConnector) {
		t.Errorf("create what is there: %v", err)
	}
	if err := apply("new", false, good); !errors.Is(err, connect.ErrNotFound) {
		t.Errorf("edit what is not there: %v", err)
	}
	if err := apply("new", true, map[string]string{"connector.class": jdbc, "url": "x", "pin": connect.Masked}); !errors.Is(err, browse.ErrConnector) {
		t.Errorf("a masked secret of nobody: %v", err)
	}
	if err := apply("new", true, map[string]string{"connector.class": jdbc}); !errors.Is(err, connect.ErrInvalid) {
		t.Errorf("settings that are not accepted: %v", err)
	}
	if err := apply("new", true, map[string]string{"connector.class": "nobody", "url": "x"}); !errors.Is(err, browse.ErrConnector) {
		t.Errorf("a class that is not there: %v", err)
	}
	var said *connect.Error
	if err := b.DoConnector(t.Context(), "orders", connect.Restart); !errors.As(err, &said) || said.Status != 409 {
		t.Errorf("a conflict: %v", err)
	}
	for _, address := range []string{"none", porttest.Refused(t), "://"} {
		b, _ := withWorker(t, address)
		if _, err := b.Connect(t.Context()); !errors.Is(err, browse.ErrNoConnect) {
			t.Errorf("%s: %v", address, err)
		}
	}
}
