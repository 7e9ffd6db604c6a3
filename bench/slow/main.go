// Slow measures what thousands of slow clients cost the others: the latency of healthy clients with and without clients that
// send heads or bodies byte by byte, or read responses slowly. Linux only.
package main

import (
	"context"
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

// round is slices with the same times of requests: without slow clients, with slow clients of another proxy on the machine, which
// shows what their CPU time costs, and with slow clients of the same proxy.
type round [3]slice

const (
	without = iota
	elsewhere
	with
)

// stage is what runs during all rounds: two proxies, the first one for healthy clients, and an instance.
type stage struct {
	dir, self    string
	proxy, admin [2]string
	programs     [2]*rig.Process
	instance     *rig.Process
	clients      int
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
	a, err := rig.FreeAddrs(5)
	if err != nil {
		return err
	}
	s := &stage{dir: dir, self: self, proxy: [2]string(a[:2]), admin: [2]string(a[2:4]), clients: clients}
	if s.instance, err = rig.Start(dir, "instance", self, "-serve", a[4]); err != nil {
		return err
	}
	defer s.instance.Stop()
	if err := s.instance.AwaitPort(ctx, a[4]); err != nil {
		return err
	}
	for i := range s.programs {
		name := fmt.Sprintf("proxy%d", i)
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, configuration, s.proxy[i], a[4], s.admin[i], filepath.Join(dir, name+".access")), 0o600); err != nil {
			return err
		}
		if s.programs[i], err = rig.Start(dir, name, program, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--config-source", "file", "--data", filepath.Join(dir, name)); err != nil {
			return err
		}
		defer s.programs[i].Stop()
		if err := s.programs[i].AwaitOK(ctx, "http://"+s.proxy[i]+"/bench"); err != nil {
			return err
		}
	}
	var all []round
	for n := -1; n < rounds; n++ {
		var r round
		for i := range r {
			kind := (i + n + 3) % 3
			if r[kind], err = s.run(ctx, rate, uint64(n+1), kind); err != nil {
				return err
			}
		}
		if fmt.Fprintf(os.Stderr, "round %d: %+v\n", n+1, r); n >= 0 { // the first one warms
			all = append(all, r)
		}
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
func (s *stage) run(ctx context.Context, rate float64, seed uint64, kind int) (out slice, err error) {
	proxy := s.programs[0].Pid
	pids := []int{os.Getpid(), proxy, s.programs[1].Pid, s.instance.Pid}
	attacked, want := 0, 0
	if kind == elsewhere {
		attacked = 1
	}
	if kind != without {
		want = s.clients * 9 / 10 // some of those with slow heads are about to come again
		p, err := rig.Start(s.dir, "slow", s.self, "-attack", s.proxy[attacked], "-clients", strconv.Itoa(s.clients))
		if err != nil {
			return out, err
		}
		defer p.Stop()
		pids = append(pids, p.Pid)
	}
	if err := s.await(ctx, attacked, want); err != nil {
		return out, err
	}
	schedule := stats.Schedule(rand.New(rand.NewPCG(seed, 1)), rate, warm+span)
	known, own := rig.CPU(pids...), rig.CPU(proxy)
	busy, err := rig.Busy()
	if err != nil {
		return out, err
	}
	began := time.Now()
	answers, err := openload.Run(ctx, s.proxy[0], began, schedule)
	if err != nil {
		return out, err
	}
	took := time.Since(began).Seconds()
	now, err := rig.Busy()
	if err != nil {
		return out, err
	}
	out.CPU = (rig.CPU(proxy) - own).Seconds() / took
	out.Foreign = max(0, ((now-busy)-(rig.CPU(pids...)-known)).Seconds()/took/float64(cpus))
	if pss, err := rig.PSS(proxy); err == nil {
		out.PSS = float64(pss) / (1 << 20)
	}
	if out.Open, err = s.open(ctx, attacked); err != nil {
		return out, err
	}
	if out.Open < want {
		return out, fmt.Errorf("only %d connections are left of %d slow clients", out.Open, s.clients)
	}
	var latency, lag []float64
	for _, a := range answers {
		if a.Status != 200 {
			return out, fmt.Errorf("a healthy client got status %d (kind of slice %d)", a.Status, kind)
		}
		if a.Intended >= warm {
			latency, lag = append(latency, a.Latency.Seconds()*1e3), append(lag, a.Lag.Seconds()*1e3)
		}
	}
	out.Requests = len(latency)
	out.P50, out.P99, out.P999, out.LagP99 = stats.Quantile(latency, .5), stats.Quantile(latency, .99), stats.Quantile(latency, .999), stats.Quantile(lag, .99)
	return out, nil
}

func page(program, results string, clients int, rate float64, all []round) error {
	r := &rig.Report{Name: "slow-clients"}
	r.Printf("# Healthy clients beside slow clients\n\n")
	r.Versions(fmt.Sprintf("go run ./bench/slow -rounds %d -clients %d -rate %.0f", len(all), clients, rate), program)
	r.Printf(`%d slow clients, a third of each kind: they send a head, or the body of a POST, byte by byte, or read 1 KiB of a response of 8 MiB; each does so once a
second. They arrive over 10 s, and a third of them comes again every 10 s, because the time of a head ends (408). Healthy clients send %.0f requests each second at random times; the latency counts from the intended time. A round is one slice of %s without slow clients, one with slow
clients of another smartlb on the same machine, and one with slow clients of the same smartlb, in turning order, with the same times of requests; %s before do not
count. The second column shows what the CPU time of the slow clients and their proxy costs, whatever proxy the healthy clients use. Every healthy request got its 200. Load, slow clients and
instance run on the same machine as processes of their own (%s). Median (lowest..highest) of %d rounds; the differences are paired within rounds.

| | without | slow clients of another smartlb | slow clients of the same smartlb | third to first | third to second |
|---|---|---|---|---|---|
`, clients, rate, span, warm, rig.Scheduling(), len(all))
	row := func(name string, digits int, of func(s slice) float64) {
		cells := make([][]float64, 5)
		for _, r := range all {
			a, b, c := of(r[without]), of(r[elsewhere]), of(r[with])
			for i, v := range []float64{a, b, c, c - a, c - b} {
				cells[i] = append(cells[i], v)
			}
		}
		cell := func(values []float64) string {
			x := stats.Summarize(values)
			return fmt.Sprintf("%.*f (%.*f..%.*f)", digits, x.Median, digits, x.Min, digits, x.Max)
		}
		r.Printf("| %s | %s | %s | %s | %s | %s |\n", name, cell(cells[0]), cell(cells[1]), cell(cells[2]), cell(cells[3]), cell(cells[4]))
	}
	row("p50, ms", 2, func(s slice) float64 { return s.P50 })
	row("p99, ms", 2, func(s slice) float64 { return s.P99 })
	row("p99.9, ms", 2, func(s slice) float64 { return s.P999 })
	row("p99 lag of the load, ms", 2, func(s slice) float64 { return s.LagP99 })
	row("slow connections at the end", 0, func(s slice) float64 { return float64(s.Open) })
	row("CPU of the proxy, % of a core", 1, func(s slice) float64 { return 100 * s.CPU })
	row("memory of the proxy (PSS), MiB", 0, func(s slice) float64 { return s.PSS })
	row("foreign CPU, % of the machine", 0, func(s slice) float64 { return 100 * s.Foreign })
	dir, err := filepath.Abs(results)
	if err != nil {
		return err
	}
	return r.Write(dir, all)
}
