package main

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"

	"github.com/smartlb/smartlb/bench/rig"
	"github.com/smartlb/smartlb/bench/stats"
)

var cpus = runtime.NumCPU()

const terminate = syscall.SIGTERM

// page writes all runs so far.
func (o *options) page(all []outcome) error {
	r := &rig.Report{Name: "routing"}
	r.Printf("# Routing\n\n")
	r.Versions(fmt.Sprintf("go run ./bench/routing -seeds %d -peer-seeds %d", o.seeds, o.peerSeeds), o.smartlb)
	r.Printf(`Ten instances with four workers and a queue each, %.0f ms lognormal (coefficient of variation %.0f), slept; load %.2f of the capacity by the service times (slow slots and
faults come on top), Poisson arrivals, latency from the intended send time; %s warm-up, %s measured; retries off except where a case names them, /health each second (nginx has no active checks), answers within 2 s.
Seeds fix arrivals, service times and slow slots: the same for all balancers. smartlb runs alone here: no Kafka, so the policy's local part.
crash and hang begin 2 s into the measured part and last 6 s. antag: in each slot of %s another %d of the ten are %.1fx slow.
All processes of the benchmark ran under %s. A run in which the harness sent more than %s late at p99 was measured once more; the less disturbed one counts.

The targets were set by an earlier prototype; its slow slots and its factors of the unequal pool were others, so in antag and hetero the other balancers are the yardstick, not
the number. The verdict is of the mean over seeds; in crash, hang and fastfail a handful of requests decides, and a single seed can be on the other side.

rb99 is p99 with each request's own service time integrated out: its scatter is a quarter of that of p99 or less. p99 of the service time alone is 98.1 ms.

| case | target | balancer | p99 ms | rb99 ms (each seed) | errors %% (counts) | verdict |
|---|---|---|---|---|---|---|
`, meanMillis, variation, load, warmup, measured, slot, slowAtOnce, slowFactor, rig.Scheduling(), maxLag)
	for _, c := range allCases {
		for _, who := range contenders {
			o.row(r, c, who.Name, all)
		}
	}
	r.Printf("\nEvery run:\n\n| case | balancer | seed | requests | p50 | p99 | p99.9 | rb99 | errors | p99 of the harness's lag, ms | foreign CPU | CPU us/request of the balancer |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, x := range all {
		r.Printf("| %s | %s | %d | %d | %.1f | %.1f | %.1f | %.1f | %d | %.2f | %.0f %% | %.0f |\n", x.Case, x.Contender, x.Seed, x.Requests, x.P50, x.P99, x.P999, x.RB99, x.Errors, x.LagP99, 100*x.Foreign, x.BalancerMicrosOfCPU)
	}
	r.Printf(`
## Not covered
Several balancers at once; the terms that come through Kafka (capacity, fleet-wide errors); more than ten instances; load above .75; TLS.
`)
	return r.WriteQuiet(o.results, all)
}

func (o *options) row(r *rig.Report, c benchCase, who string, all []outcome) {
	var p99, rb, percent []float64
	var each, counts []string
	for _, x := range all {
		if x.Case == c.Name && x.Contender == who {
			p99, rb, percent = append(p99, x.P99), append(rb, x.RB99), append(percent, x.percent())
			each, counts = append(each, fmt.Sprintf("%.1f", x.RB99)), append(counts, fmt.Sprint(x.Errors))
		}
	}
	if len(rb) == 0 {
		return
	}
	target, got := fmt.Sprintf("rb99 <= %.1f", c.Target), mean(rb)
	if c.Errors {
		target, got = fmt.Sprintf("errors <= %.2f %%", c.Target), mean(percent)
	}
	verdict := ""
	if who == "smartlb" {
		if verdict = "met"; got > c.Target {
			verdict = "MISSED"
		}
	}
	r.Printf("| %s: %s | %s | %s | %.1f | %.1f (%s) | %.3f (%s) | %s |\n", c.Name, c.Text, target, who, stats.Summarize(p99).Median,
		mean(rb), strings.Join(each, ", "), mean(percent), strings.Join(counts, ", "), verdict)
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}
