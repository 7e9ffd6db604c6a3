package app

import (
	"maps"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/smartlb/smartlb/internal/base/quota"
	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/proxy"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// maxInstanceSeries is the highest number of per-instance series in a scrape. Above it, only the sums per service
// remain.
const maxInstanceSeries = 1000

// metrics returns the registry for /metrics. It reads existing counters at scrape time; no event is counted twice.
func (a *App) metrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collector{a})
	return r
}

type collector struct{ a *App }

// Descriptions of all series. Latencies are in the access log and in Kafka only: histogram buckets per instance would
// have too high a cardinality.
var (
	descRequests = prometheus.NewDesc("smartlb_instance_requests_total", "Requests answered or failed.", []string{"service", "instance"}, nil)
	descErrors   = prometheus.NewDesc("smartlb_instance_errors_total", "Responses with 5xx or 429, and failures.", []string{"service", "instance"}, nil)
	descInFlight = prometheus.NewDesc("smartlb_instance_in_flight", "Requests in flight.", []string{"service", "instance"}, nil)
	descIn       = prometheus.NewDesc("smartlb_instance_in", "1 while the instance is in rotation.", []string{"service", "instance"}, nil)
	descService  = prometheus.NewDesc("smartlb_service_requests_total", "Requests answered or failed, all instances.", []string{"service"}, nil)
	descPanic    = prometheus.NewDesc("smartlb_service_panic", "1 while fewer than half of the instances are healthy.", []string{"service"}, nil)
	descConns    = prometheus.NewDesc("smartlb_connections_open", "Client connections.", nil, nil)
	descAccepted = prometheus.NewDesc("smartlb_connections_accepted_total", "Client connections accepted.", nil, nil)
	descRefused  = prometheus.NewDesc("smartlb_connections_refused_total", "Client connections refused, by the limit that was reached.", []string{"limit"}, nil)
	descHeads    = prometheus.NewDesc("smartlb_requests_total", "Request heads, valid or invalid.", nil, nil)
	descDials    = prometheus.NewDesc("smartlb_upstream_dials_total", "Connections made to instances.", nil, nil)
	descResent   = prometheus.NewDesc("smartlb_upstream_resent_total", "Requests sent again because the instance had just closed the idle connection.", nil, nil)
	descShortage = prometheus.NewDesc("smartlb_shortage_total", "Connections and probes that failed because this node lacked descriptors, memory, ports or a response from its name server.", nil, nil)
	descSessions = prometheus.NewDesc("smartlb_http2_connections_total", "Client connections of HTTP/2.", nil, nil)
	descFields   = prometheus.NewDesc("smartlb_request_fields_dropped_total", "Request headers with an underscore in their name that were not forwarded.", nil, nil)
	descLoops    = prometheus.NewDesc("smartlb_loops_total", "Requests that this proxy had forwarded before.", nil, nil)
	descRedirect = prometheus.NewDesc("smartlb_redirects_total", "Requests that were redirected to https.", nil, nil)
	descAnswers  = prometheus.NewDesc("smartlb_route_responses_total", "Responses that a route sent instead of asking an instance, by kind.", []string{"kind"}, nil)
	descTolerant = prometheus.NewDesc("smartlb_upstream_tolerated_total", "Responses that violated HTTP but had only one meaning, by kind.", []string{"kind"}, nil)
	descHeaders  = prometheus.NewDesc("smartlb_proxy_protocol_connections_total", "Client connections that must begin with a PROXY header, by result.", []string{"result"}, nil)
	descInsecure = prometheus.NewDesc("smartlb_service_insecure", "1 for a service whose instances may have any certificate (insecure: true).", []string{"service"}, nil)
	descShakes   = prometheus.NewDesc("smartlb_tls_handshakes_total", "TLS handshakes of clients, by result.", []string{"result"}, nil)
	descExpires  = prometheus.NewDesc("smartlb_certificate_expires_timestamp_seconds", "When a certificate in a TLS file of a listener or of a service expires: the one in use that expires first.", []string{"listener", "service", "file"}, nil)
	descBadCert  = prometheus.NewDesc("smartlb_certificate_refused", "1 while a changed TLS file of a listener or of a service cannot be used and what was read before stays in use.", []string{"listener", "service", "file"}, nil)
	descOrder    = prometheus.NewDesc("smartlb_certificate_order_failed", "1 while the latest order of an automatic certificate has failed.", []string{"listener", "file"}, nil)
	descBadFile  = prometheus.NewDesc("smartlb_config_file_refused", "1 while the changed configuration file is refused and the configuration before it serves.", nil, nil)
	descUpgrade  = prometheus.NewDesc("smartlb_upgrade_failed", "1 after an upgrade of the binary that failed, until an upgrade succeeds or the node restarts.", nil, nil)
	descDropped  = prometheus.NewDesc("smartlb_dropped_total", "Lost items, by queue.", []string{"queue"}, nil)
	descLag      = prometheus.NewDesc("smartlb_group_lag", "Lag in records of a consumer group that has a threshold.", []string{"group"}, nil)
	descLagAlarm = prometheus.NewDesc("smartlb_group_lag_alarm", "1 while the lag is above the threshold set in the console.", []string{"group"}, nil)
	descSkipped  = prometheus.NewDesc("smartlb_records_skipped_total", "Records of a topic that could not be processed and were skipped.", []string{"topic"}, nil)
	descWebOpen  = prometheus.NewDesc("smartlb_web_open", "Connections, searches, streams and calls in progress on admin and console.", []string{"what"}, nil)
	descWebNo    = prometheus.NewDesc("smartlb_web_refused_total", "Connections and calls refused on admin and console, because a limit in total or per client was reached.", []string{"what", "why"}, nil)
	descKafka    = prometheus.NewDesc("smartlb_kafka_delivered_total", "Records delivered to Kafka.", []string{"topic"}, nil)
)

func (c collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

func (c collector) Collect(ch chan<- prometheus.Metric) {
	for queue, n := range c.a.drops() {
		ch <- prometheus.MustNewConstMetric(descDropped, prometheus.CounterValue, float64(n), queue)
	}
	c.web(ch)
	if c.a.o.Signals.Reload != nil {
		refused := 0.0
		if c.a.refused.Load() != nil {
			refused = 1
		}
		ch <- prometheus.MustNewConstMetric(descBadFile, prometheus.GaugeValue, refused)
	}
	if c.a.o.Upgrade.C != nil {
		failed := 0.0
		if c.a.badUpgrade.Load() != nil {
			failed = 1
		}
		ch <- prometheus.MustNewConstMetric(descUpgrade, prometheus.GaugeValue, failed)
	}
	if c.a.producer != nil {
		for topic, t := range c.a.producer.Stats().Topics {
			ch <- prometheus.MustNewConstMetric(descKafka, prometheus.CounterValue, float64(t.Delivered), topic)
		}
	}
	for topic, n := range c.a.kafka.Skips.Counts() {
		ch <- prometheus.MustNewConstMetric(descSkipped, prometheus.CounterValue, float64(n), topic)
	}
	if c.a.browser != nil {
		for _, w := range c.a.browser.Watched() {
			high := 0.0
			if w.Alarm {
				high = 1
			}
			ch <- prometheus.MustNewConstMetric(descLag, prometheus.GaugeValue, float64(w.Lag), w.Group)
			ch <- prometheus.MustNewConstMetric(descLagAlarm, prometheus.GaugeValue, high, w.Group)
		}
	}
	if c.a.data == nil {
		return
	}
	s := c.a.data.proxy.Stats()
	ch <- prometheus.MustNewConstMetric(descConns, prometheus.GaugeValue, float64(s.ConnectionsOpen))
	ch <- prometheus.MustNewConstMetric(descAccepted, prometheus.CounterValue, float64(s.Accepted))
	ch <- prometheus.MustNewConstMetric(descRefused, prometheus.CounterValue, float64(s.Refused), "connections")
	ch <- prometheus.MustNewConstMetric(descRefused, prometheus.CounterValue, float64(s.PerClient), "connectionsPerClient")
	ch <- prometheus.MustNewConstMetric(descHeads, prometheus.CounterValue, float64(s.Requests))
	ch <- prometheus.MustNewConstMetric(descDials, prometheus.CounterValue, float64(s.UpstreamDials))
	ch <- prometheus.MustNewConstMetric(descResent, prometheus.CounterValue, float64(s.UpstreamResent))
	ch <- prometheus.MustNewConstMetric(descShortage, prometheus.CounterValue, float64(c.a.data.shortage.Count()))
	ch <- prometheus.MustNewConstMetric(descSessions, prometheus.CounterValue, float64(s.Sessions))
	ch <- prometheus.MustNewConstMetric(descFields, prometheus.CounterValue, float64(s.FieldsDropped))
	ch <- prometheus.MustNewConstMetric(descLoops, prometheus.CounterValue, float64(s.Loops))
	ch <- prometheus.MustNewConstMetric(descRedirect, prometheus.CounterValue, float64(s.Redirects))
	ch <- prometheus.MustNewConstMetric(descAnswers, prometheus.CounterValue, float64(s.RouteRedirects), "redirect")
	ch <- prometheus.MustNewConstMetric(descAnswers, prometheus.CounterValue, float64(s.FixedResponses), "fixed-response")
	for i, n := range s.Tolerated {
		ch <- prometheus.MustNewConstMetric(descTolerant, prometheus.CounterValue, float64(n), h1.ToleranceName(i))
	}
	for i, n := range s.ProxyHeaders {
		ch <- prometheus.MustNewConstMetric(descHeaders, prometheus.CounterValue, float64(n), proxy.ProxyHeader(i).String())
	}
	for service, b := range c.a.data.certs.backends() {
		if b.files.Config().Insecure {
			ch <- prometheus.MustNewConstMetric(descInsecure, prometheus.GaugeValue, 1, service)
		}
	}
	c.tls(ch, s)
	c.instances(ch)
}

func (c collector) tls(ch chan<- prometheus.Metric, s proxy.Stats) {
	for service, b := range c.a.data.certs.backends() {
		tlsFiles(ch, "", service, b.files.Status())
	}
	sets := c.a.data.certs.current()
	if len(sets) == 0 {
		return
	}
	for i, n := range s.Handshakes {
		ch <- prometheus.MustNewConstMetric(descShakes, prometheus.CounterValue, float64(n), proxy.Handshake(i).String())
	}
	failed := c.a.data.certs.acme.problems()
	for listener, set := range sets {
		for _, a := range set.Config().Awaited {
			order := 0.0
			if _, ok := failed[a.File]; ok {
				order = 1
			}
			ch <- prometheus.MustNewConstMetric(descOrder, prometheus.GaugeValue, order, listener, a.File)
		}
		tlsFiles(ch, listener, "", set.Status())
	}
}

// tlsFiles writes the series of the files of a listener or of a service.
func tlsFiles(ch chan<- prometheus.Metric, listener, service string, files []certs.Status) {
	seen := map[string]bool{} // one file may be named twice
	for _, st := range files {
		if seen[st.File] {
			continue
		}
		seen[st.File] = true
		bad := 0.0
		if st.Bad != nil {
			bad = 1
		}
		if !st.Expires.IsZero() {
			ch <- prometheus.MustNewConstMetric(descExpires, prometheus.GaugeValue, float64(st.Expires.Unix()), listener, service, st.File)
		}
		ch <- prometheus.MustNewConstMetric(descBadCert, prometheus.GaugeValue, bad, listener, service, st.File)
	}
}

func (c collector) web(ch chan<- prometheus.Metric) {
	all := map[string]*quota.Quota{}
	maps.Copy(all, c.a.limits.Quotas())
	for _, w := range c.a.web {
		all[w.name+" connections"] = w.limited.quota
	}
	for what, q := range all {
		open, refused := q.Stats()
		ch <- prometheus.MustNewConstMetric(descWebOpen, prometheus.GaugeValue, float64(open), what)
		ch <- prometheus.MustNewConstMetric(descWebNo, prometheus.CounterValue, float64(refused.Full), what, "full")
		ch <- prometheus.MustNewConstMetric(descWebNo, prometheus.CounterValue, float64(refused.Share), what, "share")
	}
}

func (c collector) instances(ch chan<- prometheus.Metric) {
	count := 0
	sums, panics := map[string]uint64{}, map[string]float64{}
	for _, v := range c.a.data.keeper.Views() {
		sums[v.ID], panics[v.ID] = v.Departed, 0
		if v.Panic {
			panics[v.ID] = 1
		}
		for _, in := range v.Instances {
			sums[v.ID] += in.Requests
			if count++; count > maxInstanceSeries {
				continue
			}
			up := 0.0
			if in.State == upstream.In.String() {
				up = 1
			}
			ch <- prometheus.MustNewConstMetric(descRequests, prometheus.CounterValue, float64(in.Requests), v.ID, in.ID)
			ch <- prometheus.MustNewConstMetric(descErrors, prometheus.CounterValue, float64(in.Errors), v.ID, in.ID)
			ch <- prometheus.MustNewConstMetric(descInFlight, prometheus.GaugeValue, float64(in.InFlight), v.ID, in.ID)
			ch <- prometheus.MustNewConstMetric(descIn, prometheus.GaugeValue, up, v.ID, in.ID)
		}
	}
	for id, n := range sums {
		ch <- prometheus.MustNewConstMetric(descService, prometheus.CounterValue, float64(n), id)
		ch <- prometheus.MustNewConstMetric(descPanic, prometheus.GaugeValue, panics[id], id)
	}
}
