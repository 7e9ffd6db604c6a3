package broker

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/smartlb/smartlb/internal/base/state"
	"github.com/smartlb/smartlb/internal/stack/broker/salvage"
)

// maxMessageBytes is the broker's limit of a batch: a value of 10 MB, and room for framing.
const maxMessageBytes = 11_534_336

// segmentBytes is the size of a log segment. Disk space is freed by whole segments.
const segmentBytes = 16 << 20

// Broker is a Kafka broker on a data directory.
type Broker struct {
	cfg     Config
	log     *slog.Logger
	release func() // of the data directory
	fan     *fanIn
	begin   *starts
	gone    *deletedGroups
	endings *endings
	other   *otherSettings
	ready   chan struct{}
	close   sync.Once
}

// lockFile is the file in the data directory that is locked while a broker runs.
const lockFile = "smartlb.lock"

// New checks cfg, locks the data directory and binds the listeners, so that errors of either appear at once. It starts
// nothing. Call Run or Close.
func New(cfg Config, log *slog.Logger) (*Broker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("kafka broker: %w", err)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("kafka broker: create data directory: %w", err)
	}
	release, err := state.TryLock(filepath.Join(cfg.Dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("kafka broker: data directory %s: %w", cfg.Dir, err)
	}
	b := &Broker{cfg: cfg, log: log, release: release, ready: make(chan struct{})}
	if err := b.bind(); err != nil {
		release()
		return nil, fmt.Errorf("kafka broker: %w", err)
	}
	return b, nil
}

func (b *Broker) bind() error {
	host, _, _ := splitHostPort(b.cfg.External)
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	external, err := b.listen("EXTERNAL", b.cfg.External, b.cfg.AdvertisedExternal, host)
	if err != nil {
		return err
	}
	entries := []*entry{external}
	if b.cfg.Internal != "" {
		internal, err := b.listen("INTERNAL", b.cfg.Internal, b.cfg.AdvertisedInternal, internalHost())
		if err != nil {
			external.ln.Close()
			return err
		}
		entries = append(entries, internal)
	}
	b.fan = newFanIn(entries)
	return nil
}

// internalHost is kafka if that name resolves, as it does for containers of the usual compose files, else localhost.
func internalHost() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if addrs, err := net.DefaultResolver.LookupHost(ctx, "kafka"); err == nil && len(addrs) > 0 {
		return "kafka"
	}
	return "localhost"
}

// Addr returns the advertised address of the EXTERNAL listener.
func (b *Broker) Addr() string { return b.fan.entries[0].advertised() }

// Bound returns the address to which the EXTERNAL listener is bound, independent of the advertised address.
func (b *Broker) Bound() string { return b.fan.entries[0].ln.Addr().String() }

// InternalAddr returns the advertised address of the INTERNAL listener; empty if there is none.
func (b *Broker) InternalAddr() string {
	if len(b.fan.entries) < 2 {
		return ""
	}
	return b.fan.entries[1].advertised()
}

// Ready returns a channel that is closed when a topic listing over the broker's own port succeeded.
func (b *Broker) Ready() <-chan struct{} { return b.ready }

// Close releases the resources of New if Run was not called. It may be called more than once.
func (b *Broker) Close() {
	b.close.Do(func() {
		b.fan.finish()
		b.release()
	})
}

// Run serves until ctx ends, then saves its state and returns nil. It can be called once.
func (b *Broker) Run(ctx context.Context) error {
	defer b.Close()
	began := time.Now()
	if err := b.repair(began); err != nil {
		return fmt.Errorf("kafka broker: %w", err)
	}
	id, err := newClusterID()
	if err != nil {
		return fmt.Errorf("kafka broker: %w", err)
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ClusterID(id), // of a new data directory; an existing directory has its own
		kfake.DataDir(b.cfg.Dir),
		kfake.DefaultNumPartitions(1),
		kfake.MaxVersions(served()),
		kfake.WithLogger(kfakeLog{b.log}),
		kfake.BrokerConfigs(map[string]string{
			"message.max.bytes":          strconv.Itoa(maxMessageBytes),
			"default.replication.factor": "1",
			"log.segment.bytes":          strconv.Itoa(segmentBytes),
			"log.cleaner.backoff.ms":     strconv.Itoa(1<<31*1000 - 1), // off: it can lose records, see doc.go
		}),
		kfake.ListenFn(func(_, _ string) (net.Listener, error) { return b.fan, nil }),
	)
	if err != nil {
		return fmt.Errorf("kafka broker: data directory %s cannot be read, move it away to start empty: %w", b.cfg.Dir, err)
	}
	defer b.closeCluster(cluster)
	refuseACLs(cluster)

	known, err := b.ask()
	if err != nil {
		return fmt.Errorf("kafka broker: %w", err)
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(b.Addr()), kgo.ClientID("smartlb-broker"), kgo.DisableClientMetrics(),
		kgo.RetryTimeout(callTimeout),
		kgo.Dialer(func(ctx context.Context, _, _ string) (net.Conn, error) {
			return b.cfg.Dial(ctx, "tcp", b.Bound()) // whichever address is advertised
		}),
	)
	if err != nil {
		return fmt.Errorf("kafka broker: %w", err)
	}
	adm := kadm.NewClient(client)
	b.fan.serve(b.dress(known, adm))

	ctx, stop := context.WithCancel(ctx)
	var own sync.WaitGroup
	defer func() {
		stop()
		client.Close()
		own.Wait()
	}()
	if err := b.settle(ctx, adm); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return nil
	}
	if err := b.other.restore(ctx, client); err != nil {
		b.log.Error("kafka could not restore settings of groups and client metrics", "error", err)
	}
	b.log.Info("kafka broker is ready: single node, no replication, durable as far as the page cache",
		"external", b.Addr(), "internal", b.InternalAddr(), "data", b.cfg.Dir, "took", time.Since(began).Round(time.Millisecond))
	close(b.ready)
	s := &sweeper{path: statePath(b.cfg.Dir), limit: b.cfg.Bytes, every: b.cfg.Sweep, adm: adm, log: b.log}
	own.Go(func() { s.run(ctx) })
	<-ctx.Done()
	return nil
}

// repair repairs the data directory and logs what it found.
func (b *Broker) repair(now time.Time) error {
	begin, err := loadStarts(b.cfg.Dir)
	if err != nil {
		return err
	}
	b.begin = begin
	if b.gone, err = loadDeletedGroups(b.cfg.Dir); err != nil {
		return err
	}
	if b.other, err = loadOtherSettings(b.cfg.Dir); err != nil {
		return err
	}
	if err := salvage.DropGroups(b.cfg.Dir, b.gone.before()); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if err := b.gone.clear(); err != nil {
		return err
	}
	var interrupted map[int64]salvage.Ending
	if b.endings, interrupted, err = loadEndings(b.cfg.Dir); err != nil {
		return err
	}
	report, err := salvage.Repair(b.cfg.Dir, begin.all(), interrupted, now)
	for _, d := range report.Damage {
		if d.Torn {
			b.log.Info("kafka cut off the end of a write that a kill interrupted", "file", d.File, "at", d.At, "bytes", d.Bytes)
			continue
		}
		b.log.Error("kafka data is damaged, what is whole before and behind it is served", "file", d.File, "at", d.At, "bytes", d.Bytes, "what", d.What, "copy", d.Copy)
	}
	for _, folder := range report.Strays {
		b.log.Warn("kafka moved away the records of a topic that does not exist", "folder", folder)
	}
	if report.Transactions > 0 {
		b.log.Info("kafka aborted the transactions that were open when it was killed", "partitions", report.Transactions)
	}
	if report.Committed > 0 {
		b.log.Info("kafka finished the transactions that were being committed when it was killed", "partitions", report.Committed)
	}
	if err == nil {
		err = b.endings.clear()
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return begin.keep(report.Starts)
}

// settle returns when a topic listing over the broker's own port succeeded.
func (b *Broker) settle(ctx context.Context, adm *kadm.Client) error {
	ctx, cancel := context.WithTimeoutCause(ctx, callTimeout, errors.New("no answer on the own port"))
	defer cancel()
	if _, err := adm.ListTopics(ctx); err != nil && !errors.Is(context.Cause(ctx), context.Canceled) {
		return fmt.Errorf("kafka broker: list topics over %s: %w", b.Addr(), err)
	}
	return nil
}

// dress wraps connections in the guard.
func (b *Broker) dress(known versions, adm *kadm.Client) func(net.Conn, *entry) net.Conn {
	topics := newPolicies(func(topic string) (string, bool) {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		described, err := adm.DescribeTopicConfigs(ctx, topic)
		if err != nil || len(described) != 1 || described[0].Err != nil {
			return "", false
		}
		for _, c := range described[0].Configs {
			if c.Key == "cleanup.policy" && c.Value != nil {
				return *c.Value, true
			}
		}
		return "", true
	})
	sizes := func(req *kmsg.CreatePartitionsRequest) map[string]int32 {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		names := make([]string, 0, len(req.Topics))
		for _, t := range req.Topics {
			names = append(names, t.Topic)
		}
		have := map[string]int32{}
		listed, err := adm.ListTopics(ctx, names...)
		if err != nil || len(names) == 0 {
			return have
		}
		for name, t := range listed {
			if t.Err == nil {
				have[name] = int32(len(t.Partitions))
			}
		}
		return have
	}
	room := &space{dir: b.cfg.Dir, reserve: uint64(b.cfg.Reserve), free: freeBytes, log: b.log}
	return func(c net.Conn, e *entry) net.Conn {
		return &conn{Conn: c, at: e, known: known, starts: b.begin, space: room, sizes: sizes, topics: topics, deleted: b.gone, endings: b.endings, settings: b.other, log: b.log}
	}
}

// served returns the request versions on offer. Produce 13 names topics by id, and two unknown ids in one request crash
// kfake (index out of range). CreateTopics 5 and DescribeTopicPartitions get replies that Kafka's Java clients cannot
// read. ListGroups 5 compares group types with case, so the lists of Java clients stay empty. kfake stores SCRAM users
// but does not ask for their passwords, and Java's share consumer fails on kfake's replies: neither is on offer.
func served() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(keyProduce, 12)
	v.SetMaxKeyVersion(keyCreateTopics, 4)
	v.SetMaxKeyVersion(keyListGroups, 4)
	v.SetMaxKeyVersion(keyDescribeTopicPartitions, -1)
	for _, key := range []kmsg.Key{
		kmsg.DescribeUserSCRAMCredentials, kmsg.AlterUserSCRAMCredentials,
		kmsg.ShareGroupHeartbeat, kmsg.ShareGroupDescribe, kmsg.ShareFetch, kmsg.ShareAcknowledge,
		kmsg.DescribeShareGroupOffsets, kmsg.AlterShareGroupOffsets, kmsg.DeleteShareGroupOffsets,
	} {
		v.SetMaxKeyVersion(key.Int16(), -1)
	}
	return v
}

// ask queries kfake for the requests that it serves, over an in-memory connection without a guard.
func (b *Broker) ask() (versions, error) {
	here, there := net.Pipe()
	defer here.Close()
	b.fan.wg.Go(func() { b.fan.inject(there) })
	if err := here.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return nil, err
	}
	req := kmsg.NewPtrApiVersionsRequest()
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("smartlb-broker")).AppendRequest(nil, req, 1)
	if _, err := here.Write(frame); err != nil {
		return nil, fmt.Errorf("ask for versions: %w", err)
	}
	var size [4]byte
	if _, err := io.ReadFull(here, size[:]); err != nil {
		return nil, fmt.Errorf("ask for versions: %w", err)
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(here, body); err != nil {
		return nil, fmt.Errorf("ask for versions: %w", err)
	}
	resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
	if err := resp.ReadFrom(body[4:]); err != nil {
		return nil, fmt.Errorf("ask for versions: %w", err)
	}
	known := versions{}
	for _, k := range resp.ApiKeys {
		known[k.ApiKey] = [2]int16{k.MinVersion, k.MaxVersion}
	}
	return known, nil
}

// newClusterID makes an id in Kafka's format: 16 random bytes in URL-safe base64.
func newClusterID() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make a cluster id: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// kfakeLog forwards kfake's warnings to log.
type kfakeLog struct{ log *slog.Logger }

func (l kfakeLog) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.log.Error("kafka broker", "message", fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.log.Warn("kafka broker", "message", fmt.Sprintf(format, args...))
	}
}
