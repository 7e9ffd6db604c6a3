// Model runs the real picker against simulated instances on a virtual clock:
// the quiet cases of bench/routing in a second instead of twenty, for trying out
// a formula before measuring it. It knows nothing of processes and sockets, so
// its rb99 is some .5-1 ms below the measured one. Not a measurement: figures
// that are claimed come from bench/routing.
package main

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/smartlb/smartlb/bench/stats"
)

// situation is a pool of instances with workers and a queue each.
type situation struct {
	name    string
	load    float64 // of the capacity
	n       int
	proxies int // that share the requests and know nothing of each other
	scale   func(seed uint64, instance int, at time.Duration) float64
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

var situations = []situation{
	{"homog", .75, 10, 1, lastIs(10, 1)},
	{"hetero", .75, 10, 1, constant(series)},
	{"slow1", .75, 10, 1, lastIs(10, 10)},
	{"antag", .75, 10, 1, slots}, // of the capacity without slow slots
	{"four, one 2.5x slow", .75, 4, 1, lastIs(4, 2.5)},
	{"three, one 2x slow", .6, 3, 1, lastIs(3, 2)},
	{"hetero at load .3", .3, 10, 1, constant(series)},
	{"hetero at load .03", .03, 10, 1, constant(series)},
	{"homog at load .03", .03, 10, 1, lastIs(10, 1)},
	{"homog, 4 proxies", .75, 10, 4, lastIs(10, 1)},
	{"hetero, 4 proxies", .75, 10, 4, constant(series)},
	{"antag, 4 proxies", .75, 10, 4, slots},
	{"slow1, 16 proxies", .75, 10, 16, lastIs(10, 10)},
}

func main() {
	seeds := flag.Int("seeds", 4, "runs per case")
	span := flag.Duration("span", 40*time.Second, "simulated time; the first 6 s are not counted")
	flag.Parse()
	fmt.Printf("%-20s %8s %17s %8s  %s\n", "case", "rb99 ms", "", "mean ms", "share of each, %")
	for _, s := range situations {
		var rb, mean []float64
		var share []float64
		for seed := range uint64(*seeds) {
			r := s.run(seed+1, *span)
			rb, mean, share = append(rb, r.rb99), append(mean, r.mean), r.share
		}
		x := stats.Summarize(rb)
		fmt.Printf("%-20s %8.2f (%6.1f..%6.1f) %8.2f  %.1f\n", s.name, x.Median, x.Min, x.Max, stats.Summarize(mean).Median, share)
	}
}
