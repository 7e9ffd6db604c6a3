package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"time"
)

// The common part of all cases.
const (
	instances  = 10
	workers    = 4 // of each instance of weight 1: it serves so many requests at once, the rest wait in a queue
	meanMillis = 20.0
	variation  = 1.0 // coefficient of variation of the lognormal service time
	load       = .75 // of the sum of the instances' capacities
	warmup     = 6 * time.Second
	measured   = 14 * time.Second
	faultFrom  = warmup + 2*time.Second // of crash and hang
	faultFor   = 6 * time.Second
	slot       = 2 * time.Second // of antag
	slowAtOnce = 2               // instances that are slow in each slot
	slowFactor = 2.5
)

// condition is how one instance behaves at one moment.
type condition struct {
	Scale  float64 // of the service time
	Errors float64 // share of requests answered with 500
	Fast   bool    // a 500 takes 1 ms and no worker; otherwise as long as a good answer
	Down   bool    // refuses connections and has reset those it had
	Hung   bool    // accepts and reads, and answers nothing
}

// benchCase is one situation; Target is what the design wants of smartlb, rb99
// in ms or errors in percent.
type benchCase struct {
	Name, Text string
	Target     float64
	Errors     bool // the target is of errors
	At         func(seed uint64, instance int, at time.Duration) condition
	Load       float64 // of the capacity; 0: load
	Uneven     bool    // weights 5 and 1 in turns, with workers in proportion
	Retries    bool    // two retries on other instances, also of a 500 and of half a second without an answer
}

// weight returns the weight of an instance.
func (c benchCase) weight(i int) int {
	if c.Uneven && i%2 == 0 {
		return 5
	}
	return 1
}

// steadyScale is a case of constant service times.
func steadyScale(of func(instance int) float64) func(uint64, int, time.Duration) condition {
	return func(_ uint64, i int, _ time.Duration) condition { return condition{Scale: of(i)} }
}

// sick is a case in which the last instance alone has a condition.
func sick(c condition) func(uint64, int, time.Duration) condition {
	c.Scale = 1
	return func(_ uint64, i int, _ time.Duration) condition {
		if i == instances-1 {
			return c
		}
		return condition{Scale: 1}
	}
}

func sickFor(c condition) func(uint64, int, time.Duration) condition {
	c.Scale = 1
	return func(_ uint64, i int, at time.Duration) condition {
		if i == instances-1 && at >= faultFrom && at < faultFrom+faultFor {
			return c
		}
		return condition{Scale: 1}
	}
}

// spread is a geometric series from .48 to 2.8: its mean speed is 1.005.
func spread(i int) float64 {
	return .48 * math.Pow(2.8/.48, float64(i)/(instances-1))
}

func tenfold(i int) float64 {
	if i == instances-1 {
		return 10
	}
	return 1
}

// antagonist slows two instances down in each slot. Which ones depends on the
// seed alone, because patterns differ more than balancers do; always as many, so
// that no pattern takes more capacity than the load leaves.
func antagonist(seed uint64, i int, at time.Duration) condition {
	rnd := rand.New(rand.NewPCG(seed, uint64(max(0, at)/slot)))
	for _, slow := range rnd.Perm(instances)[:slowAtOnce] {
		if slow == i {
			return condition{Scale: slowFactor}
		}
	}
	return condition{Scale: 1}
}

var (
	fastfail = sick(condition{Errors: 1, Fast: true})
	gray30   = sick(condition{Errors: .3})
	crash    = sickFor(condition{Down: true})
	hang     = sickFor(condition{Hung: true})
)

var allCases = []benchCase{
	{Name: "homog", Text: "identical instances", Target: 100.5, At: steadyScale(func(int) float64 { return 1 })},
	{Name: "hetero", Text: "service times .48x-2.8x", Target: 95, At: steadyScale(spread)},
	{Name: "slow1", Text: "one 10x slow", Target: 101.5, At: steadyScale(tenfold)},
	{Name: "antag", Text: "random 2.5x slow slots", Target: 130, At: antagonist},
	{Name: "light", Text: "identical instances, load .03", Target: 99, At: steadyScale(func(int) float64 { return 1 }), Load: .03},
	{Name: "weights", Text: "weights 5 and 1 in turns, load .25", Target: 99, At: steadyScale(func(int) float64 { return 1 }), Load: .25, Uneven: true},
	{Name: "fastfail", Text: "one answers 500 in 1 ms", Target: .02, Errors: true, At: fastfail},
	{Name: "gray30", Text: "one fails 30 %", Target: .15, Errors: true, At: gray30},
	{Name: "crash", Text: "one refuses connections for 6 s", Target: .02, Errors: true, At: crash},
	{Name: "hang", Text: "one hangs for 6 s", Target: .03, Errors: true, At: hang},
	{Name: "fastfail-retries", Text: "the same with retries", Errors: true, At: fastfail, Retries: true},
	{Name: "gray30-retries", Text: "the same with retries", Errors: true, At: gray30, Retries: true},
	{Name: "crash-retries", Text: "the same with retries", Errors: true, At: crash, Retries: true},
	{Name: "hang-retries", Text: "the same with retries", Errors: true, At: hang, Retries: true},
}

// rate is the offered load in requests per second: of the capacity that the
// instances have by their service times; slow slots and faults come on top.
func (c benchCase) rate() float64 {
	sum := 0.0
	for i := range instances {
		scale := 1.0
		if c.Name != "antag" {
			scale = c.At(1, i, 0).Scale
		}
		sum += float64(workers*c.weight(i)) / (meanMillis / 1000 * scale)
	}
	return cmp.Or(c.Load, load) * sum
}

func caseNamed(name string) (benchCase, bool) {
	for _, c := range allCases {
		if c.Name == name {
			return c, true
		}
	}
	return benchCase{}, false
}
