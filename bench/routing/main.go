// Routing measures latency and errors of requests through smartlb, HAProxy and
// nginx in front of instances that differ, slow down, fail, crash and hang. The
// load is open: requests are sent at the times of a Poisson process whatever
// became of those before, and latency counts from the intended time, so a
// balancer cannot look better by slowing the load down (Schroeder, Wierman and
// Harchol-Balter, NSDI 2006; "coordinated omission").
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/smartlb/smartlb/bench/openload"
	"github.com/smartlb/smartlb/bench/rig"
	"github.com/smartlb/smartlb/bench/stats"
)

type options struct {
	smartlb, results, cases, names string
	seeds, peerSeeds               int
	repeats                        int
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "instances" {
		if err := serveInstances(os.Args[2:]); err != nil {
			log.Fatal(err)
		}
		return
	}
	var o options
	flag.StringVar(&o.smartlb, "smartlb", "bin/smartlb", "the binary to measure")
	flag.StringVar(&o.results, "results", "bench/results", "where to write")
	flag.StringVar(&o.cases, "cases", "", "only these, comma separated")
	flag.StringVar(&o.names, "contenders", "", "only these, comma separated")
	flag.IntVar(&o.seeds, "seeds", 3, "runs of smartlb per case, seeds 1, 2, ...")
	flag.IntVar(&o.peerSeeds, "peer-seeds", 1, "runs of each other balancer per case")
	flag.IntVar(&o.repeats, "repeats", 12, "disturbed runs that are measured again, in all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.run(ctx); err != nil {
		log.Fatal(err)
	}
}

func (o *options) run(ctx context.Context) (err error) {
	if o.smartlb, err = filepath.Abs(o.smartlb); err != nil {
		return err
	}
	var all []outcome
	for seed := 1; seed <= max(o.seeds, o.peerSeeds); seed++ {
		for _, c := range allCases {
			if !listed(o.cases, c.Name) {
				continue
			}
			for _, who := range contenders {
				if !listed(o.names, who.Name) || (who.Name == "smartlb" && seed > o.seeds) || (who.Name != "smartlb" && seed > o.peerSeeds) {
					continue
				}
				r, err := o.undisturbed(ctx, c, who, uint64(seed))
				if err != nil {
					return err
				}
				all = append(all, r)
				if err := o.page(all); err != nil { // what is measured stays if the run is stopped
					return err
				}
			}
		}
	}
	return nil
}

func listed(list, name string) bool {
	return list == "" || strings.Contains(","+list+",", ","+name+",")
}

// maxLag is how late the harness may send at p99. Beyond it a run says more
// about the machine than about the balancer.
const maxLag = time.Millisecond

// undisturbed measures one run, and once more if the harness was held up; the
// less disturbed one counts, whatever it says.
func (o *options) undisturbed(ctx context.Context, c benchCase, who contender, seed uint64) (outcome, error) {
	first, err := o.measure(ctx, c, who, seed)
	if err != nil || first.LagP99 <= millis(maxLag) || o.repeats <= 0 {
		return first, err
	}
	o.repeats--
	second, err := o.measure(ctx, c, who, seed)
	if err != nil || second.LagP99 > first.LagP99 {
		return first, err
	}
	return second, nil
}

// outcome is one run.
type outcome struct {
	Case, Contender     string
	Seed                uint64
	Requests, Errors    int
	P50, P99, P999      float64 // ms, answers with 200
	RB99                float64 // ms
	Share               [instances]int
	Statuses            map[int]int // 0: no answer
	LagP99, Foreign     float64     // ms, share of the machine
	BalancerMicrosOfCPU float64     // per request
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (o *options) measure(ctx context.Context, c benchCase, who contender, seed uint64) (outcome, error) {
	dir, err := os.MkdirTemp("", "smartlb-bench-routing")
	if err != nil {
		return outcome{}, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil {
		return outcome{}, err
	}
	addrs, err := rig.FreeAddrs(instances + 1)
	if err != nil {
		return outcome{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return outcome{}, err
	}
	start := time.Now().Add(2 * time.Second) // of the schedule and of the conditions
	servers, err := rig.Start(dir, "instances", self, append([]string{"instances", c.Name, fmt.Sprint(seed), fmt.Sprint(start.UnixNano())}, addrs[1:]...)...)
	if err != nil {
		return outcome{}, err
	}
	defer servers.Stop()
	for _, a := range addrs[1:] {
		if err := servers.AwaitPort(ctx, a); err != nil {
			return outcome{}, err
		}
	}
	balancer, err := who.start(c, dir, o.smartlb, addrs[0], addrs[1:])
	if err != nil {
		return outcome{}, err
	}
	defer balancer.Stop()
	if err := balancer.AwaitOK(ctx, "http://"+addrs[0]+"/health"); err != nil {
		return outcome{}, err
	}
	pids := append(rig.Tree(balancer.Pid), append(rig.Tree(servers.Pid), os.Getpid())...)
	cpu, known := rig.CPU(rig.Tree(balancer.Pid)...), rig.CPU(pids...)
	busy, err := rig.Busy()
	if err != nil {
		return outcome{}, err
	}
	began := time.Now()
	schedule := stats.Schedule(rand.New(rand.NewPCG(seed, 1<<32)), c.rate(), warmup+measured)
	answers, err := openload.Run(ctx, addrs[0], start, schedule)
	if err != nil {
		return outcome{}, err
	}
	took := time.Since(began)
	now, err := rig.Busy()
	if err != nil {
		return outcome{}, err
	}
	if !balancer.Alive() || !servers.Alive() {
		return outcome{}, errors.New(who.Name + " or the instances ended during the run")
	}
	r := digest(answers)
	r.Case, r.Contender, r.Seed = c.Name, who.Name, seed
	r.Foreign = max(0, (now-busy-(rig.CPU(pids...)-known)).Seconds()/took.Seconds()/float64(cpus))
	r.BalancerMicrosOfCPU = float64((rig.CPU(rig.Tree(balancer.Pid)...) - cpu).Microseconds()) / float64(len(answers))
	fmt.Fprintln(os.Stderr, r)
	return r, nil
}

// digest summarizes the answers of the measured part.
func digest(answers []openload.Answer) outcome {
	r := outcome{Statuses: map[int]int{}}
	var latency, lag []float64
	var waits []stats.Waited
	for _, a := range answers {
		if a.Intended < warmup {
			continue
		}
		r.Requests++
		r.Statuses[a.Status]++
		lag = append(lag, millis(a.Lag))
		if a.Status != 200 {
			r.Errors++
			continue
		}
		r.Share[a.Instance]++
		latency = append(latency, millis(a.Latency))
		waits = append(waits, stats.Waited{Wait: millis(a.Latency - a.Service), Mean: millis(a.Mean)})
	}
	r.RB99 = stats.RB99(waits, variation)
	r.P50, r.P99, r.P999 = stats.Quantile(latency, .5), stats.Quantile(latency, .99), stats.Quantile(latency, .999)
	r.LagP99 = stats.Quantile(lag, .99)
	return r
}

func (r outcome) percent() float64 { return 100 * float64(r.Errors) / float64(r.Requests) }

func (r outcome) String() string {
	encoded, _ := json.Marshal(r.Statuses)
	return fmt.Sprintf("%-8s %-17s seed %d: %d requests, p50 %.1f p99 %.1f p99.9 %.1f rb99 %.1f ms, errors %d (%.3f %%) %s, lag p99 %.2f ms, foreign CPU %.0f %%, share %v",
		r.Case, r.Contender, r.Seed, r.Requests, r.P50, r.P99, r.P999, r.RB99, r.Errors, r.percent(), encoded, r.LagP99, 100*r.Foreign, r.Share)
}

// serveInstances is the other process: CASE SEED START ADDR...
func serveInstances(args []string) error {
	if len(args) != 3+instances {
		return errors.New("instances: CASE SEED START and ten addresses are expected")
	}
	c, ok := caseNamed(args[0])
	var seed uint64
	var startNano int64
	if _, err := fmt.Sscan(args[1]+" "+args[2], &seed, &startNano); err != nil || !ok {
		return fmt.Errorf("instances %v: %w", args, err)
	}
	start := time.Unix(0, startNano)
	start = time.Now().Add(time.Until(start)) // from here on by the monotonic clock
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, terminate)
	defer stop()
	var running sync.WaitGroup
	failed := make([]error, instances)
	for i, addr := range args[3:] {
		in, err := newInstance(i, addr, seed, workers*c.weight(i), func() condition { return c.At(seed, i, time.Since(start)) })
		if err != nil {
			return err
		}
		running.Go(func() { failed[i] = in.run(ctx) })
	}
	running.Wait()
	return errors.Join(failed...)
}
