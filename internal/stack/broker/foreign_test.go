package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Java's client appended compact to the default policy, and the topic stopped
// deleting old records. Kafka adds to the policy in effect.
func TestAppendingToTheCleanupPolicyAddsToThePolicyInEffect(t *testing.T) {
	r := start(t, config(t.TempDir()))
	for _, row := range []struct{ topic, set, appended, want string }{
		{"default", "", "compact", "delete,compact"},
		{"compacted", "compact", "delete", "compact,delete"},
		{"same", "compact", "compact", "compact"},
		{"twice", "", "compact,delete", "delete,compact"},
	} {
		settings := map[string]*string{}
		if row.set != "" {
			settings[cleanupPolicy] = &row.set
		}
		if _, err := r.adm.CreateTopic(t.Context(), 1, 1, settings, row.topic); err != nil {
			t.Fatal(err)
		}
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		one := kmsg.NewIncrementalAlterConfigsRequestResource()
		one.ResourceType, one.ResourceName = kmsg.ConfigResourceTypeTopic, row.topic
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Op, c.Value = cleanupPolicy, kmsg.IncrementalAlterConfigOpAppend, &row.appended
		one.Configs = append(one.Configs, c)
		req.Resources = append(req.Resources, one)
		resp, err := req.RequestWith(t.Context(), r.cl)
		if err != nil || resp.Resources[0].ErrorCode != 0 {
			t.Fatal(resp, err)
		}
		got, err := r.adm.DescribeTopicConfigs(t.Context(), row.topic)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got[0].Configs {
			if c.Key == cleanupPolicy && c.MaybeValue() != row.want {
				t.Errorf("%s: the policy is %s, want %s", row.topic, c.MaybeValue(), row.want)
			}
		}
	}
}

func TestElectionsOfTheOnlyReplicaAreNotNeeded(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if _, err := r.adm.CreateTopic(t.Context(), 1, 1, nil, "elected"); err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrElectLeadersRequest()
	one := kmsg.NewElectLeadersRequestTopic()
	one.Topic, one.Partitions = "elected", []int32{0, 7}
	req.Topics = append(req.Topics, one)
	resp := ask(t, r.Addr(), req).(*kmsg.ElectLeadersResponse)
	want := map[int32]int16{0: kerr.ElectionNotNeeded.Code, 7: kerr.UnknownTopicOrPartition.Code}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != len(want) {
		t.Fatalf("%+v", resp.Topics)
	}
	for _, p := range resp.Topics[0].Partitions {
		if p.ErrorCode != want[p.Partition] {
			t.Errorf("partition %d: error %d, want %d", p.Partition, p.ErrorCode, want[p.Partition])
		}
	}
	req.Topics = nil
	if resp := ask(t, r.Addr(), req).(*kmsg.ElectLeadersResponse); len(resp.Topics) != 0 {
		t.Errorf("an election of all names %+v", resp.Topics)
	}
}
