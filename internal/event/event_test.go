package event_test

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/api"
	"github.com/smartlb/smartlb/internal/event"
)

func diff(a, b any, opts ...cmp.Option) string { return cmp.Diff(a, b, opts...) }

func TestSeedMessageKeepsItsFieldsAndOrder(t *testing.T) {
	m := event.ServiceMetrics{
		Timestamp: time.Date(2024, 1, 15, 11, 30, 0, 0, time.FixedZone("", 3600)), ServiceID: "user-service", InstanceID: "user-service-1",
		Metrics: event.Metrics{
			RPS: event.Some(150.5), P95Latency: event.Some(45.2), ErrorRate: event.Some(0.02),
			ActiveConnections: event.Some(25), CPUUsage: event.Some(0.65), MemoryUsage: event.Some(0.42),
		},
		Tags: map[string]string{"region": "us-east-1", "environment": "production"},
	}
	got := string(m.AppendJSON(nil))
	want := `{"timestamp":"2024-01-15T10:30:00Z","serviceId":"user-service","instanceId":"user-service-1","metrics":{"rps":150.5,` +
		`"p95Latency":45.2,"errorRate":0.02,"activeConnections":25,"cpuUsage":0.65,"memoryUsage":0.42},` +
		`"tags":{"environment":"production","region":"us-east-1"}}`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestUnknownValueIsAbsentAndZeroIsWritten(t *testing.T) {
	m := event.ServiceMetrics{Metrics: event.Metrics{RPS: event.Some(0)}}
	got := string(m.AppendJSON(nil))
	if !strings.Contains(got, `"metrics":{"rps":0}`) {
		t.Errorf("got %s", got)
	}
}

func TestUtilizationsAboveOneCountAsOne(t *testing.T) {
	m, err := event.DecodeServiceMetrics([]byte(`{"timestamp":"2024-01-15T10:30:00Z","serviceId":"s","instanceId":"i","metrics":{"cpuUsage":3.5,"memoryUsage":2,"utilization":1.01}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := event.Metrics{CPUUsage: event.Some(1), MemoryUsage: event.Some(1), Utilization: event.Some(1)}
	if d := cmp.Diff(want, m.Metrics); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestTimesWithAnyOffsetBecomeUTC(t *testing.T) {
	for in, want := range map[string]string{
		"2024-01-15T16:00:00+05:30":         "2024-01-15T10:30:00Z",
		"2024-01-15T02:30:00.5-08:00":       "2024-01-15T10:30:00.5Z",
		"2024-01-15t10:30:00.123456789999z": "2024-01-15T10:30:00.123456789Z",
		"2016-12-31T23:59:60Z":              "2017-01-01T00:00:00Z",
		"2016-12-31T18:59:60.7-05:00":       "2017-01-01T00:00:00Z",
	} {
		m, err := event.DecodeServiceMetrics([]byte(`{"timestamp":"` + in + `","serviceId":"s","instanceId":"i","metrics":{"rps":1}}`))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := m.Timestamp.Format(time.RFC3339Nano); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestErrorsNameEveryFieldThatIsWrong(t *testing.T) {
	_, err := event.DecodeServiceMetrics([]byte(`{"timestamp":"today","serviceId":"","metrics":{"errorRate":2,"rps":"many"},"tags":{"a":1}}`))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"timestamp: ", "serviceId: missing", "instanceId: missing", "metrics.errorRate: above 1", "metrics.rps: want a number, have string", "tags.a: want a string, have number"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	_, err = event.DecodeRoutingDecision([]byte(`{"timestamp":"2024-01-15T10:30:00Z","node":"n","kind":"decision","serviceId":"s","candidates":[{"instanceId":"a"},{"cost":-1}]}`))
	for _, want := range []string{"candidates[1].instanceId: missing", "candidates[1].cost: -1 is negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
}

func TestEncodeRefusesWhatDecodeWould(t *testing.T) {
	ok := event.HealthScore{ServiceID: "s", InstanceID: "i", Timestamp: time.Unix(1, 0), Score: 1, State: event.StatusHealthy, AsOf: time.Unix(1, 0), Seq: 1}
	if _, err := ok.Encode(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*event.HealthScore){
		"NaN":       func(h *event.HealthScore) { h.Score = math.NaN() },
		"infinite":  func(h *event.HealthScore) { h.Capacity = event.Some(math.Inf(1)) },
		"negative":  func(h *event.HealthScore) { h.Samples = -1 },
		"above one": func(h *event.HealthScore) { h.Confidence = 1.5 },
		"no id":     func(h *event.HealthScore) { h.ServiceID = "" },
		"no time":   func(h *event.HealthScore) { h.AsOf = time.Time{} },
		"bad word":  func(h *event.HealthScore) { h.State = "FINE" },
		"not UTF-8": func(h *event.HealthScore) { h.ServiceID = "\xff" },
	} {
		h := ok
		spoil(&h)
		if b, err := h.Encode(); err == nil {
			t.Errorf("%s: encoded %s", name, b)
		}
	}
}

// TestSchemasNameTheFieldsOfTheTypes compares the names in each schema with the JSON names of the Go type.
func TestSchemasNameTheFieldsOfTheTypes(t *testing.T) {
	for topic, v := range map[string]any{
		event.TopicServiceMetrics: event.ServiceMetrics{}, event.TopicHealthStatus: event.HealthStatus{},
		event.TopicRoutingDecisions: event.RoutingDecision{}, event.TopicConfigUpdates: event.ConfigUpdate{},
		event.TopicAlerts: event.Alert{}, event.TopicAuditLogs: event.AuditLog{},
		event.TopicMetricsAggregated: event.MetricsAggregated{}, event.TopicHealthScores: event.HealthScore{},
		event.TopicNodeStatus: event.NodeStatus{}, event.TopicRateLimits: event.RateLimits{}, event.TopicAccessLogs: event.AccessLog{},
	} {
		raw, err := api.Schemas.ReadFile("schemas/" + topic + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		want := typeNames("", reflect.TypeOf(v))
		got := schemaNames("", doc, doc["$defs"].(map[string]any))
		slices.Sort(want)
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-type +schema)\n%s", topic, d)
		}
	}
}

func typeNames(path string, t reflect.Type) []string {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() || t == reflect.TypeFor[event.Optional]() {
		return nil
	}
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		mark := ""
		if strings.Contains(t.Field(i).Tag.Get("event"), "required") {
			mark = " required"
		}
		names = append(names, path+name+mark)
		names = append(names, typeNames(path+name+".", t.Field(i).Type)...)
	}
	return names
}

func schemaNames(path string, s, defs map[string]any) []string {
	if ref, ok := s["$ref"].(string); ok {
		s = defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	if items, ok := s["items"].(map[string]any); ok {
		s = items
	}
	required, _ := s["required"].([]any)
	var names []string
	props, _ := s["properties"].(map[string]any)
	for name, p := range props {
		mark := ""
		if slices.Contains(required, any(name)) {
			mark = " required"
		}
		names = append(names, path+name+mark)
		if p, ok := p.(map[string]any); ok {
			names = append(names, schemaNames(path+name+".", p, defs)...)
		}
	}
	return names
}

// Records held 242.2894312639593, 2.000000100000005 and nanoseconds, which nobody reads and everybody stores.
func TestRecordsHaveNumbersAndTimesAsPeopleWriteThem(t *testing.T) {
	at := time.Date(2026, 11, 28, 14, 3, 7, 123_456_789, time.UTC)
	b := event.ServiceMetrics{
		Timestamp: at, ServiceID: "s", InstanceID: "i",
		Metrics: event.Metrics{RPS: event.Some(242.2894312639593), P95Latency: event.Some(2.000000100000005), ErrorRate: event.Some(1.0 / 3), CPUUsage: event.Some(1e-7)},
	}.AppendJSON(nil)
	for _, want := range []string{`"timestamp":"2026-11-28T14:03:07.123Z"`, `"rps":242.289`, `"p95Latency":2,`, `"errorRate":0.3333`, `"cpuUsage":1e-7`} {
		if !strings.Contains(strings.ReplaceAll(string(b), "e-07", "e-7"), want) {
			t.Errorf("%s lacks %s", b, want)
		}
	}
	// What an operator chose stays.
	u := event.ConfigUpdate{ChangeID: "c", Timestamp: at, Author: "ada", Kind: event.KindOverride, Override: event.Override{ServiceID: "s", InstanceID: "i", Action: event.ActionWeight, Weight: event.Some(1.23456789)}}
	if b, err := u.Encode(); err != nil || !strings.Contains(string(b), `"weight":1.23456789`) {
		t.Errorf("%s, %v: the weight was rounded", b, err)
	}
}
