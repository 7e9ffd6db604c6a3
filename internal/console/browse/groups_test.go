package browse

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// withGroups opens a browser that keeps its thresholds in dir.
func withGroups(t *testing.T, dir string) (*Browser, *kgo.Client) {
	t.Helper()
	c := kafkatest.New(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return look(t, c, dir), client
}

// fill makes a topic of two partitions with records in each, and a group that
// stands before some of them.
func fill(t *testing.T, b *Browser, client *kgo.Client, records, committed int64) {
	t.Helper()
	if err := admin.CreateTopic(t.Context(), b.cfg.Admin, admin.NewTopic{Name: "t", Partitions: 2, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	more(t, client, records)
	offsets := kadm.Offsets{}
	for p := range int32(2) {
		offsets.Add(kadm.Offset{Topic: "t", Partition: p, At: committed, LeaderEpoch: -1})
	}
	if err := kadm.NewClient(client).CommitAllOffsets(t.Context(), "g", offsets); err != nil {
		t.Fatal(err)
	}
}

func more(t *testing.T, client *kgo.Client, records int64) {
	t.Helper()
	by, err := kgo.NewClient(kgo.SeedBrokers(client.OptValue(kgo.SeedBrokers).([]string)...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer by.Close()
	for p := range int32(2) {
		for range records {
			if err := by.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: p, Value: []byte("x")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAGroupsLagAndWhereItGoes(t *testing.T) {
	b, client := withGroups(t, "")
	fill(t, b, client, 10, 4)
	now := time.Unix(1_800_000_000, 0)
	for i := range trendSteps + 1 {
		if err := b.sampleGroups(t.Context(), now.Add(time.Duration(i)*Step)); err != nil {
			t.Fatal(err)
		}
		if i == trendSteps/2 {
			more(t, client, 30)
		}
	}
	d, err := b.Group(t.Context(), "g")
	if err != nil {
		t.Fatal(err)
	}
	if d.Lag != 72 || len(d.Past) != 2 || len(d.History.Points) != trendSteps+1 || *d.History.Points[0] != 12 || *d.Past[1].Lag.Points[trendSteps] != 36 {
		t.Errorf("%+v", d)
	}
	if d.Trend.PerSecond == nil || *d.Trend.PerSecond != 2 || d.Trend.CaughtUp != nil {
		t.Errorf("60 more in half a minute: %+v", d.Trend)
	}
	if lag := b.lagByTopic(); lag["t"] != 72 {
		t.Errorf("%v", lag)
	}

	// It catches up: half of it is read within the next step.
	if _, err := b.ResetGroup(t.Context(), admin.ResetSpec{Group: "g", To: admin.End(), Execute: true, Exact: map[kafka.TopicPartition]int64{{Topic: "t", Partition: 1}: 22}}); err != nil {
		t.Fatal(err)
	}
	if err := b.sampleGroups(t.Context(), now.Add(time.Duration(trendSteps+1)*Step)); err != nil {
		t.Fatal(err)
	}
	all, err := b.Groups(t.Context())
	if err != nil || len(all) != 1 || *all[0].Lag != 18 || *all[0].Members != 0 || all[0].Topics[0] != "t" {
		t.Fatalf("%+v %v", all, err)
	}
	if tr := all[0].Trend; tr.PerSecond == nil || *tr.PerSecond != 0.2 || tr.CaughtUp != nil { // 12 before, 18 now
		t.Errorf("%+v", tr)
	}
	for i := range trendSteps {
		if err := b.sampleGroups(t.Context(), now.Add(time.Duration(trendSteps+2+i)*Step)); err != nil {
			t.Fatal(err)
		}
	}
	if all, err = b.Groups(t.Context()); err != nil || all[0].Trend.CaughtUp != nil || *all[0].Trend.PerSecond != 0 {
		t.Errorf("a group that stands still: %+v %v", all[0].Trend, err)
	}
}

func TestForgettingGroupsAndTopics(t *testing.T) {
	b, client := withGroups(t, "")
	fill(t, b, client, 5, 1)
	if d, err := b.DeleteOffsets(t.Context(), "g", "t", true); err != nil || d.Partitions != 2 || d.Lag != 8 || d.Deleted {
		t.Errorf("a preview: %+v %v", d, err)
	}
	if _, err := b.DeleteOffsets(t.Context(), "g", "u", false); !errors.Is(err, admin.ErrNoTopic) {
		t.Errorf("a topic that it never read: %v", err)
	}
	if d, err := b.DeleteOffsets(t.Context(), "g", "t", false); err != nil || !d.Deleted {
		t.Errorf("%+v %v", d, err)
	}
	if err := b.sampleGroups(t.Context(), time.Now()); err != nil {
		t.Logf("a group without commits: %v", err)
	}
	if lag := b.lagByTopic(); len(lag) != 0 {
		t.Errorf("%v", lag)
	}
	if _, err := b.DeleteGroup(t.Context(), "nobody", false); !errors.Is(err, admin.ErrNoGroup) {
		t.Errorf("%v", err)
	}
}

func TestThresholdsLast(t *testing.T) {
	dir := t.TempDir()
	b, client := withGroups(t, dir)
	fill(t, b, client, 5, 1)
	if err := b.SetThreshold(t.Context(), "nobody", &Threshold{Lag: 1}); !errors.Is(err, admin.ErrNoGroup) {
		t.Errorf("a group that is not there: %v", err)
	}
	if err := b.SetThreshold(t.Context(), "g", &Threshold{Lag: 7}); err != nil {
		t.Fatal(err)
	}
	if err := b.sampleGroups(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if w := b.Watched(); len(w) != 1 || !w[0].Alarm || w[0].Lag != 8 {
		t.Errorf("%+v", w)
	}
	again, err := New(Config{Kafka: b.cfg.Kafka, Admin: b.cfg.Admin, Dir: dir, Log: b.cfg.Log})
	if err != nil {
		t.Fatal(err)
	}
	d, err := again.Group(t.Context(), "g")
	if err != nil || d.Threshold == nil || d.Threshold.Lag != 7 || !d.Alarm {
		t.Errorf("after a restart: %+v %v", d.Threshold, err)
	}
	if err := again.SetThreshold(t.Context(), "g", &Threshold{Lag: 8}); err != nil {
		t.Fatal(err)
	}
	if d, err = again.Group(t.Context(), "g"); err != nil || d.Alarm {
		t.Errorf("a lag that is equal is not above: %+v %v", d.Threshold, err)
	}
	if err := again.SetThreshold(t.Context(), "g", nil); err != nil {
		t.Fatal(err)
	}
	if again.Watched() != nil {
		t.Error("a threshold that was taken away is there")
	}
	if err := os.WriteFile(filepath.Join(dir, thresholdsFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Dir: dir}); err == nil {
		t.Error("a damaged file is taken")
	}
}
