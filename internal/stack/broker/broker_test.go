package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/base/state"
	"github.com/smartlb/smartlb/internal/stack/broker/salvage"

	"github.com/smartlb/smartlb/internal/test/leftout"
)

// running is a broker of a test.
type running struct {
	*Broker
	stop func()
	cl   *kgo.Client
	adm  *kadm.Client
}

func config(dir string) Config {
	cfg := Default()
	cfg.Dir, cfg.External, cfg.Internal = dir, "127.0.0.1:0", "127.0.0.1:0"
	return cfg
}

func start(t *testing.T, cfg Config) *running {
	t.Helper()
	b, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	select {
	case <-b.Ready():
	case err := <-done:
		t.Fatalf("the broker ended: %v", err)
	}
	r := &running{Broker: b, cl: client(t, b.Addr())}
	r.adm = kadm.NewClient(r.cl)
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		r.cl.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the broker ended with %v", err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

func client(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr), kgo.DisableClientMetrics()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func (r *running) create(t *testing.T, topic string, configs map[string]string) error {
	t.Helper()
	c := map[string]*string{}
	for k, v := range configs {
		c[k] = &v
	}
	resp, err := r.adm.CreateTopic(t.Context(), 1, 1, c, topic)
	if err != nil {
		return err
	}
	return resp.Err
}

func (r *running) produce(t *testing.T, topic string, n int) {
	t.Helper()
	for i := range n {
		// one batch each, because deletion goes by batches
		if err := r.cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte("k"), Value: fmt.Appendf(nil, "v%d", i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *running) offsets(t *testing.T, topic string) (int64, int64) {
	t.Helper()
	first, err := r.adm.ListStartOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	last, err := r.adm.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := first.Lookup(topic, 0)
	l, _ := last.Lookup(topic, 0)
	return f.Offset, l.Offset
}

func TestEachListenerAdvertisesItself(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if r.Addr() == r.InternalAddr() {
		t.Fatalf("both listeners are %s", r.Addr())
	}
	for _, e := range r.fan.entries {
		cl := client(t, e.ln.Addr().String())
		m, err := kadm.NewClient(cl).BrokerMetadata(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := net.JoinHostPort(m.Brokers[0].Host, strconv.Itoa(int(m.Brokers[0].Port))); got != e.advertised() {
			t.Errorf("metadata through %s names %s, want %s", e.name, got, e.advertised())
		}
		for _, version := range []int16{2, 4} {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorKey, req.CoordinatorKeys = "g", []string{"g"}
			req.SetVersion(version)
			resp := ask(t, e.ln.Addr().String(), req).(*kmsg.FindCoordinatorResponse)
			port := resp.Port
			if version >= 4 {
				port = resp.Coordinators[0].Port
			}
			if port != e.port {
				t.Errorf("coordinator through %s (v%d) is at port %d, want %d", e.name, version, port, e.port)
			}
		}
		dc := kmsg.NewPtrDescribeClusterRequest()
		if resp := ask(t, e.ln.Addr().String(), dc).(*kmsg.DescribeClusterResponse); resp.Brokers[0].Rack != nil || m.Brokers[0].Rack != nil {
			t.Errorf("through %s the broker stands in a rack: %v %v", e.name, resp.Brokers[0].Rack, m.Brokers[0].Rack)
		} else if resp.Brokers[0].Port != e.port {
			t.Errorf("cluster through %s is at port %d, want %d", e.name, resp.Brokers[0].Port, e.port)
		}
	}
}

// ask sends one request over a connection of its own.
func ask(t *testing.T, addr string, req kmsg.Request) kmsg.Response {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 7)); err != nil {
		t.Fatal(err)
	}
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		t.Fatalf("no reply: %v", err)
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, body); err != nil {
		t.Fatal(err)
	}
	resp := req.ResponseKind()
	head := 4
	if resp.IsFlexible() && req.Key() != keyAPIVersions {
		head++
	}
	if err := resp.ReadFrom(body[head:]); err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestHostileBytesCloseTheirConnectionAndNothingElse(t *testing.T) {
	r := start(t, config(t.TempDir()))
	frame := func(key, version int16, body string) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(10+len(body)))
		b = binary.BigEndian.AppendUint16(b, uint16(key))
		b = binary.BigEndian.AppendUint16(b, uint16(version))
		b = append(b, 0, 0, 0, 1, 0xff, 0xff)
		return append(b, body...)
	}
	for name, bytes := range map[string][]byte{
		"an HTTP request":              []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"a TLS client hello":           {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00},
		"an unknown api key":           frame(999, 0, ""),
		"a negative api key":           frame(-1, 0, ""),
		"a version from the future":    frame(3, 99, "\x00\x00\x00\x00"),
		"a negative version":           frame(3, -1, ""),
		"a request between brokers":    frame(4, 0, ""),
		"produce by topic id":          frame(0, 13, "\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
		"a frame of no bytes":          {0, 0, 0, 0, 0, 0},
		"a frame over 100 MiB":         {0x7f, 0xff, 0xff, 0xff, 0, 0},
		"an array that lies":           frame(3, 1, "\x7f\xff\xff\xff"),
		"a produce array that lies":    frame(0, 3, "\xff\xff\x00\x01\x00\x00\x00\x00\x7f\xff\xff\xff"),
		"a body that is cut short":     frame(1, 4, "\x00"),
		"a header that is cut short":   {0, 0, 0, 10, 0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff},
		"a large frame of a small key": {0, 0x50, 0, 0, 0, 3, 0, 1},
	} {
		c, err := net.Dial("tcp", r.Addr())
		if err != nil {
			t.Fatalf("%s: the broker is gone: %v", name, err)
		}
		if _, err := c.Write(bytes); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s gets an answer", name)
		}
		c.Close()
	}
	if _, err := r.adm.ListTopics(t.Context()); err != nil {
		t.Errorf("the broker does not answer afterwards: %v", err)
	}
}

func TestABatchWithoutRecordsDoesNotMoveTheLog(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	r.produce(t, "a", 3)
	batch := make([]byte, batchHead)
	binary.BigEndian.PutUint32(batch[8:], batchHead-12)
	batch[16] = 2
	binary.BigEndian.PutUint32(batch[23:], uint32(0xfffffffa)) // last offset delta -6
	binary.BigEndian.PutUint32(batch[57:], uint32(0xfffffffb)) // -5 records
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks = 7, -1
	pt := kmsg.NewProduceRequestTopic()
	pt.Topic = "a"
	pp := kmsg.NewProduceRequestTopicPartition()
	pp.Records = batch
	pt.Partitions = append(pt.Partitions, pp)
	req.Topics = append(req.Topics, pt)
	c, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the batch gets an answer, want a closed connection")
	}
	if _, end := r.offsets(t, "a"); end != 3 {
		t.Errorf("the log ends at %d, want 3", end)
	}
}

func TestInvalidTopicsAndConfigurationsGetKafkasErrors(t *testing.T) {
	r := start(t, config(t.TempDir()))
	for _, row := range []struct {
		topic   string
		configs map[string]string
		want    error
	}{
		{"good-1.a_b", map[string]string{"retention.ms": "604800000", "cleanup.policy": "compact,delete", "max.message.bytes": "11534336"}, nil},
		{"bad name!", nil, kerr.InvalidTopicException},
		{"../..", nil, kerr.InvalidTopicException},
		{strings.Repeat("x", 250), nil, kerr.InvalidTopicException},
		{"t", map[string]string{"bogus.key": "1"}, kerr.InvalidConfig},
		{"t", map[string]string{"retention.ms": "abc"}, kerr.InvalidConfig},
		{"t", map[string]string{"retention.ms": "-5"}, kerr.InvalidConfig},
		{"t", map[string]string{"cleanup.policy": "nonsense"}, kerr.InvalidConfig},
		{"t", map[string]string{"min.cleanable.dirty.ratio": "NaN"}, kerr.InvalidConfig},
		{"t", map[string]string{"segment.bytes": "99999999999"}, kerr.InvalidConfig},
	} {
		if err := r.create(t, row.topic, row.configs); !errors.Is(err, row.want) {
			t.Errorf("create %.20q with %v gives %v, want %v", row.topic, row.configs, err, row.want)
		}
	}
	// valid and invalid ones together: each gets its own answer
	resp, err := r.adm.CreateTopics(t.Context(), 1, 1, nil, "fine", "not fine")
	if err != nil {
		t.Fatal(err)
	}
	if resp["fine"].Err != nil || !errors.Is(resp["not fine"].Err, kerr.InvalidTopicException) {
		t.Errorf("together they get %v and %v", resp["fine"].Err, resp["not fine"].Err)
	}
	for _, row := range []struct {
		key, value string
		want       error
	}{{"retention.ms", "1000", nil}, {"retention.ms", "soon", kerr.InvalidConfig}, {"bogus", "1", kerr.InvalidConfig}} {
		v := row.value
		resp, err := r.adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: row.key, Value: &v}}, "fine")
		if err != nil {
			t.Fatal(err)
		}
		if !errors.Is(resp[0].Err, row.want) {
			t.Errorf("incremental %s=%s gives %v, want %v", row.key, row.value, resp[0].Err, row.want)
		}
		resp, err = r.adm.AlterTopicConfigsState(t.Context(), []kadm.AlterConfig{{Name: row.key, Value: &v}}, "fine")
		if err != nil {
			t.Fatal(err)
		}
		if !errors.Is(resp[0].Err, row.want) {
			t.Errorf("full %s=%s gives %v, want %v", row.key, row.value, resp[0].Err, row.want)
		}
	}
}

func TestMorePartitionsThanMemoryHoldsAreRefused(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if _, err := r.adm.CreateTopic(t.Context(), 1<<31-1, 1, nil, "a"); !errors.Is(err, kerr.InvalidPartitions) {
		t.Errorf("two billion partitions give %v", err)
	}
	if err := r.create(t, "b", nil); err != nil {
		t.Fatal(err)
	}
	resp, err := r.adm.UpdatePartitions(t.Context(), 1<<31-1, "b")
	if err != nil || !errors.Is(resp["b"].Err, kerr.InvalidPartitions) {
		t.Errorf("two billion more give %v, %v", resp["b"].Err, err)
	}
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("many-%d", i))
	}
	all, err := r.adm.CreateTopics(t.Context(), maxPartitions, 1, nil, names...)
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for _, one := range all {
		if one.Err == nil {
			made++
		} else if !errors.Is(one.Err, kerr.InvalidPartitions) {
			t.Errorf("%s: %v", one.Topic, one.Err)
		}
	}
	if made != maxRequestPartitions/maxPartitions {
		t.Errorf("%d topics of %d partitions were made by one request", made, maxPartitions)
	}
}

func TestTheLargestPromisedValuePasses(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if err := r.create(t, "a", map[string]string{"max.message.bytes": "11534336"}); err != nil {
		t.Fatal(err)
	}
	cl := client(t, r.Addr(), kgo.ProducerBatchMaxBytes(maxMessageBytes), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "a", Value: make([]byte, 10_485_760)}).FirstErr(); err != nil {
		t.Errorf("10,485,760 bytes: %v", err)
	}
}

func TestADirectoryServesOneBrokerAndTheRefusalNamesIts(t *testing.T) {
	dir := t.TempDir()
	start(t, config(dir))
	_, err := New(config(dir), slog.New(slog.DiscardHandler))
	if !errors.Is(err, state.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("a second broker gives %v, want state.ErrLocked and the pid %d", err, os.Getpid())
	}
}

func TestADirectoryThatCannotBeUsedIsSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := New(config(filepath.Join(file, "dir")), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "data directory") {
		t.Errorf("a directory below a file gives %v", err)
	}
	bad := t.TempDir()
	if err := os.WriteFile(filepath.Join(bad, "meta.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := New(config(bad), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), bad) {
		t.Errorf("a damaged directory gives %v, want an error that names it", err)
	}
}

func TestAPortInUseIsSaidAndLeavesNoLock(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cfg := config(t.TempDir())
	cfg.Internal = ln.Addr().String()
	if _, err := New(cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "INTERNAL") {
		t.Fatalf("a port in use gives %v", err)
	}
	cfg.Internal = ""
	b, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("the directory is still locked: %v", err)
	}
	b.Close()
}

func TestRecordsOffsetsAndCommitsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	r := start(t, config(dir))
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	r.produce(t, "a", 10)
	// All records are deleted; the offsets must not start again at 0, below the
	// committed 7.
	if _, err := r.adm.DeleteRecords(t.Context(), kadm.Offsets{"a": {0: {Topic: "a", At: -1, LeaderEpoch: -1}}}); err != nil {
		t.Fatal(err)
	}
	if err := r.adm.CommitAllOffsets(t.Context(), "g", kadm.Offsets{"a": {0: {Topic: "a", At: 7, LeaderEpoch: -1}}}); err != nil {
		t.Fatal(err)
	}
	id := clusterID(t, r)
	r.stop()

	r = start(t, config(dir))
	if first, end := r.offsets(t, "a"); first != 10 || end != 10 {
		t.Errorf("the log spans %d to %d after the restart, want 10 to 10", first, end)
	}
	r.produce(t, "a", 1)
	if first, end := r.offsets(t, "a"); first != 10 || end != 11 {
		t.Errorf("the log spans %d to %d after one more record, want 10 to 11", first, end)
	}
	committed, err := r.adm.FetchOffsets(t.Context(), "g")
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := committed.Lookup("a", 0); o.At != 7 {
		t.Errorf("committed %d after the restart, want 7", o.At)
	}
	if again := clusterID(t, r); again != id || len(id) != 22 {
		t.Errorf("cluster id %q became %q", id, again)
	}
}

func clusterID(t *testing.T, r *running) string {
	t.Helper()
	m, err := r.adm.BrokerMetadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m.Cluster
}

func TestACorruptTailIsCutOffAndTheRestServed(t *testing.T) {
	dir := t.TempDir()
	r := start(t, config(dir))
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	r.produce(t, "a", 5)
	r.stop()
	segments, err := filepath.Glob(filepath.Join(dir, "*", "*", "*.dat"))
	if more, _ := filepath.Glob(filepath.Join(dir, "*", "*.dat")); len(segments) == 0 {
		segments = more
	}
	if err != nil || len(segments) != 1 {
		t.Fatalf("segments %v, %v; want one", segments, err)
	}
	f, err := os.OpenFile(segments[0], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("half a batch that the power cut off, long enough to look like one")); err != nil {
		t.Fatal(err)
	}
	f.Close()
	r = start(t, config(dir))
	if first, end := r.offsets(t, "a"); first != 0 || end != 5 {
		t.Errorf("the log spans %d to %d, want 0 to 5", first, end)
	}
	r.produce(t, "a", 1)
	if _, end := r.offsets(t, "a"); end != 6 {
		t.Errorf("the log ends at %d after one more record, want 6", end)
	}
}

func TestRetentionDeletesByTheWallClock(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir)
	cfg.Sweep = time.Hour // the test sweeps by hand
	r := start(t, cfg)
	if err := r.create(t, "a", map[string]string{"retention.ms": "60000"}); err != nil {
		t.Fatal(err)
	}
	if err := r.create(t, "forever", map[string]string{"retention.ms": "-1"}); err != nil {
		t.Fatal(err)
	}
	s := &sweeper{path: statePath(t.TempDir()), limit: 1 << 30, every: time.Second, adm: r.adm, log: slog.New(slog.DiscardHandler)}
	s.load()
	now := time.Now()
	sweep := func(after time.Duration) {
		t.Helper()
		if err := s.sweep(t.Context(), now.Add(after)); err != nil {
			t.Fatal(err)
		}
	}
	r.produce(t, "a", 4)
	r.produce(t, "forever", 4)
	sweep(0)
	r.produce(t, "a", 4)
	sweep(30 * time.Second)
	if first, _ := r.offsets(t, "a"); first != 0 {
		t.Errorf("records of half their age are gone: the log starts at %d", first)
	}
	sweep(61 * time.Second)
	if first, _ := r.offsets(t, "a"); first != 4 {
		t.Errorf("the log starts at %d when the first four are too old, want 4", first)
	}
	sweep(time.Hour)
	if first, end := r.offsets(t, "a"); first != 7 || end != 8 {
		t.Errorf("the log spans %d to %d when all are too old, want the last record", first, end)
	}
	if first, _ := r.offsets(t, "forever"); first != 0 {
		t.Errorf("an unlimited log starts at %d", first)
	}
	begin, err := loadStarts(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := begin.all()[salvage.Partition{Topic: "a"}]; got != 7 {
		t.Errorf("the remembered start is %d, want 7", got)
	}
}

func TestRetentionLimitsTheWholeLog(t *testing.T) {
	r := start(t, config(t.TempDir()))
	for _, topic := range []string{"small", "large"} {
		if err := r.create(t, topic, nil); err != nil {
			t.Fatal(err)
		}
	}
	cl := client(t, r.Addr(), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for i := range 20 {
		for _, topic := range []string{"small", "large"} {
			size := 1000
			if topic == "large" {
				size = 100_000
			}
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: make([]byte, size)}).FirstErr(); err != nil {
				t.Fatal(i, err)
			}
		}
	}
	s := &sweeper{path: statePath(t.TempDir()), limit: 1_000_000, every: time.Second, adm: r.adm, log: slog.New(slog.DiscardHandler)}
	s.load()
	if err := s.sweep(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if first, _ := r.offsets(t, "small"); first != 0 {
		t.Errorf("the small topic starts at %d although the large one could give way", first)
	}
	if first, end := r.offsets(t, "large"); first < 10 || first >= end {
		t.Errorf("the large topic spans %d to %d, want at most half of its 20 records", first, end)
	}
}

func TestKcatReadsWritesAndListsGroups(t *testing.T) {
	kcat := leftout.Unless(t, "kcat as a foreign client", "kcat")
	r := start(t, config(t.TempDir()))
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	run := func(stdin string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, kcat, append([]string{"-b", r.Addr()}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("kcat %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("one\ntwo\n", "-P", "-t", "a", "-k", "key")
	if got := run("", "-C", "-t", "a", "-e", "-q", "-f", "%k=%s;"); got != "key=one;key=two;" {
		t.Errorf("kcat reads %q", got)
	}
	if got := run("", "-L"); !strings.Contains(got, `topic "a" with 1 partitions`) {
		t.Errorf("kcat lists %q", got)
	}
	if got := run("", "-G", "g", "-e", "-q", "-X", "auto.offset.reset=earliest", "-c", "2", "a"); !strings.Contains(got, "two") {
		t.Errorf("a kcat group reads %q", got)
	}
	groups, err := r.adm.ListGroups(t.Context())
	if err != nil || len(groups.Groups()) != 1 {
		t.Errorf("groups %v, %v; want g", groups.Groups(), err)
	}
}
