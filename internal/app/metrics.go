package app

import (
	"cmp"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/smartlb/smartlb/internal/base/quota"
	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/dataplane/compress"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/proxy"
)

// metrics returns the registry for /metrics. It reads existing counters at scrape time; no event is counted twice.
func (a *App) metrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collector{a})
	return r
}

// family describes the series of one name. docs/metrics.md shows all families.
type family struct {
	name, help string
	kind       string // counter, gauge or histogram
	labels     []string
	desc       *prometheus.Desc
}

func newFamily(kind, name, help string, labels ...string) *family {
	return &family{name, help, kind, labels, prometheus.NewDesc(name, help, labels, nil)}
}

func counter(name, help string, labels ...string) *family {
	return newFamily("counter", name, help, labels...)
}

func gauge(name, help string, labels ...string) *family {
	return newFamily("gauge", name, help, labels...)
}

// series sends the series of a scrape to the library.
type series chan<- prometheus.Metric

// put sends one series. v is a count or a gauge's value.
func (s series) put(f *family, v float64, labels ...string) {
	kind := prometheus.GaugeValue
	if f.kind == "counter" {
		kind = prometheus.CounterValue
	}
	s <- prometheus.MustNewConstMetric(f.desc, kind, v, labels...)
}

func (s series) count(f *family, n uint64, labels ...string) { s.put(f, float64(n), labels...) }

func (s series) flag(f *family, on bool, labels ...string) {
	v := 0.0
	if on {
		v = 1
	}
	s.put(f, v, labels...)
}

// Families of the node and of its connections with clients.
var (
	familyBuild         = gauge("smartlb_build_info", "Always 1; the labels name the node and its build.", "node", "version", "go_version")
	familyUpgrade       = gauge("smartlb_upgrade_failed", "1 after an upgrade of the binary that failed, until an upgrade succeeds or the node restarts.")
	familyShortage      = counter("smartlb_shortage_total", "Connections and probes that failed because this node lacked descriptors, memory, ports or a response from its name server.")
	familyMemoryLimit   = gauge("smartlb_memory_limit_bytes", "Memory that this process may use (`proxy.limits.memoryBytes`).")
	familyMemoryUsed    = gauge("smartlb_memory_used_bytes", "Memory that this process uses.")
	familyMemoryRefused = counter("smartlb_memory_refused_total", "Requests refused because more than 85 % (low priority) or 95 % (all) of the memory was in use.", "priority")

	familyDropped = counter("smartlb_dropped_total", "Lost items, by queue.", "queue")

	familyConns     = gauge("smartlb_connections_open", "Client connections.")
	familyAccepted  = counter("smartlb_connections_accepted_total", "Client connections accepted.")
	familyRefused   = counter("smartlb_connections_refused_total", "Client connections refused, by the limit that was reached.", "limit")
	familySessions  = counter("smartlb_http2_connections_total", "Client connections of HTTP/2.")
	familyHeaders   = counter("smartlb_proxy_protocol_connections_total", "Client connections that must begin with a PROXY header, by result.", "result")
	familyHeads     = counter("smartlb_requests_total", "Request heads, valid or invalid.")
	familyMalformed = counter("smartlb_requests_malformed_total", "Requests that were refused before routing, and request bodies that were refused, by kind. The kind limit counts limits of size and time.", "kind")
	familyFields    = counter("smartlb_request_fields_dropped_total", "Request headers with an underscore in their name that were not forwarded.")
	familyLoops     = counter("smartlb_loops_total", "Requests that this proxy had forwarded before.")
	familyRedirects = counter("smartlb_redirects_total", "Requests that were redirected to https.")

	familyCompressed   = counter("smartlb_compressed_responses_total", "Responses that were compressed, by encoding.", "encoding")
	familyUncompressed = counter("smartlb_uncompressed_responses_total", "Responses that were not compressed because 256 were being compressed.")

	familyDials    = counter("smartlb_upstream_dials_total", "Connections made to instances.")
	familyMirrors  = gauge("smartlb_mirrors_in_flight", "Copies of requests under way, at most 256.")
	familyIdle     = gauge("smartlb_upstream_idle_connections", "Connections to instances that no request uses.")
	familyReuses   = counter("smartlb_upstream_reuses_total", "Requests sent on a kept connection.")
	familyStale    = counter("smartlb_upstream_stale_total", "Kept connections that the instance had closed when a request needed one.")
	familyResent   = counter("smartlb_upstream_resent_total", "Requests sent again because the instance had just closed the idle connection.")
	familyTolerant = counter("smartlb_upstream_tolerated_total", "Responses that violated HTTP but had only one meaning, by kind.", "kind")

	familyHandshakes = counter("smartlb_tls_handshakes_total", "TLS handshakes of clients, by result.", "result")
	familyExpires    = gauge("smartlb_certificate_expires_timestamp_seconds", "When a certificate in a TLS file of a listener or of a service expires: the one in use that expires first.", "listener", "service", "file")
	familyBadCert    = gauge("smartlb_certificate_refused", "1 while a changed TLS file of a listener or of a service cannot be used and what was read before stays in use.", "listener", "service", "file")
	familyOrder      = gauge("smartlb_certificate_order_failed", "1 while the latest order of an automatic certificate has failed.", "listener", "file")

	familyWebOpen    = gauge("smartlb_web_open", "Connections, searches, streams and calls in progress on admin and console.", "what")
	familyWebRefused = counter("smartlb_web_refused_total", "Connections and calls refused on admin and console, because a limit in total or per client was reached.", "what", "why")
)

type collector struct{ a *App }

func (c collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect sends all series of the node.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s, a := series(ch), c.a
	s.put(familyBuild, 1, a.node, cmp.Or(a.o.Version, "unknown"), runtime.Version())
	for queue, n := range a.drops() {
		s.count(familyDropped, n, queue)
	}
	if a.o.Upgrade.C != nil {
		s.flag(familyUpgrade, a.badUpgrade.Load() != nil)
	}
	c.web(s)
	c.configuration(s)
	c.kafka(s)
	if a.data == nil {
		return
	}
	stats := a.data.proxy.Stats()
	s.count(familyShortage, a.data.shortage.Count())
	s.memory(a.data.memory.Stats())
	s.clients(stats)
	s.upstream(stats)
	c.tls(s, stats)
	c.traffic(s, stats)
	c.limits(s)
	c.discovery(s)
	c.capacity(s)
	c.tokens(s)
}

// clients sends the series of client connections.
func (s series) clients(n proxy.Stats) {
	s.put(familyConns, float64(n.ConnectionsOpen))
	s.count(familyAccepted, n.Accepted)
	s.count(familyRefused, n.Refused, "connections")
	s.count(familyRefused, n.PerClient, "connectionsPerClient")
	s.count(familyRefused, n.NoMemory, "memory")
	s.count(familySessions, n.Sessions)
	for i, n := range n.ProxyHeaders {
		s.count(familyHeaders, n, proxy.ProxyHeader(i).String())
	}
	s.count(familyHeads, n.Requests)
	for i, n := range n.ParseErrors {
		s.count(familyMalformed, n, h1.Class(i).String())
	}
	s.count(familyFields, n.FieldsDropped)
	s.count(familyLoops, n.Loops)
	s.count(familyRedirects, n.Redirects)
	for coding := compress.Gzip; int(coding) < compress.NumCodings; coding++ {
		s.count(familyCompressed, n.Compressed[coding], coding.String())
	}
	s.count(familyUncompressed, n.Uncompressed)
}

// upstream sends the series of connections to instances.
func (s series) upstream(n proxy.Stats) {
	s.count(familyDials, n.UpstreamDials)
	s.put(familyIdle, float64(n.IdleUpstream))
	s.put(familyMirrors, float64(n.Mirrors))
	s.count(familyReuses, n.UpstreamReuses)
	s.count(familyStale, n.UpstreamStale)
	s.count(familyResent, n.UpstreamResent)
	for i, n := range n.Tolerated {
		s.count(familyTolerant, n, h1.ToleranceName(i))
	}
}

func (c collector) tls(s series, n proxy.Stats) {
	for service, b := range c.a.data.certs.backends() {
		s.tlsFiles("", service, b.files.Status())
	}
	sets := c.a.data.certs.current()
	if len(sets) == 0 {
		return
	}
	for i, n := range n.Handshakes {
		s.count(familyHandshakes, n, proxy.Handshake(i).String())
	}
	failed := c.a.data.certs.acme.problems()
	for listener, set := range sets {
		for _, awaited := range set.Config().Awaited {
			_, bad := failed[awaited.File]
			s.flag(familyOrder, bad, listener, awaited.File)
		}
		s.tlsFiles(listener, "", set.Status())
	}
}

// tlsFiles sends the series of the files of a listener or of a service.
func (s series) tlsFiles(listener, service string, files []certs.Status) {
	seen := map[string]bool{} // one file may be named twice
	for _, st := range files {
		if seen[st.File] {
			continue
		}
		seen[st.File] = true
		if !st.Expires.IsZero() {
			s.put(familyExpires, float64(st.Expires.Unix()), listener, service, st.File)
		}
		s.flag(familyBadCert, st.Bad != nil, listener, service, st.File)
	}
}

func (c collector) web(s series) {
	all := map[string]*quota.Quota{}
	maps.Copy(all, c.a.limits.Quotas())
	for _, w := range c.a.web {
		all[w.name+" connections"] = w.limited.quota
	}
	for what, q := range all {
		open, refused := q.Stats()
		s.put(familyWebOpen, float64(open), what)
		s.count(familyWebRefused, refused.Full, what, "full")
		s.count(familyWebRefused, refused.Share, what, "share")
	}
}

// section is a part of docs/metrics.md.
type section struct {
	title    string
	families []*family
}

// sections lists every family, in the order of docs/metrics.md.
func sections() []section {
	all := []section{
		{"Routes", []*family{familyRouteRequests, familyRouteDuration, familyRouteIn, familyRouteOut, familyRouteRetries, familyRouteDenied, familyRouteHedges, familyRouteMirrored, familyMirrors, familyRouteFailures}},
		{"Tokens", []*family{familyRefusedTokens, familyKeyFetches, familyKeysTime}},
		{"Authentication services", []*family{familyAuthRequests, familyAuthWaiting}},
		{"Rate limits", []*family{familyLimited, familyLimitKeys, familyLimitEvicted, familyLimitShare, familyLimitShared}},
		{"Services", []*family{familyServiceRequests, familyServiceErrors, familyServiceInFlight, familyServiceInstances, familyServiceEjections, familyServicePanic, familyServiceProbes, familyServiceLoads, familyServiceInsecure, familyServiceSessions, familyServiceLimit, familyServiceWaiting, familyServiceQueued, familyServiceRefused, familyServiceHidden}},
		{"Capacity", []*family{familyCapacity, familyCapacityLoad, familyHeadroom, familyLowerBound, familyMayLose, familyZoneLoss, familyRegionLoss, familyRecommended, familyConfidence}},
		{"Instances", []*family{familyInstanceRequests, familyInstanceErrors, familyInstanceInFlight, familyInstanceIn, familyInstanceResponse}},
		{"Clients", []*family{familyHeads, familyMalformed, familyConns, familyAccepted, familyRefused, familySessions, familyHeaders, familyFields, familyLoops, familyRedirects, familyCompressed, familyUncompressed}},
		{"Connections to instances", []*family{familyDials, familyIdle, familyReuses, familyStale, familyResent, familyTolerant}},
		{"TLS", []*family{familyHandshakes, familyExpires, familyBadCert, familyOrder}},
		{"Sources of instances", []*family{familyFound, familyFoundAge, familyFoundStale, familyFoundGood, familyFoundBad, familyHeld, familyJoins, familyLeaves}},
		{"Configuration and node", []*family{familyRevision, familyReloadGood, familyReloadTime, familyReloads, familyLog, familyBadFile, familyBuild, familyUpgrade, familyShortage, familyMemoryLimit, familyMemoryUsed, familyMemoryRefused, familyDropped}},
		{"Kafka", []*family{familyFactsLag, familyFactsTime, familyFactsConnected, familyInputLag, familyDelivered, familyBuffered, familySkipped, familyGroupLag, familyGroupAlarm}},
		{"Collector", []*family{familyCollected, familyCollecting, familyOTLPRequests, familyOTLPReports}},
		{"Receivers of alerts", []*family{familyAlertSender, familyAlertMessages, familyAlertFailing}},
		{"Admin and console", []*family{familyWebOpen, familyWebRefused}},
	}
	for _, s := range all {
		slices.SortStableFunc(s.families, func(a, b *family) int { return strings.Compare(a.name, b.name) })
	}
	return all
}
