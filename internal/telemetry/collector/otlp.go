package collector

import (
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/base/otlpmetrics"
	"github.com/smartlb/smartlb/internal/base/promtext"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
)

// Limits of metrics that are received.
const (
	maxResources = 5_000           // in a request
	maxReceived  = 20_000          // instances that are remembered
	maxAge       = time.Minute     // of a report, and how far in the future it may be: clocks differ
	burst        = 10              // reports of an instance at once: senders split what they send
	perReport    = time.Second     // time for one more of them
	refresh      = time.Second     // how often the configuration is read
	forgetAfter  = maxGap + maxAge // silence of an instance
	remembered   = 16              // readings of an instance with requests, so that what is sent twice and late counts once
)

// ReportResult is what became of the metrics of an instance in one request.
type ReportResult uint8

// The results.
const (
	ReportPublished  ReportResult = iota // a message was queued
	ReportEmpty                          // none of the named metrics is there, or only the first values of counters
	ReportUnknown                        // the service does not use OTLP, or has no such instance
	ReportOld                            // too old, too far in the future, or with growth from before the readings that are remembered
	ReportLimited                        // more reports than one per second, or too many instances
	ReportInvalid                        // a number is larger than a message can have
	ReportNotQueued                      // the queue of the producer is full
	ReportLate                           // overtaken by a newer report: its growth counts, its other numbers have no use any more
	NumReportResults = int(iota)
)

func (r ReportResult) String() string {
	return [NumReportResults]string{"published", "empty", "unknown", "old", "limited", "invalid", "not-queued", "late"}[r]
}

// mapping is a service that uses metrics by OTLP.
type mapping struct {
	service string
	otlp    config.OTLP
	exprs   [config.NumScraped]promtext.Expr
	known   [config.NumScraped]bool
	listed  map[string]bool // ids of its instances
}

// reading is the metrics of one instance in one request.
type reading struct {
	of       *mapping
	instance string
	series   map[seriesKey]int                     // by their place in samples
	samples  []sample                              // the latest of each series
	sums     [2 * config.NumScraped]promtext.Value // of both selectors of each expression; settle adds the samples up
	deltas   [2 * config.NumScraped]promtext.Value // of counters that are sent as growth
	points   int
	newest   uint64 // time of the newest point that counts
	counted  uint64 // time of the newest point of requests; 0: there is none
	start    uint64 // when the oldest counter of requests began; 0: not given
}

// seriesKey tells series of one selector apart.
type seriesKey struct {
	selector int
	digest   uint64 // of scope and attributes
}

// sample is a point that is no growth.
type sample struct {
	selector    int
	value       float64
	time, start uint64
}

// received is what is remembered of an instance.
type received struct {
	sampler
	otlp    config.OTLP
	totals  [config.NumScraped]float64 // of growth
	newest  uint64
	counted uint64             // of the latest reading with requests
	began   uint64             // of the first one
	recent  [remembered]uint64 // of the latest ones, in no order
	tokens  float64
	filled  time.Time // when tokens were computed
}

// reports turns the metrics of requests into messages. Its methods are safe for concurrent use.
type reports struct {
	services func() []config.Service
	send     func(topic, service string, value []byte) bool

	mu        sync.Mutex
	mappings  map[string]*mapping // by service.name
	refreshed time.Time
	instances map[[2]string]*received // by service and instance
}

// outcome is what became of the metrics of a request.
type outcome struct {
	results  [NumReportResults]int
	rejected int    // points
	reason   string // of the first rejection
}

func (o *outcome) note(r ReportResult, points int, reason string) {
	o.results[r]++
	if r == ReportPublished || r == ReportEmpty || r == ReportLate {
		return
	}
	o.rejected += points
	if o.reason == "" {
		o.reason = reason
	}
}

// current returns the mappings at a time.
func (r *reports) current(now time.Time) map[string]*mapping {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mappings != nil && now.Sub(r.refreshed) < refresh {
		return r.mappings
	}
	r.refreshed = now
	next := map[string]*mapping{}
	for _, s := range r.services() {
		if name := s.OTLPName(); name != "" {
			if m := newMapping(s); m != nil {
				next[name] = m
			}
		}
	}
	r.mappings = next
	for key, in := range r.instances {
		if now.Sub(in.filled) > forgetAfter {
			delete(r.instances, key)
		}
	}
	return next
}

func newMapping(s config.Service) *mapping {
	parsed, err := newSampler(s.LoadReports.OTLP.Metrics, promtext.ParseDotted)
	if err != nil {
		return nil // not after the check of the configuration
	}
	m := &mapping{service: s.ID, otlp: *s.LoadReports.OTLP, exprs: parsed.exprs, known: parsed.known, listed: map[string]bool{}}
	for _, in := range s.Instances {
		m.listed[in.ID] = true
	}
	return m
}

// settle publishes what a request says of one instance.
func (r *reports) settle(in *reading, now time.Time) (ReportResult, string) {
	in.addUp()
	at := time.Unix(0, int64(in.newest))
	if in.newest == 0 {
		return ReportEmpty, ""
	}
	if in.newest > 1<<62 || now.Sub(at) > maxAge || at.Sub(now) > maxAge {
		return ReportOld, fmt.Sprintf("the metrics of the instance %.80q are of %s, more than %s from now", in.instance, at.UTC().Format(time.RFC3339), maxAge)
	}
	m, result, why := r.measure(in, now)
	if result != ReportPublished {
		return result, why
	}
	if at.After(now) {
		at = now
	}
	message := event.ServiceMetrics{Timestamp: at.UTC().Truncate(time.Millisecond), ServiceID: in.of.service, InstanceID: in.instance, Metrics: m}
	value, err := message.Encode()
	if err != nil {
		return ReportInvalid, fmt.Sprintf("the metrics of the instance %.80q: %v", in.instance, err)
	}
	if !r.send(event.TopicServiceMetrics, in.of.service, value) {
		return ReportNotQueued, "the queue for Kafka is full"
	}
	return ReportPublished, ""
}

// measure updates what is remembered of an instance, and returns its numbers.
func (r *reports) measure(in *reading, now time.Time) (m event.Metrics, result ReportResult, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := [2]string{in.of.service, in.instance}
	was := r.instances[key]
	if was == nil {
		if len(r.instances) >= maxReceived {
			return m, ReportLimited, fmt.Sprintf("more than %d instances send metrics", maxReceived)
		}
		was = &received{otlp: in.of.otlp, tokens: burst, filled: now}
		r.instances[key] = was
	}
	if !was.take(now) {
		return m, ReportLimited, fmt.Sprintf("the instance %.80q sends more than one report per %s", in.instance, perReport)
	}
	if was.otlp != in.of.otlp { // the names mean other metrics now
		*was = received{otlp: in.of.otlp, tokens: was.tokens, filled: was.filled}
	}
	late := in.newest < was.newest
	if in.counted < was.counted && !was.grow(in) {
		return m, ReportOld, fmt.Sprintf("the metrics of the instance %.80q are older than its latest %d reports", in.instance, remembered)
	}
	m = was.metrics(in)
	was.newest = max(was.newest, in.newest)
	switch {
	case m != (event.Metrics{}):
		return m, ReportPublished, ""
	case late: // senders have several requests in progress, so that one may overtake another; that is no error of theirs
		return m, ReportLate, ""
	}
	return m, ReportEmpty, ""
}

// grow adds the growth of a reading that a newer one overtook; the next rate has it. It returns false if it is not known whether
// the growth was added before.
func (was *received) grow(in *reading) bool {
	requests, errors := in.deltas[2*config.ScrapedRequests], in.deltas[2*config.ScrapedErrors]
	switch {
	case !requests.Known && !errors.Known, in.counted <= was.began, slices.Contains(was.recent[:], in.counted):
		return true
	case in.counted < slices.Min(was.recent[:]):
		return false
	}
	was.totals[config.ScrapedRequests] += requests.V
	was.totals[config.ScrapedErrors] += errors.V
	was.remember(in.counted)
	return true
}

// remember notes the time of a reading with requests, in the place of the oldest one.
func (was *received) remember(counted uint64) {
	if was.began == 0 {
		was.began = counted
	}
	oldest := &was.recent[0]
	for i := range was.recent {
		if was.recent[i] < *oldest {
			oldest = &was.recent[i]
		}
	}
	*oldest = counted
}

// metrics returns the numbers of a reading. Growth is added to the totals of the instance. Rates are of the time since the
// reading before with requests. Counters that began after that have no rate: the instance began anew. Of a reading that a newer
// one overtook, only requests that are newer count.
func (was *received) metrics(in *reading) event.Metrics {
	var v [config.NumScraped]promtext.Value
	again := in.counted <= was.counted // it was sent twice, or has no requests
	for i := range v {
		of, by := in.sums[2*i], in.sums[2*i+1]
		if i == config.ScrapedRequests || i == config.ScrapedErrors {
			if again {
				continue
			}
			if grown := in.deltas[2*i]; grown.Known {
				was.totals[i] += grown.V
				of = promtext.Value{V: of.V + was.totals[i], Known: true}
			}
		} else if in.newest < was.newest {
			continue
		}
		if in.of.known[i] {
			v[i] = in.of.exprs[i].Value(of, by)
		}
	}
	if again {
		before := was.sampler
		defer func() { was.sampler = before }()
		return was.measure(v, time.Unix(0, int64(in.newest)))
	}
	if requests, errors := v[config.ScrapedRequests], &v[config.ScrapedErrors]; !errors.Known && requests.Known && in.sameMetric() {
		// A status has no series before the first failure. That the metric is there says that there was no failure.
		*errors = promtext.Value{V: was.totals[config.ScrapedErrors], Known: true}
	}
	if !in.deltas[2*config.ScrapedRequests].Known && in.start > was.counted {
		was.requests, was.errors = promtext.Value{}, promtext.Value{}
	}
	was.counted = in.counted
	was.remember(in.counted)
	return was.measure(v, time.Unix(0, int64(in.counted)))
}

// sameMetric reports whether errors are series of the metric that counts requests.
func (in *reading) sameMetric() bool {
	requests, errors := &in.of.exprs[config.ScrapedRequests], &in.of.exprs[config.ScrapedErrors]
	return in.of.known[config.ScrapedErrors] && errors.Of.Name == requests.Of.Name && errors.By == nil && errors.Div == 1
}

// take uses one of the reports that an instance may send.
func (was *received) take(now time.Time) bool {
	was.tokens = min(burst, was.tokens+max(0, now.Sub(was.filled).Seconds()/perReport.Seconds()))
	was.filled = now
	if was.tokens < 1 {
		return false
	}
	was.tokens--
	return true
}

// readings collects what a request says. It is a Visitor.
type readings struct {
	mappings map[string]*mapping
	all      map[[2]string]*reading
	order    []*reading
	out      outcome

	current  *reading
	scope    string
	selected []int // the selectors that the present metric matches by name
}

var _ otlpmetrics.Visitor = (*readings)(nil)

func (r *readings) Resource(attributes []otlpmetrics.Attribute) {
	r.current = nil
	name := otlpmetrics.Value(attributes, "service.name")
	m := r.mappings[name]
	if m == nil {
		r.refuse(ReportUnknown, "no service uses the metrics of service.name %.80q (services[].loadReports.otlp)", name)
		return
	}
	id := otlpmetrics.Value(attributes, m.otlp.InstanceAttribute)
	if !m.listed[id] {
		r.refuse(ReportUnknown, "the service %s has no instance %.80q (%.80s)", m.service, id, m.otlp.InstanceAttribute)
		return
	}
	key := [2]string{m.service, id}
	if r.current = r.all[key]; r.current != nil {
		return
	}
	if len(r.order) >= maxResources {
		r.refuse(ReportLimited, "the request has more than %d instances", maxResources)
		return
	}
	r.current = &reading{of: m, instance: id, series: map[seriesKey]int{}}
	r.all[key] = r.current
	r.order = append(r.order, r.current)
}

// refuse notes that a resource is not taken. A request may have two million of them: only the first reason becomes a text.
func (r *readings) refuse(result ReportResult, format string, args ...any) {
	why := ""
	if r.out.reason == "" {
		why = fmt.Sprintf(format, args...)
	}
	r.out.note(result, 0, why)
}

func (r *readings) Metric(scope, name string, points int) bool {
	r.scope = scope
	if r.current == nil {
		r.out.rejected += points
		return false
	}
	r.current.points += points
	r.selected = r.selected[:0]
	of := r.current.of
	for i := range of.exprs {
		if !of.known[i] {
			continue
		}
		if of.exprs[i].Of.Name == name {
			r.selected = append(r.selected, 2*i)
		}
		if by := of.exprs[i].By; by != nil && by.Name == name {
			r.selected = append(r.selected, 2*i+1)
		}
	}
	return len(r.selected) > 0
}

func (r *readings) Point(p otlpmetrics.Point) {
	if p.Delta && !p.Counter {
		return // the value is not known without all points before
	}
	value := func(key string) string { return otlpmetrics.Value(p.Attributes, key) }
	in := r.current
	for _, i := range r.selected {
		e := &in.of.exprs[i/2]
		s := &e.Of
		if i%2 == 1 {
			s = e.By
		}
		if !s.Matches(value) {
			continue
		}
		in.newest = max(in.newest, p.Time)
		if i == 2*config.ScrapedRequests {
			in.counted = max(in.counted, p.Time)
		}
		if p.Delta {
			in.deltas[i].Add(p.Value)
		} else {
			in.take(r.scope, i, p)
		}
	}
}

// take keeps a point of a selector. A request may have several points of a series: a collector of OpenTelemetry joins what an
// instance sent within some seconds. The latest one counts.
func (in *reading) take(scope string, selector int, p otlpmetrics.Point) {
	now := sample{selector, p.Value, p.Time, p.Start}
	key := seriesKey{selector, maphash.String(seed, scope)}
	for _, a := range p.Attributes { // in any order
		key.digest += maphash.Comparable(seed, a)
	}
	at, have := in.series[key]
	switch {
	case !have:
		in.series[key] = len(in.samples)
		in.samples = append(in.samples, now)
	case p.Time > in.samples[at].time:
		in.samples[at] = now
	}
}

var seed = maphash.MakeSeed()

// addUp adds the samples of each selector.
func (in *reading) addUp() {
	for _, s := range in.samples {
		in.sums[s.selector].Add(s.value)
		if s.selector == 2*config.ScrapedRequests && s.start > 0 && (in.start == 0 || s.start < in.start) {
			in.start = s.start
		}
	}
}
