package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/bench/rig"
)

// steady is what one longer slice of smartlb told about itself.
type steady struct {
	Seconds          float64
	Requests         int64
	Mallocs          float64            // heap objects per request, all of the process
	IdleMallocs      float64            // heap objects per second without requests
	NetMallocs       float64            // per request, what the idle process allocates taken off
	PerDecision      float64            // NetMallocs per decision that was sampled
	GCs              float64            // collections meanwhile
	Messages         map[string]float64 // on the topics
	SharePerSec      float64            // service-metrics per instance and second
	DecisionShare    float64            // routing-decisions per request
	DecisionRate     float64            // and per second
	Dropped          float64            // anything lost in a queue
	BrokerMicros     float64            // CPU of the broker process per request
	RSS              float64
	NoSampleMallocs  float64 // NetMallocs without decisions: see page
	NoSampleRequests int64
}

// steady drives smartlb alone, then leaves it idle, and compares its own
// counters and those of the broker.
func (s *stage) steady(ctx context.Context, span time.Duration) (steady, error) {
	fmt.Fprintln(os.Stderr, "allocations and messages")
	c := s.contenders[0]
	wait(ctx, 2*time.Second)                  // what the rounds left in queues
	if _, err := s.metrics(ctx); err != nil { // the first scrape builds what later ones reuse
		return steady{}, err
	}
	idle0, err := s.metrics(ctx)
	if err != nil {
		return steady{}, err
	}
	wait(ctx, 5*time.Second)
	idle1, err := s.metrics(ctx)
	if err != nil {
		return steady{}, err
	}
	topics0, err := s.messages(ctx)
	if err != nil {
		return steady{}, err
	}
	before, err := s.metrics(ctx)
	if err != nil {
		return steady{}, err
	}
	broker := rig.CPU(rig.Tree(s.kafka.Pid)...)
	n, _, _, err := wrk(ctx, c.URL, 32, span)
	if err != nil {
		return steady{}, err
	}
	after, err := s.metrics(ctx)
	if err != nil {
		return steady{}, err
	}
	broker = rig.CPU(rig.Tree(s.kafka.Pid)...) - broker
	wait(ctx, 3*time.Second) // the last second is published
	topics1, err := s.messages(ctx)
	if err != nil {
		return steady{}, err
	}
	const mallocs = "go_memstats_mallocs_total"
	r := steady{
		Seconds: span.Seconds(), Requests: n, Messages: map[string]float64{},
		IdleMallocs: (idle1[mallocs] - idle0[mallocs]) / 5, GCs: after["go_gc_duration_seconds_count"] - before["go_gc_duration_seconds_count"],
		RSS: after["process_resident_memory_bytes"], BrokerMicros: float64(broker.Microseconds()) / float64(n),
	}
	for topic := range topics1 {
		if d := topics1[topic] - topics0[topic]; d > 0 {
			r.Messages[topic] = d
		}
	}
	for name := range after {
		if strings.HasPrefix(name, "smartlb_dropped_total") {
			r.Dropped += after[name] - before[name]
		}
	}
	r.Mallocs = (after[mallocs] - before[mallocs]) / float64(n)
	r.NetMallocs = (after[mallocs] - before[mallocs] - r.IdleMallocs*r.Seconds) / float64(n)
	r.PerDecision = r.NetMallocs * float64(n) / max(1, r.Messages["routing-decisions"])
	r.SharePerSec = r.Messages["service-metrics"] / float64(len(s.instances)) / r.Seconds
	r.DecisionShare = r.Messages["routing-decisions"] / float64(n)
	r.DecisionRate = r.Messages["routing-decisions"] / r.Seconds
	return r, s.withoutDecisions(ctx, &r)
}

// withoutDecisions measures allocations once more on a proxy that samples no
// decision and has neither Kafka nor log: the request's own.
func (s *stage) withoutDecisions(ctx context.Context, r *steady) error {
	addrs, err := rig.FreeAddrs(2)
	if err != nil {
		return err
	}
	p, err := rig.Start(s.dir, "smartlb-bare", s.smartlb, "proxy", "--from", addrs[0], "--to", strings.Join(s.instances, ","), "--admin", addrs[1],
		"--access-log", s.dir+"/bare-access.log", "--health-interval", "0")
	if err != nil {
		return err
	}
	defer p.Stop()
	url := "http://" + addrs[0] + "/"
	if err := p.AwaitOK(ctx, url); err != nil {
		return err
	}
	if _, _, _, err := wrk(ctx, url, 32, time.Second); err != nil { // pools fill
		return err
	}
	read := func() (map[string]float64, error) { return metricsOf(ctx, addrs[1]) }
	if _, err := read(); err != nil { // the first scrape builds what later ones reuse
		return err
	}
	idle0, err := read()
	if err != nil {
		return err
	}
	wait(ctx, 5*time.Second)
	idle1, err := read()
	if err != nil {
		return err
	}
	before, err := read()
	if err != nil {
		return err
	}
	n, _, _, err := wrk(ctx, url, 32, 5*time.Second)
	if err != nil {
		return err
	}
	after, err := read()
	const mallocs = "go_memstats_mallocs_total"
	r.NoSampleRequests = n
	r.NoSampleMallocs = (after[mallocs] - before[mallocs] - (idle1[mallocs] - idle0[mallocs])) / float64(n)
	return err
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (s *stage) metrics(ctx context.Context) (map[string]float64, error) {
	return metricsOf(ctx, s.admin)
}

// metricsOf reads all series of /metrics, by name with labels.
func metricsOf(ctx context.Context, admin string) (map[string]float64, error) {
	text, err := rig.Get(ctx, "http://"+admin+"/metrics")
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if at := strings.LastIndexByte(lines.Text(), ' '); at > 0 && lines.Text()[0] != '#' {
			if v, err := strconv.ParseFloat(lines.Text()[at+1:], 64); err == nil {
				out[lines.Text()[:at]] = v
			}
		}
	}
	return out, nil
}

// messages gives the number of messages of each topic.
func (s *stage) messages(ctx context.Context) (map[string]float64, error) {
	b, err := exec.CommandContext(ctx, s.smartlb, "kafka", "topics", "-o", "json", "-b", s.broker).Output()
	if err != nil {
		return nil, fmt.Errorf("kafka topics: %w", err)
	}
	var all []struct {
		Name     string
		Messages float64
	}
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for _, t := range all {
		out[t.Name] = t.Messages
	}
	return out, nil
}

// syscalls counts system calls per request with perf, for each contender.
func (s *stage) syscalls(ctx context.Context) (map[string]float64, error) {
	out := map[string]float64{}
	if _, err := exec.LookPath("perf"); err != nil {
		fmt.Fprintln(os.Stderr, "perf is not here: system calls are not counted")
		return out, nil
	}
	for _, c := range s.contenders {
		var pids []string
		for _, p := range rig.Tree(c.Pid) {
			pids = append(pids, strconv.Itoa(p))
		}
		n, text, _, err := wrk(ctx, c.URL, 32, 3*time.Second, "perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", strings.Join(pids, ","), "--")
		if err != nil {
			return nil, err
		}
		for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
			if f := strings.Split(lines.Text(), ","); len(f) > 2 && f[2] == "raw_syscalls:sys_enter" {
				count, err := strconv.ParseFloat(f[0], 64)
				if err != nil {
					return nil, fmt.Errorf("perf: %s", lines.Text())
				}
				out[c.Name] = count / float64(n)
			}
		}
	}
	return out, nil
}
