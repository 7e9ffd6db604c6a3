package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/probe"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/stack/broker"
	"github.com/smartlb/smartlb/internal/telemetry/analyzer"
	"github.com/smartlb/smartlb/internal/telemetry/reporter"
	"github.com/smartlb/smartlb/report"
	reportkafka "github.com/smartlb/smartlb/report/kafka"
)

const (
	perService = 20 // instances of one service
	step       = 100 * time.Millisecond
	meanMs     = 20 // of the lognormal latencies
	failing    = .001
)

// fleet is a number of instances, the proxies that send to them, an analyzer and a broker. Requests are only counted,
// with the counters and calls that real ones go through; everything from there to the disk is the real code.
type fleet struct {
	load      topic.Load
	reporting int // instances that report themselves with a Kafka client of their own; the others do not
	dir       string
	net       *network
	fail      context.CancelCauseFunc // ends the measurement
	addr      string
	instances []*member
	pools     map[string]*upstream.Pool
}

// member is one instance: what each proxy counts of it, and its own reporter.
type member struct {
	service, id string
	lives       []*upstream.Live
	self        *report.Reporter // nil: it does not report itself
}

// volume is what one topic got in a second.
type volume struct{ records, bytes float64 }

// measure runs a fleet and returns what each topic's log grew by in a second, after a warm-up in which pauses reach
// their length.
func measure(ctx context.Context, dir string, load topic.Load, reporting int, warm, span time.Duration) (map[string]volume, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel(nil)
	f := &fleet{load: load, reporting: min(reporting, load.Instances), dir: dir, net: newNetwork(), fail: cancel}
	if err := f.startBroker(ctx, &running); err != nil {
		return nil, err
	}
	if err := f.start(ctx, &running); err != nil {
		return nil, err
	}
	if !wait(ctx, warm) {
		return nil, context.Cause(ctx)
	}
	before, err := f.volumes(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if !wait(ctx, span) {
		return nil, context.Cause(ctx)
	}
	after, err := f.volumes(ctx)
	if err != nil {
		return nil, err
	}
	seconds := time.Since(began).Seconds()
	for name, v := range after {
		after[name] = volume{(v.records - before[name].records) / seconds, (v.bytes - before[name].bytes) / seconds}
	}
	return after, nil
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (f *fleet) config() kafka.Config {
	cfg := kafka.Default()
	cfg.Brokers, cfg.Linger = []string{f.addr}, 100*time.Millisecond // a node's default
	cfg.Dial = f.net.Dial
	return cfg
}

func (f *fleet) startBroker(ctx context.Context, running *sync.WaitGroup) error {
	cfg := broker.Default()
	cfg.Dir, cfg.External, cfg.Internal = f.dir, "127.0.0.1:9092", ""
	cfg.Listen, cfg.Dial = f.net.Listen, f.net.Dial
	b, err := broker.New(cfg, quiet())
	if err != nil {
		return err
	}
	running.Go(func() {
		if err := b.Run(ctx); err != nil {
			f.fail(err)
		}
	})
	f.addr = b.Addr()
	catalog, err := topic.Parse(deployment.Topics)
	if err != nil {
		return err
	}
	client, err := kafka.NewAdmin(f.config())
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = admin.EnsureTopics(ctx, client, catalog)
	return err
}

// start makes the instances and starts everything.
func (f *fleet) start(ctx context.Context, running *sync.WaitGroup) error {
	producer, err := kafka.NewProducer(f.config(), quiet())
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { closeSoon(producer.Close) })
	f.makeInstances()
	if err := f.startInstances(ctx, running); err != nil {
		return err
	}
	if err := f.configure(ctx, producer); err != nil {
		return err
	}
	cfg := analyzer.Default()
	cfg.Kafka = f.config()
	a, err := analyzer.New(cfg, quiet())
	if err != nil {
		return err
	}
	running.Go(func() { _ = a.Run(ctx); closeSoon(a.Close) })
	for p := range f.load.Proxies {
		running.Go(func() { f.proxy(ctx, p, producer) })
	}
	return nil
}

func closeSoon(end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = end(ctx)
}

func (f *fleet) makeInstances() {
	f.pools = map[string]*upstream.Pool{}
	for n := range f.load.Instances {
		m := &member{service: fmt.Sprintf("service-%d", n/perService), id: fmt.Sprintf("service-%d-instance-%d", n/perService, n%perService)}
		for range f.load.Proxies {
			m.lives = append(m.lives, upstream.NewLive(m.service, m.id, fmt.Sprintf("10.0.%d.%d:8080", n/250, n%250), 1, 1))
		}
		f.instances = append(f.instances, m)
		if f.load.Proxies == 0 {
			continue
		}
		p := f.pools[m.service]
		if p == nil {
			p = &upstream.Pool{Rev: 1, Name: "adaptive"}
			f.pools[m.service] = p
		}
		p.Live = append(p.Live, int32(len(p.Members)))
		p.Members = append(p.Members, upstream.Member{Live: m.lives[0], Weight: 1, SlowStart: 1, Capacity: 1, Veto: 1, Trust: 1, AsOf: 1})
	}
}

// configure publishes the fleet as a revision.
func (f *fleet) configure(ctx context.Context, producer *kafka.Producer) error {
	var doc strings.Builder
	doc.WriteString("services:\n")
	for n, m := range f.instances {
		if n%perService == 0 {
			fmt.Fprintf(&doc, "  - id: %s\n    instances:\n", m.service)
		}
		fmt.Fprintf(&doc, "      - {id: %s, address: \"10.0.%d.%d:8080\"}\n", m.id, n/250, n%250)
	}
	sum := sha256.Sum256([]byte(doc.String()))
	v, err := event.ConfigUpdate{
		ChangeID: "1-a", Timestamp: time.Now().UTC(), Kind: event.KindRevision, Revision: "1-a", Document: doc.String(), SHA256: hex.EncodeToString(sum[:]),
	}.Encode()
	if err == nil {
		_, err = producer.SendSync(ctx, kafka.Record{Topic: event.TopicConfigUpdates, Key: []byte("1-a"), Value: v})
	}
	return err
}

// startInstances starts the instances' own reporters, over the first second.
func (f *fleet) startInstances(ctx context.Context, running *sync.WaitGroup) error {
	for n, m := range f.instances[:f.reporting] {
		publisher, err := reportkafka.NewPublisher(reportkafka.Config{Brokers: []string{f.addr}, Dial: f.net.Dial})
		if err != nil {
			return err
		}
		load := .3 + .4*rand.Float64()
		m.self, err = report.New(report.Config{
			ServiceID: m.service, InstanceID: m.id, Publisher: publisher, NoUsage: true,
			Utilization: func() float64 { return load + .02*rand.NormFloat64() },
			Tags:        map[string]string{"environment": "production", "region": "us-east-1"},
		})
		if err != nil {
			return err
		}
		running.Go(func() {
			if wait(ctx, time.Duration(n)*10*time.Second/time.Duration(f.reporting)) {
				_ = m.self.Run(ctx)
			}
			closeSoon(publisher.Close)
		})
	}
	return nil
}

// view is what one proxy counts.
type view struct {
	f     *fleet
	proxy int
}

func (v view) EachLive(each func(*upstream.Live, map[string]string)) {
	for _, m := range v.f.instances {
		each(m.lives[v.proxy], map[string]string{"region": "us-east-1"})
	}
}

// proxy counts requests, checks instances and reports as one proxy does.
func (f *fleet) proxy(ctx context.Context, p int, producer *kafka.Producer) {
	began := time.Now()
	now := func() int64 { return int64(time.Since(began)) + 1e9 }
	r := reporter.New(configOf(fmt.Sprint("proxy-", p), now, producer))
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx, view{f, p}) }()
	defer func() { <-done }()
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return
		case at := <-ticker.C:
			// A ticker drops ticks on a busy machine, and a lower rate of requests is a change that is reported.
			for due := int(time.Since(began) / step); n < due; n++ {
				f.serve(p, r, now())
				f.check(r, at, n)
			}
		}
	}
}

// check probes the instances whose turn it is: each every five seconds. They begin spread over half a minute, so that
// repeated results are not all in the same batches.
func (f *fleet) check(r *reporter.Reporter, at time.Time, n int) {
	const turns, spread = int(5 * time.Second / step), int(30 * time.Second / step)
	for i, m := range f.instances {
		if begin := i * 7 % spread; n < begin || (n-begin)%turns != 0 {
			continue
		}
		r.Probed(probe.Result{
			Target: probe.Target{Service: m.service, Instance: m.id, Check: "http"}, At: at, Took: latency() / 10, Up: true, OK: true, StatusCode: 200, Body: "OK",
		})
	}
}

// serve counts the requests of one step.
func (f *fleet) serve(p int, r *reporter.Reporter, now int64) {
	mean := f.load.Requests / float64(max(f.load.Proxies, 1)) * step.Seconds()
	for _, m := range f.instances {
		l := m.lives[p]
		for range poisson(mean) {
			took, failed := latency(), rand.Float64() < failing
			if failed {
				l.Errors.Add(1)
			} else {
				l.Hist[upstream.HistBucket(int64(took))].Add(1)
			}
			l.Requests.Add(1)
			if m.self != nil {
				m.self.Observe(took, failed)
			}
			if rand.Float64() < .01 {
				r.Record(f.decision(m, now, took))
			}
		}
	}
}

func (f *fleet) decision(m *member, now int64, took time.Duration) *dispatch.Decision {
	p := f.pools[m.service]
	a := dispatch.Attempt{Pool: p, At: now, Status: 200, HeadNs: int64(took), Sent: true}
	a.Trace.Reason = "lowest-cost"
	for range 2 {
		a.Trace.Add(upstream.Candidate{Index: int32(rand.IntN(len(p.Members))), InFlight: int32(rand.IntN(5)), Cost: rand.Float32() * 5, Latency: rand.Float32() * 2, Err: rand.Float32() / 100, Penalty: 1, Silence: 1})
	}
	a.Chosen = int32(a.Trace.Candidates[0].Index)
	id := fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
	return &dispatch.Decision{ID: []byte(id), Service: m.service, Route: m.service, Revision: "1-a", Why: event.WhySample, At: now, DurationNs: int64(took), Attempts: []dispatch.Attempt{a}}
}

// latency draws from a lognormal distribution.
func latency() time.Duration {
	return time.Duration(meanMs * math.Exp(.5*rand.NormFloat64()) * float64(time.Millisecond))
}

// poisson draws a number with a small mean.
func poisson(mean float64) int {
	limit, product := math.Exp(-mean), rand.Float64()
	n := 0
	for ; product > limit; n++ {
		product *= rand.Float64()
	}
	return n
}

// volumes reads what was written to each topic, and the bytes of its logs.
func (f *fleet) volumes(ctx context.Context) (map[string]volume, error) {
	client, err := kafka.NewAdmin(f.config())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	topics, err := admin.ListTopics(ctx, client, nil, false)
	if err != nil {
		return nil, err
	}
	out := map[string]volume{}
	for _, t := range topics {
		bytes, err := logBytes(f.dir, t.Name)
		if err != nil {
			return nil, err
		}
		out[t.Name] = volume{float64(t.Written), bytes}
	}
	return out, nil
}

// logBytes adds up the segments of a topic's partitions.
func logBytes(dir, topic string) (float64, error) {
	total := 0.0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // deleted meanwhile
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".dat") && !strings.HasSuffix(path, ".log") {
			return err
		}
		folder := filepath.Base(filepath.Dir(path))
		if i := strings.LastIndexByte(folder, '-'); i < 0 || folder[:i] != topic {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += float64(info.Size())
		}
		return nil
	})
	return total, err
}
