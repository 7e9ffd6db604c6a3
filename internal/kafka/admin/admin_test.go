package admin_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/test/brokertest"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// Whatever a cluster looks like: a plan that was applied with every permission
// leaves nothing to do that can be done, and no topic is ever gone.
func TestApplyReachesTheCatalogAndDeletesNothing(t *testing.T) {
	cfg, client := brokertest.New(t)
	settings := rapid.MapOf(rapid.SampledFrom([]string{"retention.ms", "segment.ms", "max.message.bytes"}), rapid.SampledFrom([]string{"100000", "2000000"}))
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		var file topic.File
		var only []string
		for _, base := range []string{"a", "b", "c"} {
			name := strings.Repeat(base, round)
			only = append(only, name)
			file.Topics = append(file.Topics, topic.Spec{Name: name, Partitions: int32(rapid.IntRange(1, 3).Draw(t, "want")), Configs: settings.Draw(t, "wantConfigs")})
			if !rapid.Bool().Draw(t, "exists") {
				continue
			}
			if err := admin.CreateTopic(context.Background(), client, admin.NewTopic{Name: name, Partitions: int32(rapid.IntRange(1, 3).Draw(t, "have")), Replicas: 1, Configs: settings.Draw(t, "haveConfigs")}, false); err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "records") {
				s, err := records.NewSender(context.Background(), cfg, records.ProduceSpec{Topic: name, Partition: -1})
				if err != nil {
					t.Fatal(err)
				}
				_ = s.Send(context.Background(), kafka.Record{Value: []byte("x")})
				if _, err := s.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		}
		spec := admin.PlanSpec{File: file, Only: only, ResetUnmanaged: rapid.Bool().Draw(t, "reset")}
		careful, err := admin.Apply(context.Background(), client, spec)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range careful.Steps {
			if s.Needs != "" && s.Result != admin.Blocked {
				t.Fatalf("%v was %s without permission", s.Step, s.Result)
			}
		}
		spec.Allow = []topic.Permission{topic.Loss, topic.Repartition}
		done, err := admin.Apply(context.Background(), client, spec)
		if err != nil {
			t.Fatal(err)
		}
		if done.Remaining.Changes() {
			t.Fatalf("remaining: %v", done.Remaining)
		}
		again, err := admin.Apply(context.Background(), client, spec)
		if err != nil || again.Done > 0 {
			t.Fatalf("the second time it did %+v, %v", again.Steps, err)
		}
		if _, err := admin.DeleteTopics(context.Background(), client, true, only...); err != nil { // all must be there
			t.Fatal(err)
		}
	})
}

func TestApplyGoesOnAfterATopicThatFails(t *testing.T) {
	fake := kafkatest.New(t)
	cfg := kafka.Default()
	cfg.Brokers = []string{fake.Addr()}
	client, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	fake.Fake().ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		r := req.(*kmsg.CreateTopicsRequest)
		if r.ValidateOnly || r.Topics[0].Topic != "forbidden" {
			return nil, nil, false
		}
		resp := r.ResponseKind().(*kmsg.CreateTopicsResponse)
		t := kmsg.NewCreateTopicsResponseTopic()
		t.Topic, t.ErrorCode = "forbidden", kerr.PolicyViolation.Code
		resp.Topics = append(resp.Topics, t)
		return resp, nil, true
	})
	file := topic.File{Topics: []topic.Spec{
		{Name: "first", Partitions: 1},
		{Name: "forbidden", Partitions: 1},
		{Name: "wide", Partitions: 1, Replicas: 5},
		{Name: "last", Partitions: 1, Configs: map[string]string{"retention.ms": "604800000"}},
	}}
	got, err := admin.Apply(t.Context(), client, admin.PlanSpec{File: file})
	if err == nil || got.Done != 2 || got.Failed != 1 || got.Blocked != 1 {
		t.Errorf("%+v, %v; want two done, one failed, one blocked", got, err)
	}
	if _, err := admin.DescribeTopics(t.Context(), client, nil, "first", "last"); err != nil {
		t.Error(err)
	}
}

func TestThePlanKnowsWhatTheBrokerWouldRefuse(t *testing.T) {
	_, client := brokertest.New(t)
	p, err := admin.MakePlan(t.Context(), client, admin.PlanSpec{File: topic.File{Topics: []topic.Spec{
		{Name: "too-many", Partitions: 100_000}, // more than the embedded broker makes
		{Name: "fine", Partitions: 1},
	}}})
	if err != nil || p.Counts.Impossible != 1 || p.Counts.Create != 1 || !strings.Contains(p.Steps[0].Reason, "INVALID_PARTITIONS") {
		t.Errorf("%+v, %v", p, err)
	}
	if left, err := admin.ListTopics(t.Context(), client, nil, false); err != nil || len(left) > 0 {
		t.Errorf("planning made %v, %v", left, err)
	}
}

func TestAFileForAnotherClusterIsRefused(t *testing.T) {
	_, client := brokertest.New(t)
	file := topic.File{Cluster: "elsewhere", Topics: []topic.Spec{{Name: "t", Partitions: 1}}}
	if _, err := admin.Apply(t.Context(), client, admin.PlanSpec{File: file}); !errors.Is(err, admin.ErrCluster) {
		t.Errorf("it gives %v", err)
	}
	if _, err := admin.MakePlan(t.Context(), client, admin.PlanSpec{File: topic.File{Topics: file.Topics}, Only: []string{"tt"}}); err == nil {
		t.Error("a topic that the file does not name passes")
	}
}

func TestWhatIsExportedPlansToNothing(t *testing.T) {
	_, client := brokertest.New(t)
	if _, err := admin.EnsureTopics(t.Context(), client, brokertest.Catalog(t)); err != nil {
		t.Fatal(err)
	}
	brokertest.Create(t, client, "mine", 2, map[string]string{"segment.ms": "3600000"})
	file, err := admin.Export(t.Context(), client, brokertest.Catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	read, err := topic.ParseFile(doc)
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	if diff := cmp.Diff(file.Catalog(), read.Catalog()); diff != "" {
		t.Error(diff)
	}
	p, err := admin.MakePlan(t.Context(), client, admin.PlanSpec{File: read, ResetUnmanaged: true})
	if err != nil || len(p.Steps) > 0 || p.Drift {
		t.Errorf("the plan is %+v, %v", p, err)
	}
	if s, _ := read.Catalog().Find("alerts"); s.Description == "" || s.Key == "" {
		t.Errorf("what the catalog knows is lost: %+v", s)
	}
}

func TestPruneProtectsAndDeletesOnlyWhatIsNamed(t *testing.T) {
	cfg, client := brokertest.New(t)
	file := topic.File{Topics: []topic.Spec{{Name: "kept", Partitions: 1}}}
	for _, name := range []string{"kept", "empty", "full", "read", "connect-offsets", "_schemas"} {
		brokertest.Create(t, client, name, 1, nil)
	}
	brokertest.Send(t, cfg, "full", "x")
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("read"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for ctx.Err() == nil { // until it has its partition
		poll, stop := context.WithTimeout(ctx, 100*time.Millisecond)
		cl.PollFetches(poll)
		stop()
		if g, err := admin.DescribeGroup(ctx, client, "readers"); err == nil && g.State == "Stable" {
			break
		}
	}
	found, err := admin.Prune(t.Context(), client, admin.PruneSpec{File: file})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range found {
		got[p.Topic] = p.Protected
	}
	want := map[string]string{
		"empty": "", "full": "it holds records", "read": "group readers reads it",
		"connect-offsets": "it belongs to Kafka, Connect or a registry", "_schemas": "it belongs to Kafka, Connect or a registry",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, row := range []struct {
		spec admin.PruneSpec
		want string
	}{
		{admin.PruneSpec{Names: []string{"full"}, Execute: true}, "protected: it holds records"},
		{admin.PruneSpec{Names: []string{"read"}, Execute: true, Force: true}, "protected: group readers"},
		{admin.PruneSpec{Names: []string{"kept"}, Execute: true, Force: true}, "the catalog names it"},
		{admin.PruneSpec{Names: []string{"empt"}, Execute: true}, "did you mean empty?"},
		{admin.PruneSpec{Names: []string{"empty", "connect-offsets"}, Execute: true, Force: true}, "protected"},
	} {
		row.spec.File = file
		if _, err := admin.Prune(t.Context(), client, row.spec); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%v gives %v, want %q", row.spec.Names, err, row.want)
		}
	}
	if _, err := admin.Prune(t.Context(), client, admin.PruneSpec{File: file, Names: []string{"empty"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Prune(t.Context(), client, admin.PruneSpec{File: file, Names: []string{"full"}, Force: true, Execute: true}); err != nil {
		t.Fatal(err)
	}
	if left, err := admin.ListTopics(t.Context(), client, nil, false); err != nil || len(left) != 5 || slices.ContainsFunc(left, func(x admin.Topic) bool { return x.Name == "full" }) {
		t.Errorf("there are %v, %v", left, err)
	}
}

func TestSettingsAreChangedOneByOneAndLossNeedsExecute(t *testing.T) {
	_, client := brokertest.New(t)
	brokertest.Create(t, client, "t", 1, map[string]string{"retention.ms": "604800000", "segment.ms": "3600000"})
	of := admin.Resource{Topic: "t"}
	value := func(name string) (string, bool) {
		t.Helper()
		all, err := admin.DescribeConfigs(t.Context(), client, of)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(s admin.Setting) bool { return s.Name == name })
		if i < 0 {
			return "", false
		}
		return all[i].Value, all[i].Set
	}
	change := func(c admin.ConfigChange) ([]admin.ChangedConfig, error) {
		c.Of = of
		return admin.ChangeConfigs(t.Context(), client, c)
	}
	got, err := change(admin.ConfigChange{Set: map[string]string{"max.message.bytes": "12 MiB"}})
	if err != nil || !got[0].Done {
		t.Errorf("%+v, %v", got, err)
	}
	if v, set := value("max.message.bytes"); v != "12582912" || !set {
		t.Errorf("max.message.bytes is %q", v)
	}
	got, err = change(admin.ConfigChange{Set: map[string]string{"retention.ms": "1d"}})
	if err != nil || got[0].Done || !strings.Contains(got[0].Danger, "older than 1 d") {
		t.Errorf("lowering the retention gives %+v, %v", got, err)
	}
	if v, _ := value("retention.ms"); v != "604800000" {
		t.Errorf("it is %s although nothing was executed", v)
	}
	if got, err = change(admin.ConfigChange{Set: map[string]string{"retention.ms": "1d"}, Execute: true}); err != nil || !got[0].Done {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = change(admin.ConfigChange{Set: map[string]string{"min.insync.replicas": "2"}})
	if err != nil || got[0].Done || !strings.Contains(got[0].Danger, "the topic has 1 replicas") {
		t.Errorf("more copies in sync than there are give %+v, %v", got, err)
	}
	got, err = change(admin.ConfigChange{Unset: []string{"min.insync.replicas", "retention.bytes"}})
	if err != nil || !got[0].Done || !got[1].Done || got[0].Danger+got[1].Danger != "" {
		t.Errorf("to unset what is not set gives %+v, %v", got, err)
	}
	if got, err = change(admin.ConfigChange{Unset: []string{"segment.ms"}}); err != nil || !got[0].Done {
		t.Errorf("%+v, %v", got, err)
	}
	if _, set := value("segment.ms"); set {
		t.Error("segment.ms is still set")
	}
	if v, _ := value("retention.ms"); v != "86400000" {
		t.Errorf("retention.ms is %s afterwards: changes touched it", v)
	}
	for _, row := range []struct {
		change admin.ConfigChange
		want   string
	}{
		{admin.ConfigChange{Set: map[string]string{"retention.m": "1"}}, "did you mean retention.ms?"},
		{admin.ConfigChange{Set: map[string]string{"retention.ms": "soon"}}, "no whole number"},
		{admin.ConfigChange{Set: map[string]string{"cleanup.policy": "shred"}}, "not one of delete, compact"},
		{admin.ConfigChange{Set: map[string]string{"segment.ms": "1d"}, Unset: []string{"segment.ms"}}, "set and unset"},
		{admin.ConfigChange{Unset: []string{"segment.msx"}}, "is no configuration of it"},
	} {
		if _, err := change(row.change); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%+v gives %v, want %q", row.change, err, row.want)
		}
	}
	of.Topic = "tt"
	if _, err := change(admin.ConfigChange{Set: map[string]string{"segment.ms": "1d"}}); !errors.Is(err, admin.ErrNoTopic) {
		t.Errorf("an unknown topic gives %v", err)
	}
	if _, err := admin.DescribeConfigs(t.Context(), client, admin.Resource{Broker: 77}); err == nil || !strings.Contains(err.Error(), "there is no broker 77") {
		t.Errorf("an unknown broker gives %v", err)
	}
}

func TestATopicIsCopiedGrownCutAndDeleted(t *testing.T) {
	cfg, client := brokertest.New(t)
	brokertest.Create(t, client, "t", 2, map[string]string{"retention.ms": "604800000"})
	like, err := admin.Like(t.Context(), client, "t", "copy")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(admin.NewTopic{Name: "copy", Partitions: 2, Replicas: 1, Configs: map[string]string{"retention.ms": "604800000"}}, like); diff != "" {
		t.Error(diff)
	}
	if g, err := admin.AddPartitions(t.Context(), client, "t", 3, false); err != nil || !g.Done || g.Warning != "" {
		t.Errorf("an empty topic: %+v, %v", g, err)
	}
	for p := range int32(3) {
		brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: p}, kafka.Record{Value: []byte("a")}, kafka.Record{Value: []byte("b")})
	}
	if g, err := admin.AddPartitions(t.Context(), client, "t", 4, false); err != nil || g.Done || g.Warning == "" {
		t.Errorf("a topic with records: %+v, %v", g, err)
	}
	if _, err := admin.AddPartitions(t.Context(), client, "t", 3, true); err == nil || !strings.Contains(err.Error(), "cannot remove partitions") {
		t.Errorf("as many as before: %v", err)
	}
	if g, err := admin.AddPartitions(t.Context(), client, "t", 4, true); err != nil || !g.Done {
		t.Errorf("with execute: %+v, %v", g, err)
	}
	for _, execute := range []bool{false, true} {
		cut, err := admin.DeleteRecords(t.Context(), client, "t", *brokertest.Position(t, "1"), []int32{0, 2}, execute)
		want := []admin.Truncated{{Topic: "t", Partition: 0, To: 1, Records: 1}, {Topic: "t", Partition: 2, To: 1, Records: 1}}
		if diff := cmp.Diff(want, cut); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		n := 0
		for chunk, err := range records.Consume(t.Context(), cfg, records.ConsumeSpec{Topic: "t", Beginning: true}) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(chunk.Records)
		}
		if n != map[bool]int{false: 6, true: 4}[execute] {
			t.Errorf("with execute %v there are %d records", execute, n)
		}
	}
	if _, err := admin.DeleteRecords(t.Context(), client, "t", admin.End(), []int32{9}, true); err == nil || !strings.Contains(err.Error(), "no partition 9") {
		t.Errorf("an unknown partition: %v", err)
	}
	dry, err := admin.DeleteTopics(t.Context(), client, false, "t")
	if err != nil || dry[0].Deleted || dry[0].Messages != 4 {
		t.Errorf("%+v, %v", dry, err)
	}
	if _, err := admin.DeleteTopics(t.Context(), client, true, "t", "nope"); !errors.Is(err, admin.ErrNoTopic) {
		t.Errorf("one of two unknown: %v", err)
	}
	if done, err := admin.DeleteTopics(t.Context(), client, true, "t"); err != nil || !done[0].Deleted {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := admin.DescribeTopic(t.Context(), client, nil, "t"); !errors.Is(err, admin.ErrNoTopic) {
		t.Errorf("afterwards: %v", err)
	}
}

func TestGroupsAreResetOnlyWhenNobodyIsInThem(t *testing.T) {
	cfg, client := brokertest.New(t)
	brokertest.Create(t, client, "t", 2, nil)
	for p := range int32(2) {
		brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: p}, make([]kafka.Record, 5)...)
	}
	reset := func(to string, execute bool, topics ...admin.TopicParts) (admin.Reset, error) {
		return admin.ResetGroup(t.Context(), client, admin.ResetSpec{Group: "g", To: *brokertest.Position(t, to), Topics: topics, Execute: execute})
	}
	if _, err := reset("start", true); !errors.Is(err, admin.ErrNoGroup) {
		t.Errorf("a group that does not exist: %v", err)
	}
	if r, err := reset("2", false, admin.TopicParts{Topic: "t"}); err != nil || !r.New || r.Executed {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := admin.DescribeGroup(t.Context(), client, "g"); !errors.Is(err, admin.ErrNoGroup) {
		t.Errorf("a preview made it: %v", err)
	}
	at := func() (out [2]int64) {
		t.Helper()
		g, err := admin.DescribeGroup(t.Context(), client, "g")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range g.Rows {
			out[r.Partition] = r.Current
		}
		return out
	}
	for _, row := range []struct {
		to    string
		parts []admin.TopicParts
		want  [2]int64
	}{
		{"2", []admin.TopicParts{{Topic: "t"}}, [2]int64{2, 2}},
		{"shift:-1", []admin.TopicParts{{Topic: "t", Partitions: []int32{1}}}, [2]int64{2, 1}},
		{"shift:+100", nil, [2]int64{5, 5}},
		{"-3", nil, [2]int64{2, 2}},
		{"start", nil, [2]int64{0, 0}},
		{"9", nil, [2]int64{5, 5}},
		{"@-1h", nil, [2]int64{0, 0}},
		{"end", nil, [2]int64{5, 5}},
	} {
		if _, err := reset(row.to, true, row.parts...); err != nil || at() != row.want {
			t.Errorf("to %s: at %v, %v; want %v", row.to, at(), err, row.want)
		}
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		poll, stop := context.WithTimeout(ctx, 50*time.Millisecond)
		cl.PollFetches(poll)
		stop()
		if g, err := admin.DescribeGroup(ctx, client, "g"); err == nil && g.Members == 1 {
			break
		}
	}
	if _, err := reset("start", true); err == nil || !strings.Contains(err.Error(), "members: 1;") {
		t.Errorf("with a member: %v", err)
	}
	if _, err := admin.DeleteGroups(t.Context(), client, true, "g"); err == nil || !strings.Contains(err.Error(), "members: 1;") {
		t.Errorf("with a member: %v", err)
	}
	cl.LeaveGroup()
	cl.Close()
	if d, err := admin.DeleteGroups(t.Context(), client, false, "g"); err != nil || d[0].Deleted {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := admin.DeleteGroups(t.Context(), client, true, "g"); err != nil || !d[0].Deleted {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := admin.DescribeGroup(t.Context(), client, "g"); !errors.Is(err, admin.ErrNoGroup) {
		t.Errorf("afterwards: %v", err)
	}
}

func TestAllGroupsAreDescribedWithTotals(t *testing.T) {
	cfg, client := brokertest.New(t)
	brokertest.Create(t, client, "one", 1, nil)
	brokertest.Create(t, client, "two", 2, nil)
	brokertest.Send(t, cfg, "one", "a", "b", "c")
	brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "two", Partition: 1}, make([]kafka.Record, 4)...)
	adm := kadm.NewClient(client.Client())
	commit := func(group string, offsets kadm.Offsets) {
		t.Helper()
		if err := adm.CommitAllOffsets(t.Context(), group, offsets); err != nil {
			t.Fatal(err)
		}
	}
	var os kadm.Offsets
	os.AddOffset("one", 0, 1, -1)
	os.AddOffset("two", 0, 0, -1)
	os.AddOffset("two", 1, 1, -1)
	commit("both", os)
	var only kadm.Offsets
	only.AddOffset("one", 0, 3, -1)
	commit("done", only)
	got, err := admin.DescribeGroups(t.Context(), client)
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if diff := cmp.Diff([]admin.GroupTopic{{Topic: "one", Partitions: 1, Lag: 2}, {Topic: "two", Partitions: 2, Lag: 3}}, got[0].Topics); diff != "" || got[0].Lag != 5 {
		t.Errorf("lag %d\n%s", got[0].Lag, diff)
	}
	if got[1].Name != "done" || got[1].Lag != 0 {
		t.Errorf("%+v", got[1])
	}
	if _, err := admin.DescribeGroups(t.Context(), client, "both", "dome"); !errors.Is(err, admin.ErrNoGroup) || !strings.Contains(err.Error(), "did you mean done?") {
		t.Errorf("an unknown group gives %v", err)
	}
}

func TestTheClusterIsDescribed(t *testing.T) {
	_, client := brokertest.New(t)
	brokertest.Create(t, client, "t", 3, nil)
	c, err := admin.DescribeCluster(t.Context(), client)
	if err != nil || c.ID == "" || len(c.Brokers) != 1 || c.Topics != 1 || c.Partitions != 3 || c.Offline+c.UnderReplicated != 0 || c.Brokers[0].Leaders != 3 {
		t.Errorf("%+v, %v", c, err)
	}
}
