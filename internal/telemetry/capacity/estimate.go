package capacity

import (
	"fmt"
	"slices"
)

// Confidence says how far an estimate may be trusted.
type Confidence int

// The confidences, in ascending order.
const (
	None Confidence = iota
	Low
	Medium
	High
)

// confidences are the names, by value.
var confidences = []string{"none", "low", "medium", "high"}

func (c Confidence) String() string { return confidences[c] }

// ParseConfidence returns the confidence of a name; false for an unknown name.
func ParseConfidence(name string) (Confidence, bool) {
	i := slices.Index(confidences, name)
	return Confidence(max(i, 0)), i >= 0
}

// What limits an instance.
const (
	ByUtilization = "utilization" // its reported utilization would reach 100 %
	ByCPU         = "cpu"         // its CPU usage would reach 100 %
	ByLatency     = "latency"     // its latency would grow without limit
	ByConcurrency = "concurrency" // the limit of requests in flight of its service
	BySeen        = "seen"        // unknown: the rate is the highest one that it carried, a lower bound
)

// Estimate is the capacity of one instance. The zero value is an unknown one.
type Estimate struct {
	Rate       float64 // requests per second that it can carry at most; 0: unknown
	Bound      string  // what limits it: ByUtilization and so on; empty: unknown
	Confidence Confidence
	Reason     string // why the confidence is not higher, or why the capacity is unknown
}

// AtLeast reports whether the rate is a lower bound: the limit was not found.
func (e Estimate) AtLeast() bool { return e.Bound == BySeen }

const (
	scarcer    = 0.85 // share of the smallest capacity so far below which another limit is the smaller one
	highUse    = 0.6  // share of the capacity that must have been seen for high confidence
	mediumUse  = 0.3  // and for medium confidence
	highErr    = 0.1  // relative error up to which the confidence may be high
	mediumErr  = 0.25 // or medium
	highWins   = 12   // windows for high confidence
	mediumWins = 6    // and for medium confidence
)

// Estimate returns the capacity that the windows show: the smallest one of what the resources, the latency and the limit
// of requests in flight allow.
func (e *Estimator) Estimate() Estimate {
	best := e.byResource()
	if k, ok := e.knee(); ok {
		if found := byLatency(k); best.Bound == "" || found.Rate < scarcer*best.Rate && (found.Confidence >= Medium || best.Confidence <= Low) {
			best = found
		}
	}
	carried := e.carried()
	if best.Bound != "" {
		best.Rate = max(best.Rate, carried)
	}
	// Little's law (J. Little, "A Proof for the Queuing Formula L = lambda W", Operations Research 9(3), 1961): in flight =
	// rate * latency.
	if base := e.fastest(); base > 0 && e.limit > 0 {
		if rate := e.limit * base * 1000; best.Bound == "" && rate > carried || best.Bound != "" && rate < best.Rate {
			confidence := Medium
			if best.Bound == "" {
				confidence = Low // another resource may be scarcer
			}
			return Estimate{Rate: rate, Bound: ByConcurrency, Confidence: confidence,
				Reason: fmt.Sprintf("at most %.0f requests in flight, %s each", e.limit, millis(1/base))}
		}
	}
	switch {
	case best.Bound != "":
		return best
	case carried > 0:
		return Estimate{Rate: carried, Bound: BySeen, Confidence: Low, Reason: "it carried this rate; no limit was seen, and it reports no utilization that follows the rate"}
	case e.failing > 0:
		return Estimate{Reason: "more than 10 % of its requests fail"}
	case e.windows == 0:
		return Estimate{Reason: "it has too few requests"}
	}
	return Estimate{Reason: "it was measured for less than a minute"}
}

func millis(ms float64) string {
	if ms < 1 {
		return fmt.Sprintf("%.2f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

// byResource returns the estimate of the scarcest resource that the instance reports.
func (e *Estimator) byResource() (best Estimate) {
	for r, bound := range []string{ByUtilization, ByCPU} {
		l, ok := e.law(resource(r))
		if ok && (best.Bound == "" || l.capacity < scarcer*best.Rate) { // ORCA reports one number as both
			best = byLaw(l, bound)
		}
	}
	return best
}

func byLaw(l law, bound string) Estimate {
	out := Estimate{Rate: l.capacity, Bound: bound, Confidence: Low, Reason: fmt.Sprintf("the highest load seen was %.0f %% of its capacity", 100*l.highest)}
	if !l.split {
		out.Reason += "; the load varied too little to separate the base load, so it may be higher"
	}
	switch {
	case l.windows < mediumWins:
		out.Reason += "; measured for less than a minute"
	case l.err > mediumErr:
		out.Reason += fmt.Sprintf("; the utilization follows the rate only within %.0f %%", min(100*l.err, 100))
	case l.highest >= highUse && l.err <= highErr && l.windows >= highWins && l.split:
		out.Confidence = High
	case l.highest >= mediumUse:
		out.Confidence = Medium
	}
	return out
}

func byLatency(k knee) Estimate {
	out := Estimate{Rate: k.capacity, Bound: ByLatency, Confidence: Low, Reason: fmt.Sprintf("at %.0f requests/s its latency was %.1f times the lowest one", k.at, k.slower)}
	if k.slower >= slowSure {
		out.Confidence = Medium
	}
	return out
}
