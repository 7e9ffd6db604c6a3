package config

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/promtext"
	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// LoadReports says where the load of the instances is read from, besides the messages that they send to Kafka themselves.
type LoadReports struct {
	ORCA       *ORCA       `yaml:"orca"`       // reports in the responses of the instances, as gRPC, Envoy and model servers know them; default not read
	Scrape     *Scrape     `yaml:"scrape"`     // numbers from the /metrics page of each instance, read by the nodes with the role collector; default not read
	AgentCheck *AgentCheck `yaml:"agentCheck"` // agents of HAProxy beside the instances, asked by the nodes with the role collector; default not asked
	PodMetrics *PodMetrics `yaml:"podMetrics"` // CPU and memory of the pods from the metrics API of Kubernetes, against their limits, read by the nodes with the role collector. It needs `services[].discovery.kubernetes`; default not read
	OTLP       *OTLP       `yaml:"otlp"`       // metrics that the instances send by OTLP to the nodes with the role collector, at `telemetry.otlp.address`; default not used
}

// PodMetrics configures the reading of the metrics API of Kubernetes.
type PodMetrics struct {
	Interval time.Duration `yaml:"interval"` // time between two readings, 1s to 1m. Kubernetes measures every 15s or less often; default 15s
	Timeout  time.Duration `yaml:"timeout"`  // longest time of a reading, more than 0s, at most the interval. With an interval below 5s the default is the interval; default 5s
}

// ORCA configures the reading of load reports in responses.
type ORCA struct {
	// whether the reports reach clients: with `true` the proxy removes the headers and trailers `endpoint-load-metrics` and
	// `endpoint-load-metrics-bin`; default true
	Strip     bool       `yaml:"strip"`
	OutOfBand *OutOfBand `yaml:"outOfBand"` // stream of reports of each instance, read by the nodes with the role collector; default none
}

// OutOfBand configures the streams of the gRPC service xds.service.orca.v3.OpenRcaService, over HTTP/2.
type OutOfBand struct {
	Port     int           `yaml:"port"`     // port of the gRPC service, 1 to 65535; default `services[].instances[].address`
	Interval time.Duration `yaml:"interval"` // time between two reports that the instance is asked for, 1s to 1m. An instance may have a longer one; default 10s
	TLS      *ReportTLS    `yaml:"tls"`      // encryption of the streams; default `services[].tls`
}

// Scrape configures the reading of pages in the text format of Prometheus.
type Scrape struct {
	Path     string        `yaml:"path"`     // path of the page, with a query if it needs one; default /metrics
	Port     int           `yaml:"port"`     // port of the page, 1 to 65535; default `services[].instances[].address`
	Interval time.Duration `yaml:"interval"` // time between two readings, 1s to 1m; default 5s
	Timeout  time.Duration `yaml:"timeout"`  // longest time of a reading, more than 0s, at most the interval. With an interval below 2s the default is the interval; default 2s
	TLS      *ReportTLS    `yaml:"tls"`      // encryption of the requests; default `services[].tls`
	Metrics  ScrapeMetrics `yaml:"metrics"`  // which numbers of the page have which meaning, at least one; required
}

// OTLP configures the use of metrics that instances send by OTLP. It names the numbers as Scrape does, by the names of
// OpenTelemetry, and labels are the attributes of the data points.
type OTLP struct {
	ServiceName       string        `yaml:"serviceName"`       // text of the resource attribute `service.name` of the instances, at most 256 bytes, unique among the services; default `services[].id`
	InstanceAttribute string        `yaml:"instanceAttribute"` // resource attribute with the id of the instance, at most 256 bytes; default service.instance.id
	Metrics           ScrapeMetrics `yaml:"metrics"`           // which metrics have which meaning, at least one. A histogram counts as the number of its measurements; required
}

// OTLPReceiver is the receiver of metrics by OTLP.
type OTLPReceiver struct {
	// address of the receiver, by HTTP (POST /v1/metrics) and gRPC. On an address other than loopback, the node starts only with
	// `telemetry.otlp.token` or --insecure-listen; flag --otlp; default none: the node receives no metrics
	Address string     `yaml:"address"`
	Token   secret.Ref `yaml:"token"` // secret that senders put into the header `Authorization: Bearer ...`; default none
	TLS     Files      `yaml:"tls"`   // certificate of the receiver. Changed files are used without a restart; default plain HTTP
}

// ScrapeMetrics gives the numbers of a page their meaning. Each is a metric, or a metric divided by another metric or by a
// number: `busy_workers / max_workers`. Labels select series as in PromQL: `requests_total{code=~"5.."}`. The series that match
// are added up.
type ScrapeMetrics struct {
	Utilization string `yaml:"utilization"` // how busy the instance is, 0 to 1; default none
	CPU         string `yaml:"cpu"`         // used share of the CPU, 0 to 1; default none
	Memory      string `yaml:"memory"`      // used share of the memory, 0 to 1; default none
	InFlight    string `yaml:"inFlight"`    // requests in progress; default none
	Queue       string `yaml:"queue"`       // requests that wait, added to those in progress; default none
	Requests    string `yaml:"requests"`    // counter of all requests, from which the rate is computed; default none
	Errors      string `yaml:"errors"`      // counter of failed requests. It needs `requests`; default none
}

// Places of the numbers in Exprs.
const (
	ScrapedUtilization = iota
	ScrapedCPU
	ScrapedMemory
	ScrapedInFlight
	ScrapedQueue
	ScrapedRequests
	ScrapedErrors
	NumScraped
)

var scrapedKeys = [NumScraped]string{"utilization", "cpu", "memory", "inFlight", "queue", "requests", "errors"}

// Exprs returns the expressions, "" for a number that the page does not have.
func (m ScrapeMetrics) Exprs() [NumScraped]string {
	return [NumScraped]string{m.Utilization, m.CPU, m.Memory, m.InFlight, m.Queue, m.Requests, m.Errors}
}

// AgentCheck configures the questions to agents, as the keywords agent-check, agent-port, agent-inter and agent-send of HAProxy.
type AgentCheck struct {
	Port     int           `yaml:"port"`     // port of the agents at the addresses of the instances, 1 to 65535; required
	Interval time.Duration `yaml:"interval"` // time between two questions, 1s to 1m; default 2s
	Timeout  time.Duration `yaml:"timeout"`  // longest time of a question, more than 0s, at most the interval; default 1s
	Send     string        `yaml:"send"`     // text that the agent gets first, at most 256 bytes. Write a line end as "\n" in double quotes; default none
}

func (l *LoadReports) fill(path string, given func(string) bool) {
	if l.ORCA != nil {
		orDefault(&l.ORCA.Strip, true, given(path+".orca.strip"))
		if o := l.ORCA.OutOfBand; o != nil {
			orDefault(&o.Interval, 10*time.Second, given(path+".orca.outOfBand.interval"))
			o.TLS.fill(path+".orca.outOfBand.tls", given)
		}
	}
	if s := l.Scrape; s != nil {
		orDefault(&s.Path, "/metrics", given(path+".scrape.path"))
		orDefault(&s.Interval, 5*time.Second, given(path+".scrape.interval"))
		orDefault(&s.Timeout, min(2*time.Second, s.Interval), given(path+".scrape.timeout"))
		s.TLS.fill(path+".scrape.tls", given)
	}
	if p := l.PodMetrics; p != nil {
		orDefault(&p.Interval, 15*time.Second, given(path+".podMetrics.interval"))
		orDefault(&p.Timeout, min(5*time.Second, p.Interval), given(path+".podMetrics.timeout"))
	}
	if o := l.OTLP; o != nil {
		orDefault(&o.InstanceAttribute, "service.instance.id", given(path+".otlp.instanceAttribute"))
	}
	if a := l.AgentCheck; a != nil {
		orDefault(&a.Interval, 2*time.Second, given(path+".agentCheck.interval"))
		orDefault(&a.Timeout, time.Second, given(path+".agentCheck.timeout"))
	}
}

func (c *checker) loadReports(path string, s Service) {
	l := s.LoadReports
	if l == nil {
		return
	}
	if *l == (LoadReports{}) {
		c.fail(path, "has no effect: want orca, scrape, agentCheck, podMetrics or otlp")
	}
	if l.ORCA != nil && l.ORCA.OutOfBand != nil {
		c.outOfBand(path+".orca.outOfBand", s)
	}
	if l.Scrape != nil {
		c.scrape(path+".scrape", s)
	}
	if l.PodMetrics != nil {
		if s.Discovery == nil || s.Discovery.Kubernetes == nil {
			c.fail(path+".podMetrics", "has no effect without discovery.kubernetes of the service")
		}
		c.collectorTimes(path+".podMetrics", l.PodMetrics.Interval, l.PodMetrics.Timeout)
	}
	if l.OTLP != nil {
		c.otlp(path+".otlp", *l.OTLP)
	}
	if l.AgentCheck != nil {
		a, at := *l.AgentCheck, path+".agentCheck"
		c.collectorPort(at, s, a.Port, true)
		c.collectorTimes(at, a.Interval, a.Timeout)
		if len(a.Send) > maxAgentSend {
			c.fail(at+".send", "longer than %d bytes", maxAgentSend)
		}
	}
}

const maxAgentSend = 256

func (c *checker) outOfBand(path string, s Service) {
	o := *s.LoadReports.ORCA.OutOfBand
	_, given := c.at[path+".port"]
	c.collectorPort(path, s, o.Port, given)
	switch {
	case o.Port > 0:
	case !s.HTTP2():
		c.fail(path+".port", "missing: the stream needs HTTP/2, which the ports of the instances do not speak; or set protocol: h2c")
	}
	c.reportTLS(path, s, o.Port, o.TLS)
	c.collectorTimes(path, o.Interval, time.Nanosecond)
}

func (c *checker) scrape(path string, s Service) {
	r := *s.LoadReports.Scrape
	if !strings.HasPrefix(r.Path, "/") || strings.ContainsAny(r.Path, " \t\r\n#") {
		c.fail(path+".path", "%.200q: want a path that starts with / and has no blanks", r.Path)
	} else if _, err := url.ParseRequestURI(r.Path); err != nil {
		c.fail(path+".path", "%.200q: no request can have this path", r.Path)
	}
	_, given := c.at[path+".port"]
	c.collectorPort(path, s, r.Port, given)
	c.reportTLS(path, s, r.Port, r.TLS)
	c.collectorTimes(path, r.Interval, r.Timeout)
	c.scraped(path+".metrics", r.Metrics, promtext.ParseExpr)
}

func (c *checker) scraped(path string, m ScrapeMetrics, parse func(string) (promtext.Expr, error)) {
	if m == (ScrapeMetrics{}) {
		c.fail(path, "want at least one of %s", strings.Join(scrapedKeys[:], ", "))
	}
	for i, text := range m.Exprs() {
		if text == "" {
			continue
		}
		if _, err := parse(text); err != nil {
			c.fail(path+"."+scrapedKeys[i], "%v", err)
		}
	}
	if m.Errors != "" && m.Requests == "" {
		c.fail(path+".errors", "has no effect without requests: only a share of requests is published")
	}
}

const maxAttribute = 256

func (c *checker) otlp(path string, o OTLP) {
	if len(o.ServiceName) > maxAttribute {
		c.fail(path+".serviceName", "longer than %d bytes", maxAttribute)
	}
	if o.InstanceAttribute == "" || len(o.InstanceAttribute) > maxAttribute {
		c.fail(path+".instanceAttribute", "want 1 to %d bytes", maxAttribute)
	}
	c.scraped(path+".metrics", o.Metrics, promtext.ParseDotted)
}

// otlpNames checks that no two services have the same name in OTLP.
func (c *checker) otlpNames(services []Service) {
	names := map[string]string{}
	for i, s := range services {
		name := s.OTLPName()
		if name == "" {
			continue
		}
		if other, have := names[name]; have {
			c.fail(fmt.Sprintf("services[%d].loadReports.otlp.serviceName", i), "%.80q is the name of the service %s too", name, other)
		}
		names[name] = s.ID
	}
}

// OTLPName returns the service.name of the instances of a service that uses metrics by OTLP, "" for another service.
func (s Service) OTLPName() string {
	switch {
	case s.LoadReports == nil || s.LoadReports.OTLP == nil:
		return ""
	case s.LoadReports.OTLP.ServiceName != "":
		return s.LoadReports.OTLP.ServiceName
	}
	return s.ID
}

func (c *checker) otlpReceiver(path string, r OTLPReceiver) {
	if r.Address == "" {
		if r.Token != "" || r.TLS != (Files{}) {
			c.useless(path, "has no effect without address")
		}
		return
	}
	c.address(path+".address", r.Address, true)
	if r.Token != "" {
		if err := r.Token.Check(); err != nil {
			c.fail(path+".token", "%v", err)
		}
	}
	if (r.TLS.Cert == "") != (r.TLS.Key == "") {
		c.fail(path+".tls", "want both cert and key")
	}
}

// collectorPort checks the port where a collector asks the instances of a service.
func (c *checker) collectorPort(path string, s Service, port int, given bool) {
	if given && (port < 1 || port > 65535) {
		c.fail(path+".port", "want 1 to 65535, got %d", port)
	}
	for _, in := range s.Instances {
		if upstream.IsUnix(in.Address) {
			c.fail(path, "the instance %s has a Unix socket, which only processes of its machine can reach", in.ID)
			return
		}
	}
}

func (c *checker) collectorTimes(path string, interval, timeout time.Duration) {
	if interval < time.Second || interval > time.Minute {
		c.fail(path+".interval", "want 1s to 1m, got %s", interval)
	}
	if timeout <= 0 {
		c.fail(path+".timeout", "want more than 0")
	}
	if timeout > interval {
		c.fail(path+".timeout", "%s is longer than the interval of %s", timeout, interval)
	}
}

// orca returns what the proxy does with load reports in the responses of a service.
func (s Service) orca() dispatch.LoadReports {
	if s.LoadReports == nil || s.LoadReports.ORCA == nil {
		return dispatch.LoadReports{}
	}
	return dispatch.LoadReports{Read: true, Strip: s.LoadReports.ORCA.Strip}
}
