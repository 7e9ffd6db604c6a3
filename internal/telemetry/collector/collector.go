package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/base/promtext"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Sender queues a record without blocking and reports whether it was queued.
type Sender interface{ Send(r kafka.Record) bool }

// Config of a Collector.
type Config struct {
	Node     string
	Services func() []config.Service // of the current configuration
	Nodes    func() []string         // called by Run only: ids of the live nodes with the role collector; nil result: not known yet, nothing is asked
	Cluster  Cluster                 // of the metrics of pods
	Sender   Sender
	Wall     func() time.Time
	Log      *slog.Logger
}

const (
	check         = time.Second     // how often instances and nodes are compared with what is asked
	heartbeat     = 5 * time.Second // longest time after which an unchanged status of an agent is repeated, or its own interval
	maxConcurrent = 512             // instances that are asked at the same time: each takes a descriptor
)

// Kind is a form of load reports.
type Kind uint8

// The kinds that a collector asks for.
const (
	Scrape Kind = iota
	AgentCheck
	Stream   // out-of-band reports of ORCA
	Pods     // metrics of the pods of a service, read together
	NumKinds = int(iota)
)

func (k Kind) String() string {
	return [NumKinds]string{"scrape", "agent-check", "orca-stream", "pod-metrics"}[k]
}

// Result is what became of one question to an instance.
type Result uint8

// The results.
const (
	Published   Result = iota // a message was queued
	Unreachable               // no answer in time
	Invalid                   // the answer is malformed, too large, or has none of the numbers
	NotQueued                 // the queue of the producer is full
	NumResults  = int(iota)
)

func (r Result) String() string {
	return [NumResults]string{"published", "unreachable", "invalid", "not-queued"}[r]
}

// target is what one goroutine asks. Equal targets are the same.
type target struct {
	service, instance, address string
	kind                       Kind
	scrape                     config.Scrape
	agent                      config.AgentCheck
	stream                     config.OutOfBand
	pods                       config.PodMetrics
	namespace                  string // of pods
	secure                     bool   // with TLS
	tls                        certs.ClientConfig
	login                      config.ReportLogin // empty: none
}

// Collector asks the instances that this node owns. Make it with New.
type Collector struct {
	cfg    Config
	plain  *http.Client
	secure secured
	logins atomic.Pointer[logins]
	slots  chan struct{}
	counts [NumKinds][NumResults]atomic.Uint64
	asked  [NumKinds]atomic.Int64
}

// logins are those at pages and streams, by service.
type logins struct{ pages, streams map[string]config.ReportLogin }

// SetLogins replaces the logins at the pages and the streams of services. They are used within a second.
func (c *Collector) SetLogins(pages, streams []config.ReportLogin) {
	byService := func(all []config.ReportLogin) map[string]config.ReportLogin {
		m := make(map[string]config.ReportLogin, len(all))
		for _, l := range all {
			m[l.Service] = l
		}
		return m
	}
	c.logins.Store(&logins{byService(pages), byService(streams)})
}

// Stats counts questions since the start.
type Stats struct {
	Results [NumKinds][NumResults]uint64
	Asked   [NumKinds]int64 // instances that this node asks now
}

// New returns a collector that works while Run runs.
func New(cfg Config) *Collector {
	c := &Collector{cfg: cfg, slots: make(chan struct{}, maxConcurrent), plain: newClient(nil)}
	c.secure = secured{now: cfg.Wall, log: cfg.Log, all: map[certs.ClientConfig]*securedBy{}}
	c.logins.Store(&logins{})
	return c
}

// Stats returns the counts.
func (c *Collector) Stats() (s Stats) {
	for k := range NumKinds {
		s.Asked[k] = c.asked[k].Load()
		for r := range NumResults {
			s.Results[k][r] = c.counts[k][r].Load()
		}
	}
	return s
}

// Run asks until ctx ends. It returns when all its goroutines have ended.
func (c *Collector) Run(ctx context.Context) error {
	running := map[target]context.CancelFunc{}
	var all sync.WaitGroup
	defer c.plain.CloseIdleConnections()
	defer c.secure.keep(nil)
	defer all.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ticker := time.NewTicker(check)
	defer ticker.Stop()
	for {
		own := c.own()
		for t, stop := range running {
			if !own[t] {
				stop()
				delete(running, t)
			}
		}
		for t := range own {
			if running[t] == nil {
				one, stop := context.WithCancel(ctx)
				running[t] = stop
				if t.kind == Stream {
					all.Go(func() { c.follow(one, t) })
				} else {
					all.Go(func() { c.ask(one, t) })
				}
			}
		}
		c.secure.keep(own)
		select {
		case <-ctx.Done():
			for _, stop := range running {
				stop()
			}
			return nil
		case <-ticker.C:
		}
	}
}

// own returns what this node asks.
func (c *Collector) own() map[target]bool {
	nodes, known := c.cfg.Nodes(), c.logins.Load()
	out := map[target]bool{}
	for _, s := range c.cfg.Services() {
		l := s.LoadReports
		if l == nil || len(nodes) == 0 {
			continue
		}
		var streams *config.OutOfBand
		if l.ORCA != nil {
			streams = l.ORCA.OutOfBand
		}
		if l.PodMetrics != nil && s.Discovery != nil && s.Discovery.Kubernetes != nil && Owner(nodes, s.ID, "") == c.cfg.Node {
			out[target{service: s.ID, kind: Pods, pods: *l.PodMetrics, namespace: s.Discovery.Kubernetes.Namespace}] = true
		}
		for _, in := range s.Instances {
			if l.Scrape == nil && l.AgentCheck == nil && streams == nil || Owner(nodes, s.ID, in.ID) != c.cfg.Node {
				continue
			}
			if l.Scrape != nil {
				t := target{service: s.ID, instance: in.ID, address: withPort(in.Address, l.Scrape.Port), kind: Scrape, scrape: *l.Scrape, login: known.pages[s.ID]}
				t.scrape.TLS = nil // a pointer would make equal targets different
				t.encrypt(s.ScrapeTLS(), "http/1.1")
				out[t] = true
			}
			if streams != nil {
				t := target{service: s.ID, instance: in.ID, address: withPort(in.Address, streams.Port), kind: Stream, stream: *streams, login: known.streams[s.ID]}
				t.stream.TLS = nil
				t.encrypt(s.StreamTLS(), "h2")
				out[t] = true
			}
			if l.AgentCheck != nil {
				out[target{service: s.ID, instance: in.ID, address: withPort(in.Address, l.AgentCheck.Port), kind: AgentCheck, agent: *l.AgentCheck}] = true
			}
		}
	}
	return out
}

func withPort(address string, port int) string {
	if port == 0 {
		return address
	}
	return upstream.WithPort(address, port)
}

// ask asks one instance at its interval until ctx ends.
func (c *Collector) ask(ctx context.Context, t target) {
	c.asked[t.kind].Add(1)
	defer c.asked[t.kind].Add(-1)
	interval, timeout, question := t.agent.Interval, t.agent.Timeout, c.agentQuestion(t)
	switch t.kind {
	case Pods:
		interval, timeout, question = t.pods.Interval, t.pods.Timeout, c.podQuestion(t)
	case Scrape:
		interval, timeout = t.scrape.Interval, t.scrape.Timeout
		var err error
		if question, err = c.scrapeQuestion(t); err != nil { // the check of the configuration has parsed the expressions
			c.cfg.Log.Error("load reports cannot be collected", "kind", t.kind.String(), "service", t.service, "instance", t.instance, "error", err)
			return
		}
	}
	timer := time.NewTimer(spread(interval))
	defer timer.Stop()
	state := health{c: c, t: t}
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(interval)
		select {
		case <-ctx.Done():
			return
		case c.slots <- struct{}{}:
		}
		within, cancel := context.WithTimeout(ctx, timeout)
		result, err := question(within)
		cancel()
		<-c.slots
		if ctx.Err() != nil {
			return
		}
		state.note(result, err)
	}
}

// spread returns a part of an interval: instances that are configured together are not asked together.
func spread(interval time.Duration) time.Duration { return rand.N(interval) }

// health counts results of one target, and logs when its answers cease and begin again to be usable.
type health struct {
	c       *Collector
	t       target
	failing bool
}

func (h *health) note(result Result, err error) {
	t, log := h.t, h.c.cfg.Log
	h.c.counts[t.kind][result].Add(1)
	bad := result == Unreachable || result == Invalid
	if bad == h.failing {
		return
	}
	if h.failing = bad; bad {
		log.Warn("load reports of an instance cannot be collected", "kind", t.kind.String(), "service", t.service, "instance", t.instance, "address", t.address, "reason", reason(err))
		return
	}
	log.Info("load reports of an instance are collected again", "kind", t.kind.String(), "service", t.service, "instance", t.instance)
}

// reason returns the beginning of the text of an error.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprintf("%.200s", err.Error())
}

func (c *Collector) send(topic, service string, kind Kind, value []byte) Result {
	if !c.cfg.Sender.Send(kafka.Record{Topic: topic, Key: []byte(service), Value: value, Headers: []kafka.Header{{Key: event.HeaderReporter, Value: []byte(event.ReporterCollector(kind.String()))}}}) {
		return NotQueued
	}
	return Published
}

// scrapeQuestion returns a function that reads the page of an instance and publishes its numbers.
func (c *Collector) scrapeQuestion(t target) (func(context.Context) (Result, error), error) {
	s, err := newSampler(t.scrape.Metrics, promtext.ParseExpr)
	if err != nil {
		return nil, err
	}
	exprs := s.wanted()
	return func(ctx context.Context) (Result, error) {
		values, result, err := c.page(ctx, t, exprs)
		if err != nil {
			return result, err
		}
		if !slices.ContainsFunc(values, func(v promtext.Value) bool { return v.Known }) {
			return Invalid, errors.New("the page has none of the metrics")
		}
		now := c.cfg.Wall()
		m := event.ServiceMetrics{Timestamp: now.UTC().Truncate(time.Millisecond), ServiceID: t.service, InstanceID: t.instance, Metrics: s.metrics(values, now)}
		if m.Metrics == (event.Metrics{}) { // a counter alone, whose rate the next page gives
			return Published, nil
		}
		return c.send(event.TopicServiceMetrics, t.service, Scrape, m.AppendJSON(nil)), nil
	}, nil
}

// podQuestion returns a function that reads the metrics of the pods of a service and publishes them.
func (c *Collector) podQuestion(t target) func(context.Context) (Result, error) {
	p := podSampler{cluster: c.cfg.Cluster, namespace: t.namespace, limits: map[string]limit{}}
	return func(ctx context.Context) (Result, error) {
		var instances []config.Instance
		for _, s := range c.cfg.Services() {
			if s.ID == t.service {
				instances = s.Instances
			}
		}
		messages, err := p.ask(ctx, t.service, instances)
		if err != nil && len(messages) == 0 {
			return Unreachable, err
		}
		result := Published
		for _, m := range messages {
			result = max(result, c.send(event.TopicServiceMetrics, t.service, Pods, m.AppendJSON(nil)))
		}
		return result, nil
	}
}

// page reads the numbers of a page.
func (c *Collector) page(ctx context.Context, t target, exprs []promtext.Expr) ([]promtext.Value, Result, error) {
	client, scheme := c.plain, "http://"
	if t.secure {
		by, err := c.secure.by(t.tls)
		if err != nil {
			return nil, Unreachable, err
		}
		client, scheme = by.client, "https://"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+t.address+t.scrape.Path, nil)
	if err != nil {
		return nil, Invalid, err
	}
	authorization, err := t.authorization()
	if err != nil {
		return nil, Unreachable, err
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	req.Header.Set("User-Agent", "smartlb")
	res, err := client.Do(req)
	if err != nil {
		return nil, Unreachable, err
	}
	defer func() { _ = res.Body.Close() }()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, Invalid, fmt.Errorf("status %d: is the login of the service in telemetry.scrapeLogins right?", res.StatusCode)
	default:
		return nil, Invalid, fmt.Errorf("status %d", res.StatusCode)
	}
	values, err := promtext.Read(res.Body, exprs)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, Unreachable, ctx.Err()
	case err != nil:
		return nil, Invalid, err
	}
	return values, Published, nil
}

// agentQuestion returns a function that asks the agent of an instance and publishes what it said. While the agent is
// unreachable, what it said before counts, as with HAProxy.
func (c *Collector) agentQuestion(t target) func(context.Context) (Result, error) {
	var a agent
	var last event.HealthStatus
	return func(ctx context.Context) (Result, error) {
		began := c.cfg.Wall()
		answer, err := askAgent(ctx, t.address, t.agent.Send)
		result := Unreachable // while err is not nil
		if err == errEndless {
			result = Invalid
		} else if err == nil {
			result, err = Invalid, a.apply(answer)
		}
		if err != nil && a == (agent{}) {
			return result, err
		}
		now := c.cfg.Wall()
		m := a.message(t.service, t.instance, now, now.Sub(began))
		same := m.Status == last.Status && m.Weight == last.Weight && m.Details == last.Details
		if same && now.Sub(last.Timestamp) < heartbeat {
			if err == nil {
				result = Published
			}
			return result, err
		}
		sent := c.send(event.TopicHealthStatus, t.service, AgentCheck, m.AppendJSON(nil))
		if sent == Published {
			last = m
		}
		if err == nil {
			result = sent
		}
		return result, err
	}
}

var errEndless = fmt.Errorf("the answer has no end of the line within %d bytes", maxLine)

// askAgent connects, sends text, and reads a line.
func askAgent(ctx context.Context, address, text string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if text != "" {
		if _, err := io.WriteString(conn, text); err != nil {
			return "", err
		}
	}
	buf, n := make([]byte, maxLine), 0
	for !bytes.ContainsAny(buf[:n], "\r\n") {
		if n == len(buf) {
			return "", errEndless
		}
		got, err := conn.Read(buf[n:])
		n += got
		if err == io.EOF && !bytes.ContainsAny(buf[:n], "\r\n") {
			return "", errEndless
		}
		if err != nil && err != io.EOF {
			return "", err
		}
	}
	return strings.ToValidUTF8(string(buf[:n]), "?"), nil
}
