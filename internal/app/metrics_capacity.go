package app

import (
	"context"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/telemetry/capacity"
)

// Families of what services can carry. A number that is unknown has no series.
var (
	familyCapacity     = gauge("smartlb_service_capacity_requests_per_second", "Requests per second that the instances in rotation can carry at full use. No series: unknown.", "service")
	familyCapacityLoad = gauge("smartlb_service_capacity_load_requests_per_second", "Requests per second of all proxies to the service, as the analyzer sees them.", "service")
	familyHeadroom     = gauge("smartlb_service_capacity_headroom_requests_per_second", "Further requests per second that the service carries at 80 % of its capacity; below 0: it is overloaded. No series: unknown.", "service")
	familyLowerBound   = gauge("smartlb_service_capacity_lower_bound", "1 while capacity, headroom and losses are lower bounds: the limit of an instance is unknown.", "service")
	familyMayLose      = gauge("smartlb_service_capacity_survivable_losses", "Instances, the largest ones first, that the service may lose at its present load. No series: unknown.", "service")
	familyRecommended  = gauge("smartlb_service_capacity_recommended_instances", "Instances for the present load at 80 % of their capacity. No series: unknown.", "service")
	familyZoneLoss     = gauge("smartlb_service_capacity_survives_zone_loss", "1 if the service survives the loss of its largest zone at its present load, 0 if it does not. No series: unknown, or fewer than two zones.", "service")
	familyRegionLoss   = gauge("smartlb_service_capacity_survives_region_loss", "1 if the service survives the loss of its largest region at its present load, 0 if it does not. No series: unknown, or fewer than two regions.", "service")
	familyConfidence   = gauge("smartlb_service_capacity_confidence", "How far these numbers may be trusted: 0 unknown, 1 low, 2 medium, 3 high.", "service")
)

// capacity is api.Sources.Capacity of a node with the role proxy.
func (a *App) capacity(_ context.Context, q api.CapacityQuery) ([]api.Capacity, error) {
	return api.CapacityOf(api.FromViewsOf(a.data.keeper.Views(), a.data.trend, 1), q)
}

// capacity sends the series of what services can carry.
func (c collector) capacity(s series) {
	for _, v := range api.FromViewsOf(c.a.data.keeper.Views(), c.a.data.trend, 1) {
		n, sum := api.Summarize(v, capacity.DefaultTarget)
		s.put(familyConfidence, float64(sum.Confidence), v.ID)
		s.known(familyCapacity, n.Capacity, v.ID)
		s.known(familyCapacityLoad, n.Load, v.ID)
		s.known(familyHeadroom, n.Headroom, v.ID)
		if n.Capacity != nil {
			s.flag(familyLowerBound, n.AtLeast, v.ID)
		}
		if n.Survives != nil && (*n.Survives > 0 || !n.AtLeast) {
			s.put(familyMayLose, float64(*n.Survives), v.ID)
		}
		s.largest(familyZoneLoss, sum.Zones, v.ID)
		s.largest(familyRegionLoss, sum.Regions, v.ID)
		if n.Recommended != nil {
			s.put(familyRecommended, float64(*n.Recommended), v.ID)
		}
	}
}

// largest sends whether a service survives the loss of its largest area, unless that is unknown.
func (s series) largest(f *family, areas []capacity.Area, service string) {
	if len(areas) > 0 && areas[0].Survives != capacity.Unknown {
		s.flag(f, areas[0].Survives == capacity.Yes, service)
	}
}

// known sends a number unless it is unknown.
func (s series) known(f *family, v *float64, labels ...string) {
	if v != nil {
		s.put(f, readable.Number(*v), labels...)
	}
}
