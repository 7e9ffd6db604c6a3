package api

import (
	"slices"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/control/discovery"
	"github.com/smartlb/smartlb/internal/control/keeper"
	"github.com/smartlb/smartlb/internal/dataplane/trend"
	"github.com/smartlb/smartlb/internal/event"
)

// historySeconds is the length of the histories in an overview, in seconds.
const historySeconds = trend.Seconds

// FromViews converts the data of keeper and trend to the API's types.
func FromViews(views []keeper.ServiceView, t *trend.Trend) []Service {
	return FromViewsOf(views, t, historySeconds)
}

// FromViewsOf is FromViews with at most the given number of seconds of history.
func FromViewsOf(views []keeper.ServiceView, t *trend.Trend, seconds int) []Service {
	out := make([]Service, 0, len(views))
	for _, v := range views {
		out = append(out, fromView(v, t, seconds))
	}
	return out
}

// FromDiscovery adds the state of the sources to services.
func FromDiscovery(services []Service, views []discovery.View) {
	for _, v := range views {
		i := slices.IndexFunc(services, func(s Service) bool { return s.ID == v.Service })
		if i < 0 {
			continue
		}
		d := &Discovery{Held: v.Held, Hidden: v.Hidden, Sources: make([]DiscoverySource, len(v.Sources))}
		for j, s := range v.Sources {
			d.Sources[j] = DiscoverySource{Source: s.Source, At: readable.Moment(s.At), Instances: s.Instances, Saved: s.Saved, Stale: s.Stale, Error: s.Error, Refused: s.Refused, Refusal: s.Refusal}
		}
		services[i].Discovery = d
	}
}

func fromView(v keeper.ServiceView, t *trend.Trend, seconds int) Service {
	s := Service{ID: v.ID, Policy: v.Policy, Panic: v.Panic, HealthCheck: v.HealthCheck, Insecure: v.Insecure, MedianMs: v.MedianMs, Active: v.Active, Instances: make([]Instance, 0, len(v.Instances))}
	if q := v.Queue; q != nil {
		s.Queue = &Queue{Limit: q.Limit, Waiting: q.Waiting, Adaptive: q.Adaptive}
	}
	weights, errors := 0.0, 0.0
	for _, iv := range v.Instances {
		in := FromInstance(iv)
		if sum, ok := t.Last(iv.Live, seconds); ok {
			in.Rate, in.ErrorRate = sum.Rate, sum.ErrorRate
			in.P50Ms, in.P95Ms, in.P99Ms = sum.P50, sum.P95, sum.P99
			in.History, in.ErrorHist = sum.Requests, sum.Errors
		}
		s.Rate += in.Rate
		errors += in.Rate * in.ErrorRate
		if !standsBy(in) {
			weights += in.Weight
		}
		s.Instances = append(s.Instances, in)
	}
	for i := range s.Instances {
		in := &s.Instances[i]
		if s.Rate > 0 {
			in.Share = in.Rate / s.Rate
		}
		if weights > 0 && !standsBy(*in) {
			in.FairShare = in.Weight / weights
		}
	}
	if s.Rate > 0 {
		s.ErrorRate = errors / s.Rate
	}
	return s
}

// standsBy reports whether an instance could take requests, and others suffice.
func standsBy(in Instance) bool { return in.State == "backup" || in.State == "other-zone" }

// FromInstance converts one instance, without its history.
func FromInstance(v keeper.InstanceView) Instance {
	in := Instance{
		ID: v.ID, Address: v.Address, Tags: v.Tags, Source: v.Source, State: v.State, Condition: ConditionOK, Failures: v.Failures, FailedFor: v.FailedFor, Since: readable.Moment(v.Since), Ejections: v.Ejections,
		InFlight: v.InFlight, Requests: v.Requests, Errors: v.Errors, Weight: v.Weight, History: []float32{}, ErrorHist: []float32{},
		Cost: Cost{
			Total: finite(v.Cost), LatencyFactor: finite(v.LatencyFactor), Error: v.ErrorEstimate, ErrorFactor: finite(v.ErrorFactor), Silence: finite(v.Silence),
			InFlight: v.InFlight, Capacity: finite(v.Capacity), Veto: v.Veto, SlowStart: v.SlowStart, LatencyMs: v.LatencyMs,
		},
	}
	if !v.Until.IsZero() {
		in.Until = readable.Moment(v.Until)
	}
	if sc := v.Score; sc != nil {
		in.Facts = &Facts{
			Score: sc.Score, Known: sc.Confidence > 0, State: sc.State, Reasons: nonNil(sc.Reasons), AgeMs: float64(v.ScoreAge) / 1e6, Trust: v.Trust,
			Capacity: optional(sc.Capacity), ErrorRate: optional(sc.ErrorRate), Utilization: optional(sc.Utilization), P95Ms: optional(sc.P95Latency),
			Estimate: fromEstimate(sc.Estimate),
			Ignored:  sc.Ignored,
		}
		if in.Facts.Ignored == nil {
			in.Facts.Ignored = map[string]uint64{}
		}
	}
	if !v.Probe.At.IsZero() {
		in.Probe = &Probe{State: v.Probe.State, At: readable.Moment(v.Probe.At), OK: v.Probe.OK, Status: v.Probe.Status, Body: v.Probe.Body, TookMs: float64(v.Probe.Took) / 1e6}
	}
	return in
}

// unpayable stands for an infinite cost, which JSON cannot represent.
const unpayable = 1e12

func finite(v float64) float64 {
	if v != v {
		return 0
	}
	return min(v, unpayable)
}

func optional(o event.Optional) *float64 {
	if !o.Set {
		return nil
	}
	return &o.Value
}
