package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// topics is a cluster with one topic, alerts, in which every optional field is
// set; bare is one that has nothing but what was asked for.
type topics struct{ bare bool }

var drift = topic.Step{Kind: topic.SetConfig, Topic: "alerts", Config: "retention.ms", From: "1", To: "2", Reason: "records go", Needs: topic.Loss}

func (f topics) Topics(context.Context, bool) ([]browse.Topic, error) {
	if f.bare {
		return nil, nil
	}
	return []browse.Topic{
		{Topic: admin.Topic{Name: "alerts", Partitions: 1, Replicas: 1, Messages: 3, Kind: admin.KindCore}, Description: "d", Rate: some(1.5), Bytes: some(int64(9)), Drift: []topic.Step{drift}},
		{Topic: admin.Topic{Name: "x", Kind: admin.KindOther}, Drift: []topic.Step{}},
	}, nil
}

func known(name string) error {
	if name == "away" {
		return &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	}
	if name != "alerts" {
		return fmt.Errorf("describe topic %s: %w (did you mean alerts?)", name, admin.ErrNoTopic)
	}
	return nil
}

func (f topics) Topic(_ context.Context, name string) (browse.TopicDetail, error) {
	d := admin.Description{Name: name, Partitions: []admin.Partition{}, Configs: []admin.TopicSetting{}}
	if f.bare {
		return browse.TopicDetail{Description: d, Kind: admin.KindOther, Sizes: []*int64{}, Drift: []topic.Step{}}, nil
	}
	d.ID, d.Description, d.Owner, d.Schema, d.Key, d.Replicas = "00", "d", "o", "alerts.json", "fingerprint", 1
	d.Partitions = []admin.Partition{{Leader: -1, Replicas: []int32{0}, InSync: []int32{}, Start: 1, End: 4}}
	d.Configs = []admin.TopicSetting{{Name: "retention.ms", Value: "-1", Set: true}}
	return browse.TopicDetail{Description: d, Kind: admin.KindCore, Rate: some(1.5), Bytes: some(int64(9)), Sizes: []*int64{nil}, Drift: []topic.Step{drift}}, known(name)
}

func (f topics) TopicHistory(context.Context, string) (browse.TopicHistory, error) {
	s := browse.Series{From: noon, StepMs: 5000, Points: []*float64{}}
	if !f.bare {
		s.Points = []*float64{some(1.5), nil}
	}
	return browse.TopicHistory{Messages: s, Bytes: s}, nil
}

func (f topics) TopicGroups(_ context.Context, name string) ([]browse.TopicGroup, error) {
	if f.bare {
		return nil, nil
	}
	return []browse.TopicGroup{{Name: "g", State: "Stable", Type: "classic", Members: 1, Lag: 3, Partitions: []admin.GroupPart{{Topic: name, Current: -1, Lag: -1}}}}, nil
}

func (f topics) TopicSettings(_ context.Context, name string) ([]admin.Setting, error) {
	if f.bare {
		return nil, nil
	}
	return []admin.Setting{
		{Name: "cleanup.policy", Value: "delete", Human: "delete", Default: "delete", Source: "default", Doc: "what becomes of old records"},
		{Name: "confluent.x", Value: "1", Source: "topic", Set: true},
	}, known(name)
}

func (f topics) Catalog() topic.Catalog {
	if f.bare {
		return topic.Catalog{{Name: "alerts", Schema: "alerts.json"}}
	}
	return topic.Catalog{
		{Name: "alerts", Schema: "alerts.json", Description: "d", Owner: "o", Key: "fingerprint", Keyed: some(false), Partitions: 1, Replicas: 3, Configs: map[string]string{"retention.ms": "-1"}},
		{Name: "alerts.dlq", Partitions: 1, Support: true},
	}
}

func (f topics) Plan(context.Context, bool) (admin.Plan, error) {
	if f.bare {
		return admin.Plan{Steps: topic.Plan{}}, nil
	}
	return admin.Plan{Cluster: "c", Drift: true, Changes: true, Counts: admin.PlanCounts{Change: 1, Guarded: 1}, Steps: topic.Plan{drift}}, nil
}

func (f topics) CreateTopic(_ context.Context, t admin.NewTopic, _ string, _ bool) (admin.NewTopic, error) {
	if t.Configs == nil {
		t.Configs = map[string]string{}
	}
	return t, topic.CheckName(t.Name)
}

func (f topics) DeleteTopic(_ context.Context, name string, dry bool) (admin.DeletedTopic, error) {
	return admin.DeletedTopic{Topic: name, Partitions: 1, Messages: 3, Deleted: !dry}, known(name)
}

func (f topics) AddPartitions(_ context.Context, name string, to int, dry bool) (admin.Grown, error) {
	return admin.Grown{Topic: name, From: 1, To: to, Warning: "keys move", Done: !dry}, known(name)
}

func (f topics) DeleteRecords(_ context.Context, name, before string, _ []int32, dry bool) (admin.Truncation, error) {
	at, err := admin.ParsePosition(before, noon)
	if err != nil {
		return admin.Truncation{}, err
	}
	return admin.TruncationOf(name, at, []admin.Truncated{{Topic: name, From: 1, To: 3, Records: 2, Error: "no"}}, !dry), known(name)
}

func (f topics) ChangeTopic(_ context.Context, name string, set map[string]string, _ []string, dry bool) ([]admin.ChangedConfig, error) {
	out := []admin.ChangedConfig{}
	for k, v := range set {
		if err := topic.CheckConfig(k, topic.FromHuman(k, v)); err != nil {
			return nil, err
		}
		out = append(out, admin.ChangedConfig{Resource: name, Name: k, From: "1", To: topic.FromHuman(k, v), Danger: "records go", Done: !dry})
	}
	return out, known(name)
}

func (f topics) Apply(_ context.Context, _ []string, _ bool, _ []topic.Permission) (admin.Applied, error) {
	if f.bare {
		return admin.Applied{Steps: []admin.AppliedStep{}, Remaining: topic.Plan{}}, nil
	}
	out := admin.Applied{Cluster: "c", Done: 1, Failed: 1, Steps: []admin.AppliedStep{{Step: drift, Result: admin.Done}, {Step: drift, Result: admin.Failed, Error: "no"}}, Remaining: topic.Plan{drift}}
	return out, errors.New("1 of 2 steps failed")
}

// topicCalls belong to calls.
var topicCalls = []apiCall{
	{"GET", "/api/v1/topics", "/api/v1/topics", ""},
	{"POST", "/api/v1/topics", "/api/v1/topics", `{"name":"alerts","partitions":3,"configs":{"retention.ms":"7d"}}`},
	{"POST", "/api/v1/topics", "/api/v1/topics?dryRun=true", `{"name":"copy","like":"alerts"}`},
	{"GET", "/api/v1/topics/{topic}", "/api/v1/topics/alerts", ""},
	{"DELETE", "/api/v1/topics/{topic}", "/api/v1/topics/alerts", ""},
	{"GET", "/api/v1/topics/{topic}/history", "/api/v1/topics/alerts/history", ""},
	{"GET", "/api/v1/topics/{topic}/groups", "/api/v1/topics/alerts/groups", ""},
	{"GET", "/api/v1/topics/{topic}/schema", "/api/v1/topics/alerts/schema", ""},
	{"GET", "/api/v1/topics/{topic}/settings", "/api/v1/topics/alerts/settings", ""},
	{"POST", "/api/v1/topics/{topic}/settings", "/api/v1/topics/alerts/settings", `{"set":{"retention.ms":"1d"},"unset":["segment.ms"]}`},
	{"POST", "/api/v1/topics/{topic}/partitions", "/api/v1/topics/alerts/partitions", `{"partitions":3}`},
	{"POST", "/api/v1/topics/{topic}/truncate", "/api/v1/topics/alerts/truncate", `{"before":"@-1h","partitions":[0]}`},
	{"GET", "/api/v1/catalog", "/api/v1/catalog", ""},
	{"GET", "/api/v1/catalog/plan", "/api/v1/catalog/plan?resetUnmanaged=true", ""},
	{"POST", "/api/v1/catalog/apply", "/api/v1/catalog/apply", `{"topics":["alerts"],"allow":["allow-loss"]}`},
}

func TestRefusedChangesOfTopicsSayWhy(t *testing.T) {
	for _, c := range []struct {
		what, method, target, body string
		want                       int
		says                       string
	}{
		{"an unknown topic", "GET", "/api/v1/topics/alert", "", 404, "did you mean alerts?"},
		{"an unknown topic to delete", "DELETE", "/api/v1/topics/alert", "", 404, "did you mean alerts?"},
		{"a broker that is away", "GET", "/api/v1/topics/away", "", 503, "smartlb kafka doctor"},
		{"a name that Kafka does not take", "POST", "/api/v1/topics", `{"name":"<b>bad</b>"}`, 400, "letters, digits"},
		{"negative partitions", "POST", "/api/v1/topics", `{"name":"a","partitions":-1}`, 400, "must not be negative"},
		{"a setting that is none", "POST", "/api/v1/topics/alerts/settings", `{"set":{"retention":"1d"}}`, 400, "no topic configuration"},
		{"a value that is none", "POST", "/api/v1/topics/alerts/settings?dryRun=true", `{"set":{"retention.ms":"soon"}}`, 400, "no whole number"},
		{"a position that is none", "POST", "/api/v1/topics/alerts/truncate", `{"before":"yesterday"}`, 400, "is no position"},
		{"Kafka's own topic: delete", "DELETE", "/api/v1/topics/__consumer_offsets", "", 409, "internal to Kafka"},
		{"Kafka's own topic: its preview", "DELETE", "/api/v1/topics/__consumer_offsets?dryRun=true", "", 409, "internal to Kafka"},
		{"Kafka's own topic: settings", "POST", "/api/v1/topics/__consumer_offsets/settings", `{"set":{"retention.ms":"1d"}}`, 409, "internal to Kafka"},
		{"Kafka's own topic: records", "POST", "/api/v1/topics/__consumer_offsets/truncate", `{"before":"end"}`, 409, "internal to Kafka"},
		{"Kafka's own topic: partitions", "POST", "/api/v1/topics/__consumer_offsets/partitions", `{"partitions":60}`, 409, "internal to Kafka"},
		{"a permission that is none", "POST", "/api/v1/catalog/apply", `{"allow":["everything"]}`, 400, "unknown permission"},
		{"a topic without a schema", "GET", "/api/v1/topics/alerts.dlq/schema", "", 404, "any bytes"},
		{"a topic of somebody else", "GET", "/api/v1/topics/orders/schema", "", 404, "not in the catalog"},
	} {
		status, _, body := call(full(), c.method, c.target, c.body)
		if status != c.want || !strings.Contains(string(body), c.says) {
			t.Errorf("%s: %d %s, want %d with %q", c.what, status, body, c.want, c.says)
		}
		describe(t).check("/components/schemas/Problem", body)
	}
}

// Everything that changes topics is an administrator's, refused where nothing
// may be changed, and in the audit log with before and after.
func TestChangesOfTopicsAreGuardedAndAudited(t *testing.T) {
	var log []event.AuditLog
	note := func(r event.AuditLog) { log = append(log, r) }
	open, readOnly := guarded(t, false, note), guarded(t, true, note)
	for _, c := range topicCalls {
		if c.method == "GET" || strings.Contains(c.target, "dryRun") {
			continue
		}
		log = nil
		if w := ask(open, c.method, c.target, c.body, "admin"); w.Code != 200 {
			t.Errorf("%s %s: %d %s", c.method, c.target, w.Code, w.Body)
		}
		if len(log) != 1 || log[0].Result != event.ResultSuccess || log[0].Target.ID == "" || (log[0].Before == nil && log[0].After == nil) {
			t.Errorf("%s %s: audited as %+v", c.method, c.target, log)
		}
		if w := ask(open, c.method, c.target, c.body, "operator"); w.Code != 403 {
			t.Errorf("%s %s by an operator: %d %s", c.method, c.target, w.Code, w.Body)
		}
		if w := ask(readOnly, c.method, c.target, c.body, "admin"); w.Code != 403 {
			t.Errorf("%s %s on a read-only server: %d %s", c.method, c.target, w.Code, w.Body)
		}
	}
	// A preview is anybody's, and leaves no trace.
	log = nil
	if w := ask(readOnly, "DELETE", "/api/v1/topics/alerts?dryRun=true", "", "viewer"); w.Code != 200 || !strings.Contains(w.Body.String(), `"deleted":false`) || len(log) != 0 {
		t.Errorf("preview: %d %s, audited %v", w.Code, w.Body, log)
	}
}

func TestTheSettingsThatAreChangedAreInTheAuditLog(t *testing.T) {
	var log []event.AuditLog
	src := full()
	src.Audit = func(r event.AuditLog) { log = append(log, r) }
	call(src, "POST", "/api/v1/topics/alerts/settings", `{"set":{"retention.ms":"1d"}}`)
	if len(log) != 1 || string(log[0].Before) != `{"retention.ms":"1"}` || string(log[0].After) != `{"retention.ms":"86400000"}` || log[0].Action != "configure.topic" {
		t.Errorf("%+v", log)
	}
}

// The rules that the page edits by are those that the server checks by.
func TestRulesOfSettingsAreGiven(t *testing.T) {
	_, _, body := call(api.Sources{}, "GET", "/api/v1/settings/rules", "")
	var rules map[string]topic.Rule
	if err := json.Unmarshal(body, &rules); err != nil {
		t.Fatal(err)
	}
	for name, form := range map[string]topic.Form{
		"retention.ms": topic.FormTime, "segment.bytes": topic.FormSize, "cleanup.policy": topic.FormList, "compression.type": topic.FormChoice,
		"preallocate": topic.FormBoolean, "min.cleanable.dirty.ratio": topic.FormFraction, "min.insync.replicas": topic.FormWhole,
	} {
		if rules[name].Form != form {
			t.Errorf("%s: %+v", name, rules[name])
		}
	}
	if len(rules) != len(topic.ConfigNames()) {
		t.Errorf("%d rules of %d", len(rules), len(topic.ConfigNames()))
	}
}
