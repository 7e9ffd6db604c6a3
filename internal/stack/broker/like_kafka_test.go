package broker

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// killed gives a broker on a copy of r's directory as a kill would leave it.
func killed(t *testing.T, r *running) *running {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(r.cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	return start(t, config(dir))
}

// assign() with a new group id failed in Java, librdkafka, kafka-python and
// kafkajs: the broker said that there is no such group.
func TestAGroupThatDoesNotExistHasNoOffsets(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	for version := int16(0); version <= 8; version++ {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Version = version
		if version < 8 {
			req.Group = "fresh"
			req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "a", Partitions: []int32{0, 1}}}
		} else {
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group, g.Topics = "fresh", []kmsg.OffsetFetchRequestGroupTopic{{Topic: "a", Partitions: []int32{0, 1}}}
			req.Groups = append(req.Groups, g)
		}
		resp := ask(t, r.Addr(), req).(*kmsg.OffsetFetchResponse)
		code, offsets := resp.ErrorCode, []int64{}
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				offsets = append(offsets, p.Offset)
			}
		}
		for _, g := range resp.Groups {
			code = g.ErrorCode
			for _, topic := range g.Topics {
				for _, p := range topic.Partitions {
					offsets = append(offsets, p.Offset)
				}
			}
		}
		if code != 0 || len(offsets) != 2 || offsets[0] != -1 || offsets[1] != -1 {
			t.Errorf("version %d: error %d, offsets %v; want -1 and -1", version, code, offsets)
		}
	}
}

func TestADeletedGroupStaysDeletedOverAKill(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	r.produce(t, "a", 9)
	commit := func(r *running, group string, at int64) {
		t.Helper()
		if err := r.adm.CommitAllOffsets(t.Context(), group, kadm.Offsets{"a": {0: {Topic: "a", At: at, LeaderEpoch: -1}}}); err != nil {
			t.Fatal(err)
		}
	}
	committed := func(r *running, group string) int64 {
		t.Helper()
		got, err := r.adm.FetchOffsets(t.Context(), group)
		if err != nil {
			t.Fatal(err)
		}
		if o, ok := got.Lookup("a", 0); ok {
			return o.At
		}
		return -1
	}
	for _, group := range []string{"gone", "again", "kept"} {
		commit(r, group, 7)
	}
	deleted, err := r.adm.DeleteGroups(t.Context(), "gone", "again")
	if err != nil || deleted.Error() != nil {
		t.Fatal(err, deleted.Error())
	}
	commit(r, "again", 3)

	k := killed(t, r)
	for group, want := range map[string]int64{"gone": -1, "again": 3, "kept": 7} {
		if got := committed(k, group); got != want {
			t.Errorf("group %s is at %d after a kill, want %d", group, got, want)
		}
	}
	groups, err := k.adm.ListGroups(t.Context())
	if _, listed := groups["gone"]; err != nil || listed {
		t.Errorf("the deleted group is listed after a kill: %v, %v", groups, err)
	}
	k.stop() // a clean stop rewrites the log: nothing of it may be dropped later
	again := start(t, config(k.cfg.Dir))
	if got := committed(again, "again"); got != 3 {
		t.Errorf("group again is at %d after a clean stop, want 3", got)
	}
}

func TestAPartitionThatWasEmptiedKeepsItsOffsetsOverAKill(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	r.produce(t, "a", 10)
	if _, err := r.adm.DeleteRecords(t.Context(), kadm.Offsets{"a": {0: {Topic: "a", At: -1, LeaderEpoch: -1}}}); err != nil {
		t.Fatal(err)
	}
	if first, end := r.offsets(t, "a"); first != 10 || end != 10 {
		t.Errorf("the log spans %d to %d, want 10 to 10", first, end)
	}
	k := killed(t, r)
	if first, end := k.offsets(t, "a"); first != 10 || end != 10 {
		t.Errorf("the log spans %d to %d after a kill, want 10 to 10", first, end)
	}
	k.produce(t, "a", 2)
	if first, end := killed(t, k).offsets(t, "a"); first != 10 || end != 12 {
		t.Errorf("the log spans %d to %d after two more records and a kill, want 10 to 12", first, end)
	}
}

// Permissions were accepted and not enforced.
func TestPermissionsAreRefusedAsWithoutAnAuthorizer(t *testing.T) {
	r := start(t, config(t.TempDir()))
	for range 3 { // every time, not once
		b := kadm.NewACLs().Allow("User:ann").AllowHosts("*").Topics("a").Operations(kadm.OpRead).ResourcePatternType(kadm.ACLPatternLiteral)
		created, err := r.adm.CreateACLs(t.Context(), b)
		if err != nil || len(created) != 1 || !errors.Is(created[0].Err, kerr.SecurityDisabled) {
			t.Fatalf("create: %+v, %v", created, err)
		}
		described, err := r.adm.DescribeACLs(t.Context(), b)
		if err == nil && len(described) > 0 {
			err = described[0].Err
		}
		if !errors.Is(err, kerr.SecurityDisabled) {
			t.Errorf("describe: %v", err)
		}
		dropped, err := r.adm.DeleteACLs(t.Context(), b)
		if err != nil || len(dropped) != 1 || !errors.Is(dropped[0].Err, kerr.SecurityDisabled) {
			t.Errorf("delete: %+v, %v", dropped, err)
		}
	}
}

func TestWhatIsNotServedIsNotOffered(t *testing.T) {
	r := start(t, config(t.TempDir()))
	offered, err := r.adm.ApiVersions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range offered {
		for _, key := range []kmsg.Key{kmsg.ShareGroupHeartbeat, kmsg.ShareFetch, kmsg.ShareGroupDescribe, kmsg.AlterUserSCRAMCredentials, kmsg.DescribeUserSCRAMCredentials} {
			if _, _, ok := v.KeyVersions(key.Int16()); ok {
				t.Errorf("%s is on offer", key.Name())
			}
		}
	}
}

// The described limit was a tenth of the enforced one, so that clients that
// look first refused what the broker takes.
func TestDescribedLimitsAreTheEnforcedOnes(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	if err := r.create(t, "own", map[string]string{"max.message.bytes": "2000"}); err != nil {
		t.Fatal(err)
	}
	described, err := r.adm.DescribeTopicConfigs(t.Context(), "a", "own")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range described {
		want := map[string]string{"max.message.bytes": strconv.Itoa(maxMessageBytes), "segment.bytes": strconv.Itoa(segmentBytes)}
		if d.Name == "own" {
			want["max.message.bytes"] = "2000"
		}
		for _, c := range d.Configs {
			if w, is := want[c.Key]; is && c.MaybeValue() != w {
				t.Errorf("%s: %s is described as %s, want %s", d.Name, c.Key, c.MaybeValue(), w)
			}
		}
	}
	big := client(t, r.Addr(), kgo.ProducerBatchMaxBytes(maxMessageBytes), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for _, row := range []struct {
		topic string
		size  int
		err   error
	}{{"a", 10 << 20, nil}, {"own", 1000, nil}, {"own", 3000, kerr.MessageTooLarge}} {
		if err := big.ProduceSync(t.Context(), &kgo.Record{Topic: row.topic, Value: make([]byte, row.size)}).FirstErr(); !errors.Is(err, row.err) {
			t.Errorf("%d bytes to %s: %v, want %v", row.size, row.topic, err, row.err)
		}
	}
}

func TestCompactedTopicsTakeNoRecordWithoutAKey(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if err := r.create(t, "state", map[string]string{"cleanup.policy": "compact"}); err != nil {
		t.Fatal(err)
	}
	if err := r.create(t, "later", nil); err != nil {
		t.Fatal(err)
	}
	padding := bytes.Repeat([]byte("x"), 5000) // else it is not compressed
	for name, codec := range map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
		cl := client(t, r.Addr(), kgo.ProducerBatchCompression(codec))
		for _, row := range []struct {
			what    string
			record  kgo.Record
			refused bool
		}{
			{"no key", kgo.Record{Topic: "state", Value: padding}, true},
			{"an empty key", kgo.Record{Topic: "state", Key: []byte{}, Value: padding}, false},
			{"a tombstone", kgo.Record{Topic: "state", Key: []byte("k")}, false},
			{"no key, not compacted", kgo.Record{Topic: "later", Value: padding}, false},
		} {
			err := cl.ProduceSync(t.Context(), &row.record).FirstErr()
			if row.refused != errors.Is(err, kerr.InvalidRecord) || !row.refused && err != nil {
				t.Errorf("%s, %s: %v", name, row.what, err)
			}
		}
	}
	value := "compact"
	if _, err := r.adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: &value}}, "later"); err != nil {
		t.Fatal(err)
	}
	if err := r.cl.ProduceSync(t.Context(), &kgo.Record{Topic: "later", Value: padding}).FirstErr(); !errors.Is(err, kerr.InvalidRecord) {
		t.Errorf("after the topic became compacted: %v", err)
	}
}

// The embedded broker was node 0 and the real one of a local stack is node 1.
func TestTheOnlyNodeIsNumberOne(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	m, err := r.adm.Metadata(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	p := m.Topics["a"].Partitions[0]
	if m.Controller != NodeID || len(m.Brokers) != 1 || m.Brokers[0].NodeID != NodeID || p.Leader != NodeID || len(p.Replicas) != 1 || p.Replicas[0] != NodeID || p.ISR[0] != NodeID {
		t.Errorf("controller %d, brokers %v, partition %+v", m.Controller, m.Brokers, p)
	}
	value := "300"
	set := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "background.threads", Value: &value}}
	for node, ok := range map[int32]bool{1: true, 0: false, 2: false} {
		described, err := r.adm.DescribeBrokerConfigs(t.Context(), node)
		if err == nil && len(described) == 1 {
			err = described[0].Err
		}
		if ok != (err == nil) {
			t.Errorf("describing broker %d: %v", node, err)
		}
		altered, err := r.adm.AlterBrokerConfigs(t.Context(), set, node)
		if err == nil && len(altered) == 1 {
			err = altered[0].Err
		}
		if !ok && err == nil {
			t.Errorf("altering broker %d was accepted", node)
		}
	}
	for _, row := range []struct {
		replicas []int32
		code     int16
	}{{[]int32{1}, 0}, {[]int32{0}, kerr.InvalidReplicaAssignment.Code}, {[]int32{1, 2}, kerr.InvalidReplicaAssignment.Code}, {nil, kerr.InvalidReplicaAssignment.Code}} {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version = 4
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "placed-"+strconv.Itoa(len(row.replicas))+"-"+strconv.Itoa(int(row.code)), -1, -1
		a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		a.Replicas = row.replicas
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, a)
		req.Topics = append(req.Topics, topic)
		resp := ask(t, r.Addr(), req).(*kmsg.CreateTopicsResponse)
		if len(resp.Topics) != 1 || resp.Topics[0].ErrorCode != row.code {
			t.Errorf("replicas %v: %+v, want error %d", row.replicas, resp.Topics, row.code)
		}

		move := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		mt := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		mt.Topic = "a"
		mp := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		if mp.Replicas = row.replicas; mp.Replicas == nil {
			mp.Replicas = []int32{}
		}
		mt.Partitions = append(mt.Partitions, mp)
		move.Topics = append(move.Topics, mt)
		moved := ask(t, r.Addr(), move).(*kmsg.AlterPartitionAssignmentsResponse)
		if len(moved.Topics) != 1 || len(moved.Topics[0].Partitions) != 1 || moved.Topics[0].Partitions[0].ErrorCode != row.code {
			t.Errorf("moving to %v: %+v, want error %d", row.replicas, moved.Topics, row.code)
		}
	}
}

func TestSettingsOfGroupsStayOverAKill(t *testing.T) {
	r := start(t, config(t.TempDir()))
	set := func(r *running, op kmsg.IncrementalAlterConfigOp, value *string) {
		t.Helper()
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		one := kmsg.NewIncrementalAlterConfigsRequestResource()
		one.ResourceType, one.ResourceName = kmsg.ConfigResourceTypeGroupConfig, "g"
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Op, c.Value = "consumer.session.timeout.ms", op, value
		one.Configs = append(one.Configs, c)
		req.Resources = append(req.Resources, one)
		resp, err := req.RequestWith(t.Context(), r.cl)
		if err != nil || resp.Resources[0].ErrorCode != 0 {
			t.Fatal(resp, err)
		}
	}
	get := func(r *running) string {
		t.Helper()
		req := kmsg.NewPtrDescribeConfigsRequest()
		one := kmsg.NewDescribeConfigsRequestResource()
		one.ResourceType, one.ResourceName, one.ConfigNames = kmsg.ConfigResourceTypeGroupConfig, "g", []string{"consumer.session.timeout.ms"}
		req.Resources = append(req.Resources, one)
		resp, err := req.RequestWith(t.Context(), r.cl)
		if err != nil || len(resp.Resources) != 1 || len(resp.Resources[0].Configs) != 1 {
			t.Fatal(resp, err)
		}
		if v := resp.Resources[0].Configs[0].Value; v != nil {
			return *v
		}
		return ""
	}
	value := "50000"
	set(r, kmsg.IncrementalAlterConfigOpSet, &value)
	k := killed(t, r)
	if got := get(k); got != value {
		t.Errorf("after a kill the setting is %q, want %q", got, value)
	}
	set(k, kmsg.IncrementalAlterConfigOpDelete, nil)
	if got := get(killed(t, k)); got == value {
		t.Error("a setting that was taken back is there again after a kill")
	}
}

// What a broker tells of itself is of this broker: kfake's own rack, users and
// mechanisms were told once.
func TestTheBrokersSettingsAreItsOwn(t *testing.T) {
	t.Parallel()
	r := start(t, config(t.TempDir()))
	req := kmsg.NewPtrDescribeConfigsRequest()
	one := kmsg.NewDescribeConfigsRequestResource()
	one.ResourceType, one.ResourceName = kmsg.ConfigResourceTypeBroker, "1"
	req.Resources = append(req.Resources, one)
	resp, err := req.RequestWith(t.Context(), r.cl)
	if err != nil || len(resp.Resources) != 1 || len(resp.Resources[0].Configs) < 10 {
		t.Fatal(resp, err)
	}
	for _, c := range resp.Resources[0].Configs {
		switch {
		case slices.Contains([]string{"broker.rack", "super.users", "sasl.enabled.mechanisms"}, c.Name):
			t.Errorf("%s is told: it has none", c.Name)
		case c.Name == "broker.id" && (c.Value == nil || *c.Value != "1"):
			t.Errorf("broker.id %v", c.Value)
		}
	}
}

// The words of an offset, with 127 bytes or more, closed the connection: the
// epoch -1 before their length was taken for a count of 2^28.
func TestOffsetsTakeWordsOfAnyLength(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	admin := kadm.NewClient(client(t, r.Addr()))
	for _, n := range []int{0, 1, 126, 127, 128, 255, 256, 2047, 2048, 4095, 4096} {
		var all kadm.Offsets
		words := strings.Repeat("w", n)
		all.Add(kadm.Offset{Topic: "a", At: 3, LeaderEpoch: -1, Metadata: words})
		if err := admin.CommitAllOffsets(t.Context(), "g", all); err != nil {
			t.Errorf("%d bytes: %v", n, err)
			continue
		}
		got, err := admin.FetchOffsets(t.Context(), "g")
		if o, _ := got.Lookup("a", 0); err != nil || o.Metadata != words {
			t.Errorf("%d bytes: %d come back, %v", n, len(o.Metadata), err)
		}
	}
}
