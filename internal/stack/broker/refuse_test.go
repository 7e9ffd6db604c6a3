package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestTopicsAreRefusedWithKafkasCodesAlsoWhenOnlyValidated(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if err := r.create(t, "taken.name", nil); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		what       string
		topic      string
		partitions int32
		replicas   int16
		key, value string
		want       error
	}{
		{"a topic", "fine", 3, 1, "", "", nil},
		{"defaults", "defaults", -1, -1, "", "", nil},
		{"a name that differs in . and _ only", "taken_name", 1, 1, "", "", kerr.InvalidTopicException},
		{"a name that is taken", "taken.name", 1, 1, "", "", kerr.TopicAlreadyExists},
		{"no partitions", "t", 0, 1, "", "", kerr.InvalidPartitions},
		{"fewer than none", "t", -2, 1, "", "", kerr.InvalidPartitions},
		{"no replicas", "t", 1, 0, "", "", kerr.InvalidReplicationFactor},
		{"more replicas than brokers", "t", 1, 3, "", "", kerr.InvalidReplicationFactor},
		{"a level out of range", "t", 1, 1, "compression.gzip.level", "12", kerr.InvalidConfig},
		{"a timestamp that is not kept", "t", 1, 1, "message.timestamp.type", "LogAppendTime", kerr.InvalidConfig},
		{"the one that is kept", "created", 1, 1, "message.timestamp.type", "CreateTime", nil},
		{"storage that is not there", "t", 1, 1, "remote.storage.enable", "true", kerr.InvalidConfig},
		{"a flag that is none", "t", 1, 1, "preallocate", "yes", kerr.InvalidConfig},
		{"an empty policy", "t", 1, 1, "cleanup.policy", "", kerr.InvalidConfig},
	} {
		for _, validateOnly := range []bool{true, false} {
			req := kmsg.NewPtrCreateTopicsRequest()
			req.Version, req.ValidateOnly, req.TimeoutMillis = 4, validateOnly, 1000
			topic := kmsg.NewCreateTopicsRequestTopic()
			topic.Topic, topic.NumPartitions, topic.ReplicationFactor = row.topic, row.partitions, row.replicas
			if row.key != "" {
				c := kmsg.NewCreateTopicsRequestTopicConfig()
				c.Name, c.Value = row.key, &row.value
				topic.Configs = append(topic.Configs, c)
			}
			req.Topics = append(req.Topics, topic)
			resp := ask(t, r.Addr(), req).(*kmsg.CreateTopicsResponse)
			if len(resp.Topics) != 1 || !errors.Is(kerr.ErrorForCode(resp.Topics[0].ErrorCode), row.want) {
				t.Errorf("%s (validate only: %v) gives %+v, want %v", row.what, validateOnly, resp.Topics, row.want)
			}
		}
	}
}

func TestAlterationsAreRefusedWithKafkasCodesAlsoWhenOnlyValidated(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		what     string
		resource kmsg.ConfigResourceType
		name     string
		op       kmsg.IncrementalAlterConfigOp
		key      string
		value    string
		want     error
	}{
		{"a retention", kmsg.ConfigResourceTypeTopic, "a", kmsg.IncrementalAlterConfigOpSet, "retention.ms", "1000", nil},
		{"a retention that is no number", kmsg.ConfigResourceTypeTopic, "a", kmsg.IncrementalAlterConfigOpSet, "retention.ms", "1d", kerr.InvalidConfig},
		{"an unknown key", kmsg.ConfigResourceTypeTopic, "a", kmsg.IncrementalAlterConfigOpSet, "retention.s", "1", kerr.InvalidConfig},
		{"an unknown key taken away", kmsg.ConfigResourceTypeTopic, "a", kmsg.IncrementalAlterConfigOpDelete, "retention.s", "", kerr.InvalidConfig},
		{"one more policy", kmsg.ConfigResourceTypeTopic, "a", kmsg.IncrementalAlterConfigOpAppend, "cleanup.policy", "compact", nil},
		{"one more retention", kmsg.ConfigResourceTypeTopic, "a", kmsg.IncrementalAlterConfigOpAppend, "retention.ms", "1", kerr.InvalidConfig},
		{"a topic that is not there", kmsg.ConfigResourceTypeTopic, "b", kmsg.IncrementalAlterConfigOpSet, "retention.ms", "1000", kerr.UnknownTopicOrPartition},
		{"what would wake kfake's cleaner", kmsg.ConfigResourceTypeBroker, "", kmsg.IncrementalAlterConfigOpSet, "log.cleaner.backoff.ms", "10", kerr.InvalidRequest},
	} {
		for _, validateOnly := range []bool{true, false} {
			req := kmsg.NewPtrIncrementalAlterConfigsRequest()
			req.ValidateOnly = validateOnly
			res := kmsg.NewIncrementalAlterConfigsRequestResource()
			res.ResourceType, res.ResourceName = row.resource, row.name
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name, c.Op, c.Value = row.key, row.op, &row.value
			res.Configs = append(res.Configs, c)
			req.Resources = append(req.Resources, res)
			resp := ask(t, r.Addr(), req).(*kmsg.IncrementalAlterConfigsResponse)
			if len(resp.Resources) != 1 || !errors.Is(kerr.ErrorForCode(resp.Resources[0].ErrorCode), row.want) {
				t.Errorf("%s (validate only: %v) gives %+v, want %v", row.what, validateOnly, resp.Resources, row.want)
			}
		}
	}
	for count, want := range map[int32]error{0: kerr.InvalidPartitions, -3: kerr.InvalidPartitions, 1: kerr.InvalidPartitions, 4: nil} {
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.ValidateOnly, req.TimeoutMillis = true, 1000
		topic := kmsg.NewCreatePartitionsRequestTopic()
		topic.Topic, topic.Count = "a", count
		req.Topics = append(req.Topics, topic)
		resp := ask(t, r.Addr(), req).(*kmsg.CreatePartitionsResponse)
		if len(resp.Topics) != 1 || !errors.Is(kerr.ErrorForCode(resp.Topics[0].ErrorCode), want) {
			t.Errorf("%d partitions give %+v, want %v", count, resp.Topics, want)
		}
	}
}

// produceRaw sends one batch to partition 0 of a topic.
func produceRaw(t *testing.T, r *running, topic string, batch []byte) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, -1, 1000
	pt := kmsg.NewProduceRequestTopic()
	pt.Topic = topic
	pp := kmsg.NewProduceRequestTopicPartition()
	pp.Records = batch
	pt.Partitions = append(pt.Partitions, pp)
	req.Topics = append(req.Topics, pt)
	resp := ask(t, r.Addr(), req).(*kmsg.ProduceResponse)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		t.Fatalf("the answer is %+v", resp)
	}
	return resp.Topics[0].Partitions[0]
}

// A batch that says that it bears the broker's time was stored with a wrong
// checksum: after a restart it and all behind it were gone.
func TestBatchesThatKfakeWouldStoreDamagedAreRefused(t *testing.T) {
	dir := t.TempDir()
	r := start(t, config(dir))
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	seal := func(b []byte) []byte {
		binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
		return b
	}
	good := plainBatch(rand.New(rand.NewPCG(1, 1)))
	if p := produceRaw(t, r, "a", good); p.ErrorCode != 0 {
		t.Fatalf("an honest batch gives %v", kerr.ErrorForCode(p.ErrorCode))
	}
	appendTime := append([]byte(nil), good...)
	appendTime[22] |= appendTimeBit
	if p := produceRaw(t, r, "a", seal(appendTime)); !errors.Is(kerr.ErrorForCode(p.ErrorCode), kerr.InvalidTimestamp) {
		t.Errorf("a batch with LogAppendTime gives %v", kerr.ErrorForCode(p.ErrorCode))
	}
	liar := append([]byte(nil), good...)
	binary.BigEndian.PutUint32(liar[57:], 1_000_000)
	binary.BigEndian.PutUint32(liar[23:], 999_999)
	if p := produceRaw(t, r, "a", seal(liar)); !errors.Is(kerr.ErrorForCode(p.ErrorCode), kerr.InvalidRecord) {
		t.Errorf("a batch that claims a million records gives %v", kerr.ErrorForCode(p.ErrorCode))
	}
	r.produce(t, "a", 3)
	_, end := r.offsets(t, "a")
	r.stop()
	r = start(t, config(dir))
	if _, again := r.offsets(t, "a"); again != end {
		t.Errorf("the log ends at %d after a restart, before at %d", again, end)
	}
}

func TestAFullDiskTakesNothingAndLosesNothing(t *testing.T) {
	cfg := config(t.TempDir())
	r := start(t, cfg)
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	r.produce(t, "a", 3)
	r.stop()
	cfg.Reserve = 1 << 60 // more than any disk has
	r = start(t, cfg)
	if err := r.create(t, "b", nil); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("a topic gives %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	cl := client(t, r.Addr(), kgo.RecordRetries(0))
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "a", Value: []byte("v")}).FirstErr(); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("a record gives %v", err)
	}
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Version, commit.Group, commit.Generation = 8, "g", -1
	ct := kmsg.NewOffsetCommitRequestTopic()
	ct.Topic = "a"
	ct.Partitions = append(ct.Partitions, kmsg.NewOffsetCommitRequestTopicPartition())
	commit.Topics = append(commit.Topics, ct)
	if resp := ask(t, r.Addr(), commit).(*kmsg.OffsetCommitResponse); len(resp.Topics) != 1 || resp.Topics[0].Partitions[0].ErrorCode != kerr.CoordinatorNotAvailable.Code {
		t.Errorf("a commit gives %+v", resp)
	}
	if first, end := r.offsets(t, "a"); first != 0 || end != 3 {
		t.Errorf("the log spans %d to %d, want 0 to 3", first, end)
	}
	r.stop()
	cfg.Reserve = 0
	r = start(t, cfg)
	r.produce(t, "a", 1)
}

func TestCompactedTopicsLoseNoKeyByAge(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if err := r.create(t, "state", map[string]string{"cleanup.policy": "compact", "retention.ms": "1000"}); err != nil {
		t.Fatal(err)
	}
	r.produce(t, "state", 4)
	s := &sweeper{path: statePath(t.TempDir()), limit: 1 << 30, every: time.Second, adm: r.adm, log: slog.New(slog.DiscardHandler)}
	s.load()
	now := time.Now()
	for _, after := range []time.Duration{0, time.Hour} {
		if err := s.sweep(t.Context(), now.Add(after)); err != nil {
			t.Fatal(err)
		}
	}
	if first, _ := r.offsets(t, "state"); first != 0 {
		t.Errorf("the log begins at %d after an hour", first)
	}
}

// One flipped bit on the disk costs the batch that it is in.
func TestABrokerServesWhatIsWholeBehindADamagedBatch(t *testing.T) {
	dir := t.TempDir()
	r := start(t, config(dir))
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	r.produce(t, "a", 5)
	r.stop()
	damage(t, dir, "a-0", 65)
	r = start(t, config(dir))
	if first, end := r.offsets(t, "a"); first != 1 || end != 5 {
		t.Errorf("the log spans %d to %d, want what is behind the first batch", first, end)
	}
	if err := r.adm.CommitAllOffsets(t.Context(), "g", kadm.Offsets{"a": {0: {Topic: "a", At: 5, LeaderEpoch: -1}}}); err != nil {
		t.Error(err)
	}
}

// damage flips a bit of a partition's first segment.
func damage(t *testing.T, dir, partition string, at int) {
	t.Helper()
	path := filepath.Join(dir, "partitions", partition, "0.dat")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[at] ^= 1
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}
