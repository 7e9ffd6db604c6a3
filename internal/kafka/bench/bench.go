package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Spec configures a benchmark.
type Spec struct {
	Topic      string // empty: a temporary topic, deleted afterwards
	Partitions int32  // of the temporary topic
	Records    int64  // how many; 0: as many as can be sent during For
	For        time.Duration
	Rate       float64 // records per second; 0: no limit

	Linger      time.Duration
	BatchBytes  int32
	Compression string
	Acks        string

	Payload Payload
	Keyed   bool // by service id; false: records have no key
	Seed    uint64

	Tell func(records int64, spent time.Duration) // called from time to time; may be nil
}

// Result holds the results of a benchmark.
type Result struct {
	Topic        string         `json:"topic"`
	Records      int64          `json:"records"`
	Bytes        int64          `json:"bytes"` // keys and values
	Seconds      float64        `json:"seconds"`
	PerSecond    float64        `json:"recordsPerSecond"`
	MBPerSecond  float64        `json:"megabytesPerSecond"` // 10^6 bytes
	Latency      Latency        `json:"latencyMs"`
	CPUSeconds   float64        `json:"cpuSeconds"` // of this process
	CPUPerRecord float64        `json:"cpuMicrosPerRecord"`
	LogBytes     float64        `json:"logBytesPerRecord"` // on the broker's disk; 0: the broker does not report it
	Spread       []int64        `json:"recordsPerPartition"`
	Settings     map[string]any `json:"settings"`
	Failed       int64          `json:"failed"`
	FirstError   string         `json:"firstError,omitempty"`
}

// Latency is in milliseconds. For producing: from the time when a record was due to its acknowledgement. For consuming:
// the round trip of a fetch.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// latencies is a histogram of microseconds with three significant digits, up to one minute.
type latencies struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

const longest = time.Minute

func newLatencies() *latencies {
	return &latencies{h: hdrhistogram.New(1, longest.Microseconds(), 3)}
}

func (l *latencies) record(d time.Duration) {
	l.mu.Lock()
	_ = l.h.RecordValue(min(max(d, time.Microsecond), longest).Microseconds()) // always within the histogram's bounds
	l.mu.Unlock()
}

func (l *latencies) result() Latency {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := func(q float64) float64 { return float64(l.h.ValueAtQuantile(q)) / 1000 }
	return Latency{at(50), at(90), at(99), at(99.9), float64(l.h.Max()) / 1000}
}

// maxBuffered limits how many records wait for the broker, so that latency without a rate limit is that of a short
// queue.
const maxBuffered = 10_000

// ErrPrecious refuses to produce load into a topic whose readers would use it as real data.
var ErrPrecious = errors.New("its readers would take the load for real")

// Produce sends service metrics and measures throughput and latency.
func Produce(ctx context.Context, cfg kafka.Config, catalog topic.Catalog, spec Spec) (Result, error) {
	if _, known := catalog.Find(spec.Topic); known {
		return Result{}, fmt.Errorf("bench %s: %w", spec.Topic, ErrPrecious)
	}
	if err := spec.check(); err != nil {
		return Result{}, err
	}
	a, err := kafka.NewAdmin(cfg)
	if err != nil {
		return Result{}, err
	}
	defer a.Close()
	name, done, err := spec.place(ctx, a, cfg.RequestTimeout)
	if err != nil {
		return Result{}, err
	}
	defer done()
	spec.Topic = name
	return spec.produce(ctx, a, cfg)
}

func (s Spec) check() error {
	switch {
	case s.Records <= 0 && s.For <= 0:
		return errors.New("bench: a number of records or a time is needed")
	case s.Rate < 0 || s.Records < 0:
		return errors.New("bench: rate and number of records must be positive")
	}
	return s.Payload.check()
}

// place finds the topic, or creates one that done deletes.
func (s Spec) place(ctx context.Context, a *kafka.Admin, timeout time.Duration) (name string, done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if s.Topic != "" {
		_, err := admin.DescribeTopic(ctx, a, nil, s.Topic)
		return s.Topic, func() {}, err
	}
	name = fmt.Sprintf("smartlb-bench-%08x", rand.Uint32())
	t := admin.NewTopic{Name: name, Partitions: max(s.Partitions, 1), Replicas: -1, Configs: map[string]string{"max.message.bytes": fmt.Sprint(kafka.MaxBatchBytes), "retention.ms": "3600000"}}
	if err := admin.CreateTopic(ctx, a, t, false); err != nil {
		return "", nil, err
	}
	return name, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		_, _ = kadm.NewClient(a.Client()).DeleteTopics(ctx, name) // if this fails, the topic's retention deletes the records
	}, nil
}

func (s Spec) produce(ctx context.Context, a *kafka.Admin, cfg kafka.Config) (Result, error) {
	out := Result{Topic: s.Topic, Settings: s.settings(cfg)}
	opts, err := records.ProduceSpec{Partition: -1, Linger: s.Linger, BatchBytes: s.BatchBytes, Compression: s.Compression, Acks: s.Acks}.Options(kafka.MaxBatchBytes)
	if err != nil {
		return out, err
	}
	client, err := kgo.NewClient(append(append(cfg.Options(), opts...), kgo.MaxBufferedRecords(maxBuffered))...)
	if err != nil {
		return out, err
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return out, err
	}
	lat, spread := newLatencies(), map[int32]int64{}
	var mu sync.Mutex // guards spread and out while records are in flight
	makes := s.Payload.generator(s.Seed)
	began, cpu := time.Now(), cpuSeconds()
	for n := int64(0); (s.Records <= 0 || n < s.Records) && (s.For <= 0 || time.Since(began) < s.For) && ctx.Err() == nil; n++ {
		due := time.Now()
		if s.Rate > 0 {
			due = began.Add(time.Duration(float64(n) / s.Rate * float64(time.Second)))
			backoff.Sleep(ctx, time.Until(due))
		}
		key, value := makes(due)
		r := &kgo.Record{Topic: s.Topic, Value: value}
		if s.Keyed {
			r.Key = key
		}
		client.Produce(ctx, r, func(r *kgo.Record, err error) {
			if err == nil {
				lat.record(time.Since(due))
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				if out.Failed++; out.FirstError == "" {
					out.FirstError = err.Error()
				}
				return
			}
			out.Records++
			out.Bytes += int64(len(r.Key) + len(r.Value))
			spread[r.Partition]++
		})
		if s.Tell != nil && n%1024 == 0 {
			s.Tell(n, time.Since(began))
		}
	}
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.DeliveryTimeout)
	defer cancel()
	flushed := client.Flush(flush)
	out.finish(began, cpu, lat)
	mu.Lock()
	defer mu.Unlock()
	out.Spread = spreadOf(spread)
	out.LogBytes = logBytes(ctx, a, s.Topic)
	if flushed != nil {
		return out, fmt.Errorf("bench %s: %w", s.Topic, flushed)
	}
	if out.Failed > 0 {
		return out, fmt.Errorf("bench %s: %d records failed, the first: %s", s.Topic, out.Failed, out.FirstError)
	}
	return out, ctx.Err()
}

func (s Spec) settings(cfg kafka.Config) map[string]any {
	return map[string]any{
		"lingerMs": float64(s.Linger.Microseconds()) / 1000, "batchBytes": s.BatchBytes, "compression": s.Compression, "acks": s.Acks,
		"keyed": s.Keyed, "services": s.Payload.Services, "instances": s.Payload.Instances, "skew": s.Payload.Skew, "rate": s.Rate, "seed": s.Seed, "brokers": cfg.Brokers,
	}
}

func (b *Result) finish(began time.Time, cpu float64, lat *latencies) {
	b.Seconds = time.Since(began).Seconds()
	b.CPUSeconds = cpuSeconds() - cpu
	if b.Seconds > 0 {
		b.PerSecond, b.MBPerSecond = float64(b.Records)/b.Seconds, float64(b.Bytes)/b.Seconds/1e6
	}
	if b.Records > 0 {
		b.CPUPerRecord = b.CPUSeconds / float64(b.Records) * 1e6
	}
	b.Latency = lat.result()
	if b.Spread == nil {
		b.Spread = []int64{}
	}
}

func spreadOf(parts map[int32]int64) []int64 {
	out := []int64{}
	for p, n := range parts {
		for int(p) >= len(out) {
			out = append(out, 0)
		}
		out[p] = n
	}
	return out
}

// cpuSeconds returns the CPU time of this process so far.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// logBytes returns how many bytes one record of a topic takes on disk, 0 if the broker does not report it.
func logBytes(ctx context.Context, a *kafka.Admin, name string) float64 {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	d, err := admin.DescribeTopic(ctx, a, nil, name)
	if err != nil {
		return 0
	}
	count := int64(0)
	for _, p := range d.Partitions {
		count += p.End - p.Start
	}
	if count == 0 {
		return 0
	}
	dirs, err := kadm.NewClient(a.Client()).DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return 0
	}
	var size int64
	dirs.Each(func(d kadm.DescribedLogDir) {
		for _, p := range d.Topics[name] {
			size += p.Size
		}
	})
	return float64(size) / float64(count)
}

// Consume reads records from the beginning of a topic and measures throughput and latency. A temporary topic is
// filled first.
func Consume(ctx context.Context, cfg kafka.Config, spec Spec) (Result, error) {
	a, err := kafka.NewAdmin(cfg)
	if err != nil {
		return Result{}, err
	}
	defer a.Close()
	name, done, err := spec.place(ctx, a, cfg.RequestTimeout)
	if err != nil {
		return Result{}, err
	}
	defer done()
	own := spec.Topic == ""
	spec.Topic = name
	if own {
		if err := spec.check(); err != nil {
			return Result{}, err
		}
		if _, err := spec.produce(ctx, a, cfg); err != nil {
			return Result{}, err
		}
	}
	out := Result{Topic: name, Settings: map[string]any{"brokers": cfg.Brokers}}
	lat, spread := newLatencies(), map[int32]int64{}
	began, cpu := time.Now(), cpuSeconds()
	err = spec.read(ctx, cfg, func(b records.Batch) (enough bool) {
		lat.record(b.Took)
		for _, r := range b.Records {
			out.Records++
			out.Bytes += int64(len(r.Key) + len(r.Value))
			spread[r.Partition]++
			if out.Records == spec.Records {
				return true
			}
		}
		if spec.Tell != nil {
			spec.Tell(out.Records, time.Since(began))
		}
		return spec.For > 0 && !own && time.Since(began) > spec.For
	})
	out.Spread = spreadOf(spread)
	out.finish(began, cpu, lat)
	return out, err
}

// read reads a topic from its beginning until its end, or until take has enough.
func (s Spec) read(ctx context.Context, cfg kafka.Config, take func(records.Batch) (enough bool)) error {
	r, err := records.Open(ctx, cfg, records.Query{Topic: s.Topic})
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		b, err := r.Next(ctx)
		switch {
		case errors.Is(err, records.ErrEnd):
			return nil
		case err != nil:
			return err
		case take(b):
			return nil
		}
	}
}
