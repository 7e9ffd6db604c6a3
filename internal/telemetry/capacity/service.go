package capacity

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// DefaultTarget is the share of its capacity that an instance is to use at most. Above it, waiting times grow fast: in
// an M/M/1 queue a request takes five times its service time at 80 %.
const DefaultTarget = 0.8

// Limits of a target.
const (
	MinTarget = 0.05
	MaxTarget = 1.0
)

// Instance is an instance of a service.
type Instance struct {
	ID       string
	Zone     string  // empty: unknown
	Region   string  // empty: unknown
	Serves   bool    // it may get requests
	Weight   float64 // of a service whose policy gives each instance a share by weight
	Load     float64 // requests per second from all proxies; NaN: unknown
	Estimate Estimate
}

// Options say how a service is to be summed.
type Options struct {
	Target  float64 // share of the capacity that may be used, MinTarget..MaxTarget
	Weights bool    // the policy gives each instance a share by its weight, whatever its capacity
}

// Answers to a question that may be unknown.
const (
	Yes     = "yes"
	No      = "no"
	Unknown = "unknown"
)

// Area is a zone or a region of a service.
type Area struct {
	Name      string
	Instances int     // that serve
	Rest      float64 // requests per second that the other instances carry at the target; 0: unknown
	Survives  string  // whether they carry the present load
}

// Summary is what a service can carry. Rates are requests per second.
type Summary struct {
	Target    float64
	Instances int
	Serving   int
	Measured  int // that serve and have an estimate

	Load      float64 // NaN: unknown
	Capacity  float64 // at full use; 0: unknown
	Usable    float64 // at the target; 0: unknown
	AtLeast   bool    // capacity, usable, headroom and survives are lower bounds
	Headroom  float64 // usable less load, below 0: overload; NaN: unknown
	Survives  int     // instances that may be lost, the largest ones first; -1: unknown
	Zones     []Area  // the one whose loss leaves the least first; nil if there are fewer than two
	Regions   []Area  // as the zones
	PerOne    float64 // usable of one instance on average; 0: unknown
	Recommend int     // instances for the present load at the target; 0: unknown

	Bound      string // what limits most of the capacity
	Confidence Confidence
	Reason     string // why the confidence is not higher, or what is unknown
}

const (
	sureShare = 0.8 // of the capacity that must have a confidence, so that the service has it
	realShare = 0.5 // of the serving instances whose limit must be known for a recommendation
)

// Sum returns the summary of a service. With weights, the instance that is full first limits the service.
func Sum(all []Instance, o Options) Summary {
	s := Summary{Target: o.Target, Instances: len(all), Load: math.NaN(), Headroom: math.NaN(), Survives: -1}
	var measured []Instance
	for _, i := range all {
		if l := known(i.Load); !math.IsNaN(l) {
			if math.IsNaN(s.Load) {
				s.Load = 0
			}
			s.Load += l
		}
		if !i.Serves {
			continue
		}
		s.Serving++
		if i.Estimate.Rate > 0 && i.Estimate.Bound != "" {
			measured = append(measured, i)
		}
	}
	s.Measured = len(measured)
	if s.Measured > 0 {
		s.capacity(measured, o)
	}
	s.headroom()
	if s.Usable > 0 && !math.IsNaN(s.Load) {
		s.survives(measured, o)
		s.Zones = s.areas(all, measured, o, zonesOf(all))
		s.Regions = s.areas(all, measured, o, func(i Instance) string { return i.Region })
		s.recommend(measured, o)
	}
	s.reason(all, measured)
	return s
}

// usable returns what an instance carries at the target. A rate that it carried without becoming slow counts as it is.
func usable(i Instance, target float64) float64 {
	if i.Estimate.AtLeast() {
		return i.Estimate.Rate
	}
	return target * i.Estimate.Rate
}

// group is what some instances carry together.
type group struct {
	instances     int
	sum, weights  float64
	leastByWeight float64 // of one unit of weight, of the instance that has the least; +Inf: none has a weight
}

func (g group) plus(o group) group {
	return group{g.instances + o.instances, g.sum + o.sum, g.weights + o.weights, min(g.leastByWeight, o.leastByWeight)}
}

var noGroup = group{leastByWeight: math.Inf(1)}

func groupOf(i Instance, o Options) group {
	u := usable(i, o.Target)
	out := group{instances: 1, sum: u, leastByWeight: math.Inf(1)}
	if i.Weight > 0 {
		out.weights, out.leastByWeight = i.Weight, u/i.Weight
	}
	return out
}

// total returns the requests per second.
func (g group) total(o Options) float64 {
	if o.Weights && g.weights > 0 {
		return g.leastByWeight * g.weights
	}
	return g.sum
}

// total returns what instances carry together at a target.
func total(list []Instance, o Options) float64 {
	all := noGroup
	for _, i := range list {
		all = all.plus(groupOf(i, o))
	}
	return all.total(o)
}

func (s *Summary) capacity(measured []Instance, o Options) {
	full := o
	full.Target = 1
	s.Capacity, s.Usable = total(measured, full), total(measured, o)
	s.AtLeast = s.Measured < s.Serving
	bounds, trusted := map[string]float64{}, map[Confidence]float64{}
	sum := 0.0
	for _, i := range measured {
		e := i.Estimate
		s.AtLeast = s.AtLeast || e.AtLeast()
		bounds[e.Bound] += e.Rate
		trusted[e.Confidence] += e.Rate
		sum += e.Rate
	}
	for _, b := range slices.Sorted(maps.Keys(bounds)) {
		if bounds[b] > bounds[s.Bound] {
			s.Bound = b
		}
	}
	have := 0.0
	for s.Confidence = High; s.Confidence > Low; s.Confidence-- {
		if have += trusted[s.Confidence]; have >= sureShare*sum {
			break
		}
	}
	if float64(s.Measured) < sureShare*float64(s.Serving) {
		s.Confidence = Low
	}
}

func (s *Summary) headroom() {
	if math.IsNaN(s.Load) || s.Usable <= 0 {
		return
	}
	s.Headroom = s.Usable - s.Load
	switch {
	case !s.AtLeast || s.Headroom >= 0:
	case s.Measured == s.Serving:
		s.Headroom = 0 // the limit is above what was seen
	default:
		s.Headroom = math.NaN() // the other instances carry something
	}
}

// survives counts the instances that may be lost while the others carry the load.
func (s *Summary) survives(measured []Instance, o Options) {
	if s.Load == 0 || s.AtLeast && s.Usable < s.Load {
		return
	}
	list := slices.Clone(measured)
	slices.SortFunc(list, func(a, b Instance) int { // the loss that costs most comes first
		if o.Weights {
			return cmp.Compare(b.Weight, a.Weight)
		}
		return cmp.Compare(usable(b, o.Target), usable(a, o.Target))
	})
	rest, least := s.Usable, 0.0
	if o.Weights {
		least = s.Usable / weight(list) // of one unit of weight; a loss never makes it less
	}
	s.Survives = 0
	for _, i := range list {
		if o.Weights {
			rest -= least * i.Weight
		} else {
			rest -= usable(i, o.Target)
		}
		if rest < s.Load || s.Survives == len(list)-1 {
			return
		}
		s.Survives++
	}
}

func weight(list []Instance) (sum float64) {
	for _, i := range list {
		sum += max(i.Weight, 0)
	}
	return max(sum, math.SmallestNonzeroFloat64)
}

// zonesOf returns a function that names the zone of an instance. Zones of one name in several regions are several zones, and
// their names have the region before them. An instance that does not say its region is then in none of these.
func zonesOf(all []Instance) func(Instance) string {
	region, several := map[string]string{}, map[string]bool{} // by zone
	for _, i := range all {
		if first := region[i.Zone]; i.Region != "" && first != "" && first != i.Region {
			several[i.Zone] = true
		} else if i.Region != "" {
			region[i.Zone] = i.Region
		}
	}
	return func(i Instance) string {
		if i.Zone != "" && i.Region != "" && several[i.Zone] {
			return i.Region + "/" + i.Zone
		}
		return i.Zone
	}
}

// areas returns the zones or the regions of a service: of gives that of an instance. It takes n log n steps: instances that
// register themselves may each name another area.
func (s *Summary) areas(all, measured []Instance, o Options, of func(Instance) string) (out []Area) {
	serving, groups := map[string]int{}, map[string]group{}
	for _, i := range all {
		if i.Serves {
			serving[of(i)]++
		}
	}
	if len(serving) < 2 {
		return nil
	}
	names := slices.Sorted(maps.Keys(serving))
	for _, name := range names {
		groups[name] = noGroup
	}
	for _, i := range measured {
		groups[of(i)] = groups[of(i)].plus(groupOf(i, o))
	}
	after := make([]group, len(names)+1) // what the areas from each one on carry
	after[len(names)] = noGroup
	for n := len(names) - 1; n >= 0; n-- {
		after[n] = after[n+1].plus(groups[names[n]])
	}
	before := noGroup
	for n, name := range names {
		rest := before.plus(after[n+1])
		before = before.plus(groups[name])
		if name == "" {
			continue
		}
		a := Area{Name: name, Instances: serving[name], Survives: No, Rest: rest.total(o)}
		switch {
		case rest.instances > 0 && a.Rest >= s.Load:
			a.Survives = Yes
		case s.AtLeast:
			a.Survives = Unknown
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Area) int {
		return cmp.Or(cmp.Compare(a.Rest, b.Rest), cmp.Compare(b.Instances, a.Instances), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// recommend computes the number of instances from those whose limit is known: what an instance merely carried so far
// would ask for more instances the lower their load is.
func (s *Summary) recommend(measured []Instance, o Options) {
	limited := slices.DeleteFunc(slices.Clone(measured), func(i Instance) bool { return i.Estimate.AtLeast() })
	if len(limited) == 0 || float64(len(limited)) < realShare*float64(s.Serving) {
		return
	}
	s.PerOne = total(limited, o) / float64(len(limited))
	if n := math.Ceil(s.Load/s.PerOne - 1e-9); n < maxValue {
		s.Recommend = max(int(n), 1)
	}
}

// why returns the reason of the first serving instance.
func why(all []Instance) string {
	i := slices.IndexFunc(all, func(i Instance) bool { return i.Serves })
	if i < 0 || all[i].Estimate.Reason == "" {
		return ""
	}
	return " (" + all[i].Estimate.Reason + ")"
}

func (s *Summary) reason(all, measured []Instance) {
	var parts []string
	switch {
	case s.Serving == 0:
		parts = append(parts, "no instance is in rotation")
	case s.Measured == 0:
		parts = append(parts, "no instance has an estimate"+why(all))
	case s.Measured < s.Serving:
		parts = append(parts, fmt.Sprintf("no estimate for %d of %d instances", s.Serving-s.Measured, s.Serving))
	}
	if s.Serving > 0 && math.IsNaN(s.Load) {
		parts = append(parts, "no requests, or no reports about them")
	}
	if s.Confidence > None {
		weakest := slices.MinFunc(measured, func(a, b Instance) int { return cmp.Compare(a.Estimate.Confidence, b.Estimate.Confidence) })
		parts = append(parts, weakest.ID+": "+weakest.Estimate.Reason)
	}
	s.Reason = strings.Join(parts, "; ")
}

// Text returns the summary in one sentence.
func (s Summary) Text() string {
	if math.IsNaN(s.Headroom) {
		return "headroom unknown: " + s.Reason
	}
	least := ""
	if s.AtLeast {
		least = "at least "
	}
	var text string
	switch {
	case s.Headroom < 0:
		text = fmt.Sprintf("overloaded: %s requests/s more than %.0f %% of its capacity", Number(-s.Headroom), 100*s.Target)
	default:
		text = fmt.Sprintf("carries %s%s more requests/s", least, Number(s.Headroom))
	}
	switch {
	case s.Headroom < 0 || s.Survives < 0:
	case s.Survives == 0 && s.AtLeast:
		text += "; unknown whether it survives the loss of an instance"
	case s.Survives == 0:
		text += "; does not survive the loss of an instance at the present load"
	default:
		text += fmt.Sprintf("; survives the loss of %s%d of %d instances at the present load", least, s.Survives, s.Serving)
	}
	if s.Headroom < 0 {
		return text
	}
	return text + loss("zone", s.Zones) + loss("region", s.Regions)
}

// loss says whether a service survives the loss of its largest area.
func loss(kind string, areas []Area) string {
	if len(areas) == 0 {
		return ""
	}
	verdict := map[string]string{Yes: "survives", No: "does not survive", Unknown: "unknown whether it survives"}[areas[0].Survives]
	return fmt.Sprintf("; %s the loss of its largest %s (%s)", verdict, kind, areas[0].Name)
}

// Number writes a rate for people: 1,240 or 0.4.
func Number(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	digits := fmt.Sprintf("%.0f", v)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
