// Slow measures what thousands of slow clients cost the others: the latency of healthy clients with and without clients that
// send heads or bodies byte by byte, or read responses slowly. Linux only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/bench/openload"
	"github.com/smartlb/smartlb/bench/rig"
	"github.com/smartlb/smartlb/bench/stats"
)

const (
	warm = time.Second     // of each slice, not counted
	span = 4 * time.Second // of each slice, counted
)

func main() {
	smartlb := flag.String("smartlb", "bin/smartlb", "the binary to measure")
	results := flag.String("results", "bench/results", "where to write")
	rounds := flag.Int("rounds", 9, "pairs of slices")
	clients := flag.Int("clients", 5000, "slow clients, a third of each kind")
	rate := flag.Float64("rate", 1000, "requests of healthy clients each second")
	attack := flag.String("attack", "", "be the slow clients of this address")
	serve := flag.String("serve", "", "be the instance at this address")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case *attack != "":
		err = beSlow(ctx, *attack, *clients)
	case *serve != "":
		err = beInstance(ctx, *serve)
	default:
		err = measure(ctx, *smartlb, *results, *rounds, *clients, *rate)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// slice is what healthy clients saw, in milliseconds from the intended time of each request.
type slice struct {
	P50, P99, P999 float64
	LagP99         float64 // how late the load was
	Requests       int
	Open           int     // connections of the proxy at the end
	CPU, PSS       float64 // of the proxy: of a core, MiB
	Foreign        float64 // share of the machine that neither proxy, instance, load nor slow clients used
}

// pair is two slices with the same times of requests.
type pair struct{ Without, With slice }

// stage is what runs during all rounds.
type stage struct {
	dir, self, proxy, admin string
	program, instance       *rig.Process
	clients                 int
}

func measure(ctx context.Context, program, results string, rounds, clients int, rate float64) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "smartlb-bench-slow")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	a, err := rig.FreeAddrs(3)
	if err != nil {
		return err
	}
	s := &stage{dir: dir, self: self, proxy: a[0], admin: a[1], clients: clients}
	if s.instance, err = rig.Start(dir, "instance", self, "-serve", a[2]); err != nil {
		return err
	}
	defer s.instance.Stop()
	file := filepath.Join(dir, "smartlb.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, configuration, a[0], a[2], a[1], filepath.Join(dir, "access.log")), 0o600); err != nil {
		return err
	}
	if s.program, err = rig.Start(dir, "proxy", program, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--config-source", "file", "--data", filepath.Join(dir, "data")); err != nil {
		return err
	}
	defer s.program.Stop()
	if err := errors.Join(s.instance.AwaitPort(ctx, a[2]), s.program.AwaitOK(ctx, "http://"+a[0]+"/bench")); err != nil {
		return err
	}
	for _, slow := range []bool{false, true} { // warms
		if _, err := s.run(ctx, rate, 0, slow); err != nil {
			return err
		}
	}
	var all []pair
	for n := range rounds {
		var p pair
		for i := range 2 {
			slow, to := (i+n)%2 == 1, &p.Without
			if slow {
				to = &p.With
			}
			if *to, err = s.run(ctx, rate, uint64(n), slow); err != nil {
				return err
			}
		}
		fmt.Fprintf(os.Stderr, "round %d: %+v\n", n+1, p)
		all = append(all, p)
	}
	return page(program, results, clients, rate, all)
}

// All limits are the default ones: a slow head ends after 10 s, and its client comes again. A rate for bodies or responses would
// end the other slow clients too.
const configuration = `listeners: [{name: web, address: %q}]
routes: [{name: all, service: s}]
services: [{id: s, instances: [{id: i, address: %q}]}]
admin: {address: %q}
proxy: {accessLog: %q}
`

// run measures one slice.
func (s *stage) run(ctx context.Context, rate float64, seed uint64, slow bool) (out slice, err error) {
	pids := []int{os.Getpid(), s.program.Pid, s.instance.Pid}
	if slow {
		p, err := rig.Start(s.dir, "slow", s.self, "-attack", s.proxy, "-clients", strconv.Itoa(s.clients))
		if err != nil {
			return out, err
		}
		defer p.Stop()
		pids = append(pids, p.Pid)
	}
	want := 0
	if slow {
		want = s.clients * 9 / 10 // some of those with slow heads are about to come again
	}
	if err := s.await(ctx, want, slow); err != nil {
		return out, err
	}
	schedule := stats.Schedule(rand.New(rand.NewPCG(seed, 1)), rate, warm+span)
	known, own, busy, err := rig.CPU(pids...), rig.CPU(s.program.Pid), time.Duration(0), error(nil)
	if busy, err = rig.Busy(); err != nil {
		return out, err
	}
	began := time.Now()
	answers, err := openload.Run(ctx, s.proxy, began, schedule)
	if err != nil {
		return out, err
	}
	took := time.Since(began).Seconds()
	now, err := rig.Busy()
	if err != nil {
		return out, err
	}
	out.CPU = (rig.CPU(s.program.Pid) - own).Seconds() / took
	out.Foreign = max(0, ((now-busy)-(rig.CPU(pids...)-known)).Seconds()/took/float64(cpus))
	if pss, err := rig.PSS(s.program.Pid); err == nil {
		out.PSS = float64(pss) / (1 << 20)
	}
	if out.Open, err = s.open(ctx); err != nil {
		return out, err
	}
	if slow && out.Open < want {
		return out, fmt.Errorf("only %d connections are left of %d slow clients", out.Open, s.clients)
	}
	var latency, lag []float64
	for _, a := range answers {
		if a.Status != 200 {
			return out, fmt.Errorf("a healthy client got status %d (slow clients: %v)", a.Status, slow)
		}
		if a.Intended >= warm {
			latency, lag = append(latency, a.Latency.Seconds()*1e3), append(lag, a.Lag.Seconds()*1e3)
		}
	}
	out.Requests = len(latency)
	out.P50, out.P99, out.P999, out.LagP99 = stats.Quantile(latency, .5), stats.Quantile(latency, .99), stats.Quantile(latency, .999), stats.Quantile(lag, .99)
	return out, nil
}

func page(program, results string, clients int, rate float64, all []pair) error {
	r := &rig.Report{Name: "slow-clients"}
	r.Printf("# Healthy clients beside slow clients\n\n")
	r.Versions(fmt.Sprintf("go run ./bench/slow -rounds %d -clients %d -rate %.0f", len(all), clients, rate), program)
	r.Printf(`%d slow clients, a third of each kind: they send a head, or the body of a POST, byte by byte, or read 1 KiB of a response of 8 MiB; each does so once a
second. They arrive over 10 s, and a third of them comes again every 10 s, because the time of a head ends (408). Healthy clients send %.0f requests each second at random times; the latency counts from the intended time. A round is one slice of %s with slow clients
and one without them, in turning order, with the same times of requests; %s before do not count. Every healthy request got its 200. Load, slow clients and
instance run on the same machine as processes of their own (%s). Median (lowest..highest) of %d rounds; the differences are paired within rounds.

| | without | with | difference |
|---|---|---|---|
`, clients, rate, span, warm, rig.Scheduling(), len(all))
	row := func(name string, digits int, of func(s slice) float64) {
		var without, with, diff []float64
		for _, p := range all {
			without, with, diff = append(without, of(p.Without)), append(with, of(p.With)), append(diff, of(p.With)-of(p.Without))
		}
		cell := func(values []float64) string {
			x := stats.Summarize(values)
			return fmt.Sprintf("%.*f (%.*f..%.*f)", digits, x.Median, digits, x.Min, digits, x.Max)
		}
		r.Printf("| %s | %s | %s | %s |\n", name, cell(without), cell(with), cell(diff))
	}
	row("p50, ms", 2, func(s slice) float64 { return s.P50 })
	row("p99, ms", 2, func(s slice) float64 { return s.P99 })
	row("p99.9, ms", 2, func(s slice) float64 { return s.P999 })
	row("p99 lag of the load, ms", 2, func(s slice) float64 { return s.LagP99 })
	row("connections of clients at the end", 0, func(s slice) float64 { return float64(s.Open) })
	row("CPU of the proxy, % of a core", 1, func(s slice) float64 { return 100 * s.CPU })
	row("memory of the proxy (PSS), MiB", 0, func(s slice) float64 { return s.PSS })
	row("foreign CPU, % of the machine", 0, func(s slice) float64 { return 100 * s.Foreign })
	dir, err := filepath.Abs(results)
	if err != nil {
		return err
	}
	return r.Write(dir, all)
}
