package api

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/capacity"
)

// Facts older than this say nothing: the analyzer itself forgets an instance after three minutes without reports.
const (
	maxLoadAge     = time.Minute
	maxEstimateAge = 3 * time.Minute
)

// Estimate is how many requests per second an instance can carry.
type Estimate struct {
	Load       *float64 `json:"load"`            // requests per second from all proxies; null: unknown
	Rate       *float64 `json:"rate"`            // requests per second; null: unknown
	Bound      string   `json:"bound,omitempty"` // what limits it: utilization, cpu, latency, concurrency, seen
	Confidence string   `json:"confidence"`      // none, low, medium, high
	Reason     string   `json:"reason"`          // why the confidence is not higher, or why the capacity is unknown
}

// Capacity is what a service can carry. Rates are requests per second through all proxies; null: unknown.
type Capacity struct {
	Service     string             `json:"service"`
	Text        string             `json:"text"`       // the summary in one sentence
	Target      float64            `json:"target"`     // share of the capacity that may be used, 0..1
	Confidence  string             `json:"confidence"` // none, low, medium, high
	Reason      string             `json:"reason"`
	Bound       string             `json:"bound,omitempty"`
	Load        *float64           `json:"load"`
	Capacity    *float64           `json:"capacity"` // at full use
	Usable      *float64           `json:"usable"`   // at the target
	Headroom    *float64           `json:"headroom"` // usable less load; negative: overload
	AtLeast     bool               `json:"atLeast"`  // capacity, usable, headroom and survives are lower bounds
	Serving     int                `json:"serving"`  // instances in rotation
	Measured    int                `json:"measured"` // instances in rotation with an estimate
	Survives    *int               `json:"survives"` // instances that may be lost at this load, the largest ones first
	Zones       []ZoneLoss         `json:"zones"`    // the one whose loss leaves the least first; empty: fewer than two zones
	Regions     []RegionLoss       `json:"regions"`  // as the zones
	PerInstance *float64           `json:"perInstance"`
	Recommended *int               `json:"recommended"` // instances for this load at the target
	Instances   []InstanceCapacity `json:"instances"`
}

// Loss says whether a service survives the loss of some of its instances at the present load.
type Loss struct {
	Instances int      `json:"instances"` // in rotation
	Rest      *float64 `json:"rest"`      // requests per second that the others carry at the target
	Survives  string   `json:"survives"`  // yes, no, unknown
}

// ZoneLoss is the loss of a zone.
type ZoneLoss struct {
	Zone string `json:"zone"`
	Loss
}

// RegionLoss is the loss of a region.
type RegionLoss struct {
	Region string `json:"region"`
	Loss
}

// InstanceCapacity is what one instance carries.
type InstanceCapacity struct {
	ID     string `json:"id"`
	Zone   string `json:"zone,omitempty"`
	Region string `json:"region,omitempty"`
	State  string `json:"state"`
	Estimate
}

// Headroom is how many more requests per second a service carries at the default target; negative: it is overloaded.
type Headroom struct {
	Rate    float64 `json:"rate"`
	AtLeast bool    `json:"atLeast,omitempty"` // the rate is a lower bound
}

// FromCapacity adds the headroom to services.
func FromCapacity(services []Service) {
	for i := range services {
		if s := sumOf(services[i], capacity.DefaultTarget); !math.IsNaN(s.Headroom) {
			services[i].Headroom = &Headroom{Rate: s.Headroom, AtLeast: s.AtLeast}
		}
	}
}

func fromEstimate(e event.CapacityEstimate) *Estimate {
	if e.Confidence == "" { // an analyzer of an earlier version
		return nil
	}
	return &Estimate{Load: optional(e.Load), Rate: optional(e.RPS), Bound: e.Bound, Confidence: e.Confidence, Reason: e.Reason}
}

// byWeight are the policies that give each instance a share by its weight. The others give a slower one less.
var byWeight = []string{"round_robin", "random", "ring_hash", "maglev"}

// estimateOf returns what is known about an instance and still current.
func estimateOf(i *Instance) Estimate {
	e := Estimate{Confidence: capacity.None.String(), Reason: "the analyzer has no report about it"}
	if f := i.Facts; f != nil {
		if f.Estimate != nil && f.AgeMs <= float64(maxEstimateAge.Milliseconds()) {
			e = *f.Estimate
		}
		if f.AgeMs > float64(maxLoadAge.Milliseconds()) {
			e.Load = nil
		}
	}
	return e
}

// sumOf returns what a service can carry at a target, as package capacity defines it.
func sumOf(s Service, target float64) capacity.Summary {
	all := make([]capacity.Instance, len(s.Instances))
	for n := range s.Instances {
		i := &s.Instances[n]
		e := estimateOf(i)
		one := capacity.Instance{ID: i.ID, Zone: i.Tags["zone"], Region: i.Tags["region"], Serves: i.State == "in" || i.State == "other-zone", Weight: i.Weight, Load: math.NaN()}
		one.Estimate.Reason, one.Estimate.Bound = e.Reason, e.Bound
		one.Estimate.Confidence, _ = capacity.ParseConfidence(e.Confidence)
		if e.Load != nil {
			one.Load = *e.Load
		}
		if e.Rate != nil {
			one.Estimate.Rate = *e.Rate
		}
		all[n] = one
	}
	return capacity.Sum(all, capacity.Options{Target: target, Weights: slices.Contains(byWeight, s.Policy)})
}

// Summarize returns what a service can carry at a target, without its instances.
func Summarize(s Service, target float64) (Capacity, capacity.Summary) {
	c, sum := Capacity{Service: s.ID, Target: target, Zones: []ZoneLoss{}, Regions: []RegionLoss{}, Instances: []InstanceCapacity{}}, sumOf(s, target)
	c.set(sum)
	return c, sum
}

func (c *Capacity) set(s capacity.Summary) {
	c.Text, c.Confidence, c.Reason, c.Bound = s.Text(), s.Confidence.String(), s.Reason, s.Bound
	c.Load, c.Headroom, c.AtLeast, c.Serving, c.Measured = unlessNaN(s.Load), unlessNaN(s.Headroom), s.AtLeast, s.Serving, s.Measured
	c.Capacity, c.Usable, c.PerInstance = unlessZero(s.Capacity), unlessZero(s.Usable), unlessZero(s.PerOne)
	c.Recommended = unlessZero(s.Recommend)
	if s.Survives >= 0 {
		c.Survives = &s.Survives
	}
	for _, a := range s.Zones {
		c.Zones = append(c.Zones, ZoneLoss{Zone: a.Name, Loss: lossOf(a)})
	}
	for _, a := range s.Regions {
		c.Regions = append(c.Regions, RegionLoss{Region: a.Name, Loss: lossOf(a)})
	}
}

func lossOf(a capacity.Area) Loss {
	return Loss{Instances: a.Instances, Rest: unlessZero(a.Rest), Survives: a.Survives}
}

func unlessNaN(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

func unlessZero[T cmp.Ordered](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// CapacityQuery asks what services can carry.
type CapacityQuery struct {
	Service string  // empty: all
	Target  float64 // share of the capacity that may be used
	Brief   bool    // without instances
}

// CapacityOf returns the answer for services, as Sources.Capacity.
func CapacityOf(services []Service, q CapacityQuery) ([]Capacity, error) {
	out := []Capacity{}
	for _, v := range services {
		if q.Service != "" && v.ID != q.Service {
			continue
		}
		c, _ := Summarize(v, q.Target)
		for n := range v.Instances {
			if i := &v.Instances[n]; !q.Brief {
				c.Instances = append(c.Instances, InstanceCapacity{ID: i.ID, Zone: i.Tags["zone"], Region: i.Tags["region"], State: i.State, Estimate: estimateOf(i)})
			}
		}
		out = append(out, c)
	}
	if q.Service != "" && len(out) == 0 {
		return nil, problem.Errorf(problem.NotFound, "there is no service %q", q.Service)
	}
	return out, nil
}

// Values returns the query in the form of the API.
func (q CapacityQuery) Values() url.Values {
	v := url.Values{"target": {strconv.FormatFloat(q.Target, 'g', -1, 64)}}
	if q.Service != "" {
		v.Set("service", q.Service)
	}
	if q.Brief {
		v.Set("instances", "false")
	}
	return v
}

func (s *Server) capacities(r *http.Request) (any, error) {
	target, err := ParseTarget(r.URL.Query().Get("target"))
	if err != nil {
		return nil, problem.New(problem.Invalid, err, "")
	}
	q := CapacityQuery{Service: r.URL.Query().Get("service"), Target: target}
	switch text := r.URL.Query().Get("instances"); text {
	case "", "true":
	case "false":
		q.Brief = true
	default:
		return nil, problem.Errorf(problem.Invalid, "instances: want true or false, got %.20q", text)
	}
	return s.src.Capacity(r.Context(), q)
}

// ParseTarget reads the share of the capacity that may be used; empty: the default.
func ParseTarget(text string) (float64, error) {
	if text == "" {
		return capacity.DefaultTarget, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= capacity.MinTarget && v <= capacity.MaxTarget) {
		return 0, fmt.Errorf("target: want %v to %v, got %.20q", capacity.MinTarget, capacity.MaxTarget, text)
	}
	return v, nil
}
