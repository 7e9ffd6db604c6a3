// Model runs the real picker against simulated instances on a virtual clock:
// the cases of bench/routing without a crash or a hang in a second instead of
// twenty, for trying out a formula before measuring it. It knows nothing of
// processes and sockets, so
// its rb99 is some .5-1 ms below the measured one. Not a measurement: figures
// that are claimed come from bench/routing.
package main

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/smartlb/smartlb/bench/stats"
	"github.com/smartlb/smartlb/internal/dataplane/picker"
)

// situation is a pool of instances with workers and a queue each.
type situation struct {
	name    string
	load    float64 // of the capacity
	n       int
	proxies int // that share the requests and know nothing of each other
	scale   func(seed uint64, instance int, at time.Duration) float64
	weights []float64 // an instance has workers in proportion to its weight; nil: all 1
	errors  float64   // share of the requests that the last instance fails
	fast    bool      // a failure takes 1 ms and no worker
	retries int
}

// weight returns the weight of an instance.
func (s situation) weight(i int) float64 {
	if s.weights == nil {
		return 1
	}
	return s.weights[i]
}

func constant(of func(i int) float64) func(uint64, int, time.Duration) float64 {
	return func(_ uint64, i int, _ time.Duration) float64 { return of(i) }
}

func lastIs(n int, scale float64) func(uint64, int, time.Duration) float64 {
	return constant(func(i int) float64 {
		if i == n-1 {
			return scale
		}
		return 1
	})
}

func series(i int) float64 { return .48 * math.Pow(2.8/.48, float64(i)/9) }

func slots(seed uint64, i int, at time.Duration) float64 {
	rnd := rand.New(rand.NewPCG(seed, uint64(at/(2*time.Second))))
	for _, slow := range rnd.Perm(10)[:2] {
		if slow == i {
			return 2.5
		}
	}
	return 1
}

var same = constant(func(int) float64 { return 1 })

var situations = []situation{
	{name: "homog", load: .75, n: 10, proxies: 1, scale: same},
	{name: "hetero", load: .75, n: 10, proxies: 1, scale: constant(series)},
	{name: "slow1", load: .75, n: 10, proxies: 1, scale: lastIs(10, 10)},
	{name: "antag", load: .75, n: 10, proxies: 1, scale: slots}, // of the capacity without slow slots
	{name: "four, one 2.5x slow", load: .75, n: 4, proxies: 1, scale: lastIs(4, 2.5)},
	{name: "three, one 2x slow", load: .6, n: 3, proxies: 1, scale: lastIs(3, 2)},
	{name: "homog at load .03", load: .03, n: 10, proxies: 1, scale: same},
	{name: "hetero at load .03", load: .03, n: 10, proxies: 1, scale: constant(series)},
	{name: "slow1 at load .03", load: .03, n: 10, proxies: 1, scale: lastIs(10, 10)},
	{name: "hetero at load .1", load: .1, n: 10, proxies: 1, scale: constant(series)},
	{name: "hetero at load .3", load: .3, n: 10, proxies: 1, scale: constant(series)},
	{name: "5:1:1 at load .03", load: .03, n: 3, proxies: 1, scale: same, weights: []float64{5, 1, 1}},
	{name: "5:1:1 at load .3", load: .3, n: 3, proxies: 1, scale: same, weights: []float64{5, 1, 1}},
	{name: "5:1:1", load: .75, n: 3, proxies: 1, scale: same, weights: []float64{5, 1, 1}},
	{name: "5:1:1, last 2x slow", load: .6, n: 3, proxies: 1, scale: lastIs(3, 2), weights: []float64{5, 1, 1}},
	{name: "ten of 5 and 1", load: .75, n: 10, proxies: 1, scale: same, weights: []float64{5, 1, 5, 1, 5, 1, 5, 1, 5, 1}},
	{name: "ten, last 10x slow", load: .75, n: 10, proxies: 1, scale: lastIs(10, 10), weights: []float64{5, 1, 5, 1, 5, 1, 5, 1, 5, 1}},
	{name: "fastfail", load: .75, n: 10, proxies: 1, scale: same, errors: 1, fast: true},
	{name: "fastfail at load .03", load: .03, n: 10, proxies: 1, scale: same, errors: 1, fast: true},
	{name: "fastfail, retries", load: .75, n: 10, proxies: 1, scale: same, errors: 1, fast: true, retries: 2},
	{name: "gray30", load: .75, n: 10, proxies: 1, scale: same, errors: .3},
	{name: "gray30 at load .03", load: .03, n: 10, proxies: 1, scale: same, errors: .3},
	{name: "gray30, retries", load: .75, n: 10, proxies: 1, scale: same, errors: .3, retries: 2},
	{name: "homog, 4 proxies", load: .75, n: 10, proxies: 4, scale: same},
	{name: "hetero, 4 proxies", load: .75, n: 10, proxies: 4, scale: constant(series)},
	{name: "antag, 4 proxies", load: .75, n: 10, proxies: 4, scale: slots},
	{name: "slow1, 16 proxies", load: .75, n: 10, proxies: 16, scale: lastIs(10, 10)},
}

func main() {
	seeds := flag.Int("seeds", 4, "runs per case")
	span := flag.Duration("span", 40*time.Second, "simulated time; the first 6 s are not counted")
	policy := flag.String("policy", picker.DefaultPolicy, "policy of the picker")
	spread := flag.Float64("spread", picker.DefaultSpread, "spread of adaptive, 0 to 1")
	only := flag.String("cases", "", "only cases whose name contains this")
	flag.Parse()
	fmt.Printf("%-20s %8s %17s %8s %9s  %s\n", "case", "rb99 ms", "", "mean ms", "errors %", "share of each, %")
	for _, s := range situations {
		if !strings.Contains(s.name, *only) {
			continue
		}
		var rb, mean, failed []float64
		share := make([]float64, s.n)
		for seed := range uint64(*seeds) {
			r := s.run(picker.Spec{Policy: *policy, SlowStart: 10 * time.Second, Spread: *spread}, seed+1, *span)
			rb, mean, failed = append(rb, r.rb99), append(mean, r.mean), append(failed, r.errors)
			for i := range share {
				share[i] += r.share[i] / float64(*seeds)
			}
		}
		x := stats.Summarize(rb)
		fmt.Printf("%-20s %8.2f (%6.1f..%6.1f) %8.2f %9.3f  %.1f\n", s.name, x.Median, x.Min, x.Max, stats.Summarize(mean).Median, stats.Summarize(failed).Median, share)
	}
}
