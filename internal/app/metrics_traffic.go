package app

import (
	"cmp"
	"slices"

	"github.com/smartlb/smartlb/internal/control/keeper"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/proxy"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Limits on the series of instances in a scrape. Whole services are left out, the largest first: a part of a service
// would look like the whole. A fleet with 5,000 instances has therefore the series of its small services; the series of
// routes and services are always complete.
const (
	maxInstances          = 1000 // with counters and gauges: four series each
	maxInstanceHistograms = 100  // with a histogram: 20 classic series each
)

// Families of routes, services and instances.
var (
	familyRouteRequests = counter("smartlb_route_requests_total", "Finished requests, by class of the status that the client got; none: no status was sent. Without a service: the route answers itself. Without a route: requests that no route matched, and requests that the proxy answered before routing.", "route", "service", "code")
	familyRouteDuration = histogram("smartlb_route_request_duration_seconds", "Time from the head of a request to the last byte of its response, without tunnels. Classic and native histogram.", "route", "service")
	familyRouteIn       = counter("smartlb_route_request_bytes_total", "Bytes of request bodies and from clients in tunnels, counted at the end of the request.", "route", "service")
	familyRouteOut      = counter("smartlb_route_response_bytes_total", "Bytes of response bodies and to clients in tunnels, counted at the end of the request.", "route", "service")
	familyRouteRetries  = counter("smartlb_route_retries_total", "Tries after the first try of a request, by the reason.", "route", "service", "reason")
	familyRouteDenied   = counter("smartlb_route_retries_denied_total", "Retries and hedges that the retry budget of the service did not allow.", "route", "service")
	familyRouteHedges   = counter("smartlb_route_hedges_total", "Second tries of requests whose first try had not answered in time, by whether their response was used.", "route", "service", "result")
	familyRouteFailures = counter("smartlb_route_failures_total", "Requests whose last try failed, by failure and by the party that is charged. A failure has no series before it occurs.", "route", "service", "failure", "charged")

	familyServiceRequests  = counter("smartlb_service_requests_total", "Tries that were answered or failed, on all instances, also on those that left.", "service")
	familyServiceErrors    = counter("smartlb_service_errors_total", "Tries with 5xx or 429, and failures, on all instances, also on those that left.", "service")
	familyServiceInFlight  = gauge("smartlb_service_in_flight", "Requests of clients in flight.", "service")
	familyServiceInstances = gauge("smartlb_service_instances", "Instances of the service, by state.", "service", "state")
	familyServiceEjections = counter("smartlb_service_ejections_total", "Ejections of instances because of failed requests.", "service")
	familyServicePanic     = gauge("smartlb_service_panic", "1 while the share of healthy instances is below panicThreshold.", "service")
	familyServiceProbes    = counter("smartlb_service_probes_total", "Health checks of instances, by result. Only services with healthCheck have this series.", "service", "result")
	familyServiceLoads     = counter("smartlb_service_load_reports_total", "Load reports in responses of instances (ORCA), by result: read or invalid. Only services with loadReports.orca have this series.", "service", "result")
	familyServiceInsecure  = gauge("smartlb_service_insecure", "1 for a service whose instances may have any certificate (insecure: true).", "service")
	familyServiceSessions  = counter("smartlb_service_sessions_total", "Requests to a service with sessionPersistence, by what became of the session of the client. kept: its instance got the request; new: the request had no valid cookie; moved: its instance was out of rotation or gone. A service without such requests has no series.", "service", "result")
	familyServiceWaiting   = gauge("smartlb_service_queue_waiting", "Requests that wait in the queue of the service. Only services with concurrency have the series of the queue.", "service")
	familyServiceQueued    = histogram("smartlb_service_queue_duration_seconds", "Wait in the queue of requests that then went to an instance. Classic and native histogram.", "service")
	familyServiceRefused   = counter("smartlb_service_queue_refused_total", "Requests that did not go to an instance: the queue was full, they waited for queueTimeout, or the client left.", "service", "reason")
	familyServiceHidden    = gauge("smartlb_service_instances_hidden", "Instances that have no series of their own, because the node has too many instances.", "service")

	familyInstanceRequests = counter("smartlb_instance_requests_total", "Tries that were answered or failed.", "service", "instance_id")
	familyInstanceErrors   = counter("smartlb_instance_errors_total", "Tries with 5xx or 429, and failures.", "service", "instance_id")
	familyInstanceInFlight = gauge("smartlb_instance_in_flight", "Tries in flight.", "service", "instance_id")
	familyInstanceIn       = gauge("smartlb_instance_in", "1 while the instance is in rotation.", "service", "instance_id")
	familyInstanceResponse = histogram("smartlb_instance_response_duration_seconds", "Time from the end of a request to the response head. Failures other than timeouts are not counted. Classic and native histogram.", "service", "instance_id")
)

// traffic sends the series of routes, services and instances.
func (c collector) traffic(s series, n proxy.Stats) {
	for _, t := range c.a.data.dispatcher.Own().Traffics() {
		if t.Route == "" {
			s.unrouted(t, n)
			continue
		}
		s.route(t, "")
		s <- newHistogramPair(familyRouteDuration, ofRoute(t.Duration.Load()), c.a.started, t.Route, "")
	}
	services := c.a.data.keeper.Counts()
	sizes := make([]int, len(services))
	for i, v := range services {
		sizes[i] = len(v.Instances)
	}
	shown, detailed := within(sizes, maxInstances), within(sizes, maxInstanceHistograms)
	for i, v := range services {
		s.service(v)
		if v.Limited {
			s <- newHistogramPair(familyServiceQueued, ofRoute(v.Queued), c.a.started, v.ID)
		}
		for _, t := range v.Routes {
			s.route(t, v.ID)
			s <- newHistogramPair(familyRouteDuration, ofRoute(t.Duration.Load()), c.a.started, t.Route, v.ID)
		}
		if !shown[i] {
			s.put(familyServiceHidden, float64(len(v.Instances)), v.ID)
			continue
		}
		s.put(familyServiceHidden, 0, v.ID)
		for _, in := range v.Instances {
			s.instance(v.ID, in)
			if detailed[i] {
				s <- newHistogramPair(familyInstanceResponse, ofInstance(in.Counted), c.a.started, v.ID, in.ID)
			}
		}
	}
}

// within chooses services, the smallest first, whose instances together are at most limit. Equal services are chosen in
// their order, so the choice does not change from scrape to scrape.
func within(sizes []int, limit int) []bool {
	order := make([]int, len(sizes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sizes[a], sizes[b]) })
	chosen := make([]bool, len(sizes))
	for _, i := range order {
		if limit -= sizes[i]; limit < 0 {
			break
		}
		chosen[i] = true
	}
	return chosen
}

// unrouted sends the series of requests without a route.
func (s series) unrouted(t *upstream.Traffic, n proxy.Stats) {
	for class, requests := range t.Load().Requests {
		s.count(familyRouteRequests, requests+n.Own[class], "", "", upstream.StatusClassName(class))
	}
}

func (s series) route(t *upstream.Traffic, service string) {
	n := t.Load()
	for class, requests := range n.Requests {
		s.count(familyRouteRequests, requests, t.Route, service, upstream.StatusClassName(class))
	}
	s.count(familyRouteIn, n.BytesIn, t.Route, service)
	s.count(familyRouteOut, n.BytesOut, t.Route, service)
	for reason := range dispatch.NumRetryReasons {
		s.count(familyRouteRetries, n.Retries[reason], t.Route, service, dispatch.RetryReason(reason).String())
	}
	s.count(familyRouteDenied, n.RetriesDenied, t.Route, service)
	for result := range dispatch.NumHedgeResults {
		s.count(familyRouteHedges, n.Hedges[result], t.Route, service, dispatch.HedgeResult(result).String())
	}
	for f, failures := range n.Failures {
		if failures > 0 {
			failure := dispatch.Failure(f)
			s.count(familyRouteFailures, failures, t.Route, service, failure.String(), charged(failure).String())
		}
	}
}

// charged returns who is charged for a failure. It is the same before and after the response head.
func charged(f dispatch.Failure) dispatch.Party {
	if p := dispatch.Blame(f, false).Charged; p != dispatch.Nobody {
		return p
	}
	return dispatch.Blame(f, true).Charged
}

func (s series) service(v keeper.ServiceCounts) {
	s.count(familyServiceRequests, v.Requests, v.ID)
	s.count(familyServiceErrors, v.Errors, v.ID)
	s.put(familyServiceInFlight, float64(v.InFlight), v.ID)
	for state, n := range v.States {
		s.put(familyServiceInstances, float64(n), v.ID, upstream.Reason(state).String())
	}
	s.count(familyServiceEjections, v.Ejections, v.ID)
	s.flag(familyServicePanic, v.Panic, v.ID)
	if v.Checked {
		s.count(familyServiceProbes, v.ProbesPassed, v.ID, "passed")
		s.count(familyServiceProbes, v.ProbesFailed, v.ID, "failed")
	}
	if v.ReadsLoads {
		s.count(familyServiceLoads, v.LoadsTaken, v.ID, "read")
		s.count(familyServiceLoads, v.LoadsRefused, v.ID, "invalid")
	}
	if v.Limited {
		s.put(familyServiceWaiting, float64(v.Gate.Waiting), v.ID)
		for reason, n := range v.Gate.Refused {
			s.count(familyServiceRefused, n, v.ID, guard.Refusal(reason).String())
		}
	}
	if v.Sessions != [upstream.SessionResults]uint64{} {
		for result, n := range v.Sessions {
			s.count(familyServiceSessions, n, v.ID, upstream.SessionResult(result).String())
		}
	}
	if v.Insecure {
		s.flag(familyServiceInsecure, true, v.ID)
	}
}

func (s series) instance(service string, n keeper.InstanceCounts) {
	s.count(familyInstanceRequests, n.Requests, service, n.ID)
	s.count(familyInstanceErrors, n.Errors, service, n.ID)
	s.put(familyInstanceInFlight, float64(n.InFlight), service, n.ID)
	s.flag(familyInstanceIn, n.State == upstream.In, service, n.ID)
}
