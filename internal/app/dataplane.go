package app

import (
	"cmp"
	"context"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/base/screen"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/discovery"
	"github.com/smartlb/smartlb/internal/control/keeper"
	"github.com/smartlb/smartlb/internal/dataplane/accesslog"
	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/forwardauth"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/jwt"
	"github.com/smartlb/smartlb/internal/dataplane/probe"
	"github.com/smartlb/smartlb/internal/dataplane/proxy"
	"github.com/smartlb/smartlb/internal/dataplane/trend"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
	"github.com/smartlb/smartlb/internal/telemetry/reporter"
	"github.com/smartlb/smartlb/internal/telemetry/shares"
	"github.com/smartlb/smartlb/internal/telemetry/tracing"
)

// dataPlane holds the parts of the role proxy.
type dataPlane struct {
	keeper     *keeper.Keeper
	discovery  *discovery.Manager
	membership sync.Mutex // held while the instances of services change, in configurations and by discovery
	signatures sign.Once  // signatures of health-status
	prober     *probe.Prober
	dispatcher *dispatch.Dispatcher
	proxy      *proxy.Proxy
	reporter   *reporter.Reporter   // nil without Kafka
	shares     *shares.Sharer       // of rate limits; nil without Kafka
	tracing    *tracing.Exporter    // nil: requests are not traced
	logs       *tracing.LogExporter // nil: no collector gets the access log
	trend      *trend.Trend
	accessLog  *logFile        // nil: no access log, or stdout
	accessLogs *kafka.Producer // of topic access-logs; nil: the access log is not sent to Kafka
	own        []Listen
	certs      certificates
	local      config.Local
	shortage   *guard.Shortage
	memory     *guard.Memory              // nil: its limit is unknown
	facts      atomic.Pointer[kafka.Tail] // nil without Kafka
	log        func(msg string, args ...any)
}

// These assertions check that the types implement the interfaces of other packages.
var (
	_ dispatch.Recorder = (*reporter.Reporter)(nil)
	_ dispatch.Signals  = (*keeper.Keeper)(nil)
	_ proxy.Dispatcher  = (*dispatch.Dispatcher)(nil)
	_ reporter.Lives    = (*keeper.Keeper)(nil)
	_ trend.Lives       = (*keeper.Keeper)(nil)
	_ reporter.Sender   = (*kafka.Producer)(nil)
	_ shares.Sender     = (*kafka.Producer)(nil)
)

// sampleRate returns the limit on sampled decisions; 0: no limit, because the sample is 100 %.
func sampleRate(t config.Telemetry) int {
	if t.DecisionSample >= 1 {
		return 0
	}
	return t.SampleRate
}

func newDataPlane(a *App) (*dataPlane, error) {
	d := &dataPlane{trend: trend.New(), log: a.o.Log.Warn, own: a.o.Listen, local: config.Local{Pages: config.Pages{Dir: a.o.Document.Proxy.Pages}, Passwords: action.NewPasswords(), JWT: config.JWTState{Tokens: jwt.NewTokens(), Wall: time.Now}, Auth: config.AuthState{Client: forwardauth.NewClient(a.o.Log)}}, certs: certificates{log: a.o.Log, acme: newAutomatic(a)}, shortage: new(guard.Shortage), memory: newMemory(a.o.Document.Proxy.Limits.MemoryBytes)}
	var err error
	if d.local.Sessions, err = a.o.Document.Proxy.SessionKeys(); err != nil {
		return nil, err
	}
	telemetry := a.o.Document.Telemetry
	var recorder dispatch.Recorder
	changed := d.changed
	if a.o.Kafka {
		d.reporter = reporter.New(reporter.Config{
			Node: a.node, Interval: telemetry.Interval, DecisionRate: telemetry.DecisionRate, SampleRate: sampleRate(telemetry),
			Now: a.now, Wall: time.Now, Sender: a.producer, Log: a.o.Log,
		})
		recorder = d.reporter
		changed = func(c keeper.Change) { d.changed(c); d.reporter.Changed(c) }
	}
	d.prober = probe.New(probe.Config{
		OnResult: d.probed, OnShort: func(what string) {
			if d.shortage.Note(what, a.now()) {
				a.o.Log.Error("this node lacks " + what + ": instances are not checked")
			}
		},
		AllowDown: func(t probe.Target) bool { return d.keeper.AllowDown(t) }, Log: a.o.Log,
	})
	d.keeper = keeper.New(keeper.Config{
		Zone: a.o.Document.Identity.Zone, Region: a.o.Document.Identity.Region,
		Now: a.now, Wall: time.Now, Reporter: event.ReporterProxy(a.node), OnChange: changed, Check: d.prober.Check, Log: a.o.Log,
	})
	d.discovery = a.newDiscovery(d)
	d.dispatcher = dispatch.New(dispatch.Config{
		ConnectTimeout: a.o.Document.Proxy.ConnectTimeout, Sample: telemetry.DecisionSample, Recorder: recorder, Signals: d.keeper, Memory: d.memory,
	})
	if a.o.Kafka {
		d.shares = shares.New(shares.Config{Node: a.node, Kafka: a.kafka, Sender: a.producer, Limits: d.dispatcher.Limits, Now: a.now, Log: a.o.Log})
	}
	return d, d.newProxy(a)
}

func (d *dataPlane) newProxy(a *App) (err error) {
	p := a.o.Document.Proxy
	cfg := proxyConfig(p)
	cfg.Now, cfg.Log, cfg.Shortage, cfg.Memory, cfg.Via = a.now, a.o.Log, d.shortage, d.memory, "smartlb-"+a.node
	cfg.Listen = func(name, addr string, open func() (net.Listener, error)) (net.Listener, error) {
		return a.o.Sockets.Listen("proxy", name, addr, open)
	}
	if d.certs.acme != nil {
		cfg.Challenges = d.certs.acme.challenges
	}
	if t := a.o.Document.Telemetry.Tracing; t.On() {
		d.tracing, err = tracing.New(tracing.Config{
			Key: "telemetry.tracing", Node: a.node, Version: a.o.Version, Endpoint: t.URL(), GRPC: t.GRPC(), Headers: t.Headers, CA: t.CA, Timeout: t.Timeout, Log: a.o.Log,
		})
		if err != nil {
			return err
		}
		cfg.Tracing = &proxy.Tracing{Sample: t.Sample, Recorder: d.tracing}
	}
	if t := a.o.Document.Telemetry.Logs; t.On() {
		d.logs, err = tracing.NewLogs(tracing.Config{
			Key: "telemetry.logs", Node: a.node, Version: a.o.Version, Endpoint: t.URL(), GRPC: t.GRPC(), Headers: t.Headers, CA: t.CA, Timeout: t.Timeout, Log: a.o.Log,
		})
		if err != nil {
			return err
		}
		cfg.LogRecorder = d.logs
	}
	if cfg.LogFormat, err = p.AccessLogOptions.Compile(); err != nil {
		return err
	}
	cfg.LogFilter = p.AccessLogOptions.Filter()
	if p.AccessLogOptions.Kafka && a.o.Kafka {
		if d.accessLogs, err = accessLogProducer(a); err != nil {
			return err
		}
		cfg.AccessMessages, cfg.MessageFormat = reporter.NewAccessLogs(a.node, d.accessLogs), accesslog.Messages(a.node)
	}
	if cfg.AccessLog, d.accessLog, err = openAccessLog(p.AccessLog); err != nil {
		return err
	}
	if d.proxy, err = proxy.New(cfg, d.dispatcher); err != nil {
		d.close()
		return err
	}
	return nil
}

// Bounds of the access log on its way to Kafka.
const (
	accessLogRecords = 30_000
	accessLogBytes   = 16 << 20
	accessLogBatch   = 1_000_000 // the topic takes 1,048,588 bytes, and batches grow while Kafka is slow
)

// accessLogProducer returns a producer for topic access-logs alone: whether the topic is missing, refused or slow, the
// other topics have a queue and a client of their own.
func accessLogProducer(a *App) (*kafka.Producer, error) {
	cfg := a.kafka
	cfg.MaxBufferedRecords, cfg.MaxBufferedBytes = accessLogRecords, accessLogBytes
	cfg.BatchMaxBytes = min(cfg.BatchMaxBytes, accessLogBatch)
	return kafka.NewProducer(cfg, a.o.Log)
}

// proxyConfig converts checked settings of the proxy.
func proxyConfig(p config.Proxy) proxy.Config {
	l, t := p.Limits, p.Timeouts
	return proxy.Config{
		TrustedProxies: p.TrustedProxies, ExplainFrom: p.ExplainFrom,
		Limits:  h1.Limits{Head: l.HeadBytes, Fields: l.Headers, Target: l.TargetBytes},
		MaxBody: int64(l.BodyBytes), BodyRate: l.BodyRate, ResponseRate: l.ResponseRate, MaxConnections: l.Connections, MaxPerClient: l.ConnectionsPerClient, MaxIdle: l.IdlePerInstance,
		IdleTimeout: t.Idle, HeadTimeout: t.Head, BodyTimeout: t.Body, StreamTimeout: t.Stream, UploadTimeout: t.Upload,
		HalfCloseTimeout: t.HalfClosed, TunnelTimeout: t.Tunnel, KeepTimeout: t.Keep,
	}
}

// listenerOf converts the settings of a checked listener.
func listenerOf(l config.Listener) proxy.Listener {
	out := proxy.Listener{Name: l.Name, Addr: l.Address, RejectEncoded: l.EncodedCharacters == "reject"}
	if l.TLS != nil {
		out.HSTS = hsts(*l.TLS)
		out.ClientFields = proxy.ClientFields{Subject: l.TLS.Clients.SubjectHeader, Fingerprint: l.TLS.Clients.FingerprintHeader}
	}
	if l.RedirectToHTTPS {
		out.HTTPSPort = cmp.Or(l.HTTPSPort, 443)
	}
	if mode, err := strconv.ParseUint(l.Mode, 8, 32); err == nil { // checked; empty: the default
		out.Mode = fs.FileMode(mode)
	}
	if l.ProxyProtocol != nil {
		out.ProxyFrom = l.ProxyProtocol.From
	}
	out.ReusePort, out.Backlog, out.KeepAlive = l.ReusePort, l.Backlog, l.KeepAlive
	out.HTTP1Only = l.HTTP1Only
	out.MaxConnections = l.Limits.Connections
	if b := l.Limits.BodyBytes; b != nil {
		out.MaxBody = cmp.Or(int64(*b), -1)
	}
	t := l.Timeouts
	out.Timeouts = proxy.Timeouts{Idle: t.Idle, Head: t.Head, Body: t.Body, HalfClose: t.HalfClosed, Tunnel: t.Tunnel}
	if t.Upload != nil {
		out.Timeouts.Upload = cmp.Or(*t.Upload, -1)
	}
	switch l.UnderscoreHeaders {
	case "keep":
		out.Underscores = h1.KeepUnderscores
	case "reject":
		out.Underscores = h1.RejectUnderscores
	}
	switch l.RequestID {
	case "keep":
		out.RequestID = proxy.KeepID
	case "overwrite":
		out.RequestID = proxy.OverwriteID
	}
	return out
}

func openAccessLog(path string) (io.Writer, *logFile, error) {
	switch path {
	case "":
		return nil, nil, nil
	case "-":
		return screen.New(os.Stdout), nil, nil
	}
	f, err := newLogFile(path)
	return f, f, err
}

func (d *dataPlane) close() {
	if d.proxy != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = d.proxy.Run(ctx) // closes the listeners that New bound
	}
	if d.accessLog != nil {
		_ = d.accessLog.Close()
	}
}

// changed stores a change of an instance's standing for pages.
func (d *dataPlane) changed(c keeper.Change) {
	if c.Instance != "" {
		d.trend.Changed(c.Service, c.Instance, trend.Standing{At: c.At, From: c.From, To: c.To, Reason: c.Reason, Until: c.Until})
	}
}

// probed passes the result of a probe first to routing, then to pages, then to Kafka.
func (d *dataPlane) probed(r probe.Result) {
	d.keeper.ObserveProbe(r)
	detail := r.Body
	if r.Reason != "" {
		detail = r.Reason + ": " + detail
	}
	d.trend.Probed(r.Service, r.Instance, trend.Probe{At: r.At, Took: r.Took, OK: r.OK, Event: r.Event, Status: r.StatusCode, Detail: detail})
	if d.reporter != nil {
		d.reporter.Probed(r)
	}
}

// apply applies a configuration while requests run. It first does everything that can fail. Then it updates the pools
// and the table and retires the services that were removed.
func (d *dataPlane) apply(t config.Traffic, revision string) error {
	local := d.local
	local.Limits = d.dispatcher.Limits()
	if current := d.dispatcher.Table(); current != nil {
		local.JWT.KeySets, local.JWT.Refused, local.Auth.Counts, local.Mirrors = current.KeySets, current.Refused, current.Auths, current.Mirrors
	}
	table, err := config.Compile(t, revision, d.service, local)
	if err != nil {
		return err
	}
	security, err := d.certs.loadServices(t.Services)
	if err != nil {
		return err
	}
	if err := d.discovery.Check(t.Services); err != nil {
		return err
	}
	if err := d.open(t.Listeners); err != nil {
		return err
	}
	d.membership.Lock()
	defer d.membership.Unlock()
	services := d.discovery.Set(t.Services)
	for _, s := range services {
		table.SetInstances(s.ID, config.IDs(s.Instances))
	}
	retire := d.keeper.Apply(services)
	for _, s := range t.Services {
		d.keeper.Service(s.ID).SetTLS(security[s.ID].tls())
	}
	d.certs.serveServices(security)
	d.warnSessions(t)
	d.dispatcher.Swap(table)
	retire()
	if d.shares != nil {
		d.shares.Changed()
	}
	d.forgetRoutes(t)
	d.prober.Set(d.keeper.Targets())
	return nil
}

// warnSessions warns about cookies of sessions that other nodes do not accept.
func (d *dataPlane) warnSessions(t config.Traffic) {
	sessions := func(s config.Service) bool { return s.SessionPersistence != nil }
	if i := slices.IndexFunc(t.Services, sessions); i >= 0 && d.local.Sessions.Generated() {
		d.log("proxy.sessionKeys is not set: the session cookies of this process are valid until it ends, and only here", "service", t.Services[i].ID)
	}
}

// hasKeys reports whether each issuer of tokens has keys.
func (d *dataPlane) hasKeys() bool {
	return !slices.ContainsFunc(d.dispatcher.KeySets(), func(s *jwt.KeySet) bool { return !s.Ready() })
}

// service returns the service with an id. That without an id counts the requests for which there is none.
func (d *dataPlane) service(id string) *upstream.Service {
	if id == "" {
		return d.dispatcher.Own()
	}
	return d.keeper.Service(id)
}

// forgetRoutes bounds what services count of routes that left.
func (d *dataPlane) forgetRoutes(t config.Traffic) {
	current := map[string]bool{"": true}
	for _, r := range t.Routes {
		current[r.Name] = true
	}
	exists := func(route string) bool { return current[route] }
	d.dispatcher.Own().ForgetRoutes(exists)
	for _, s := range t.Services {
		d.keeper.Service(s.ID).ForgetRoutes(exists)
	}
}

func (a *App) startDataPlane(acts *actors) {
	d := a.data
	acts.start("keeper", d.keeper.Run, nil)
	acts.start("memory", a.watchMemory, nil)
	acts.start("trend", func(ctx context.Context) error { return d.trend.Run(ctx, d.keeper) }, nil)
	acts.onStop("authentication services", func(context.Context) error { d.local.Auth.Client.Close(); return nil })
	if d.accessLog != nil {
		acts.onStop("access log", func(context.Context) error { return d.accessLog.Close() })
	}
	if d.tracing != nil {
		acts.start("tracing", d.tracing.Run, nil)
	}
	if d.logs != nil {
		acts.start("logs", d.logs.Run, nil)
	}
	if d.reporter != nil {
		acts.start("reporter", func(ctx context.Context) error { return d.reporter.Run(ctx, d.keeper) }, nil)
	}
}

// feedDataPlane starts the actors that send facts to the keeper.
func (a *App) feedDataPlane(acts *actors) {
	if a.data.reporter != nil {
		acts.start("facts", a.followFacts, nil)
		acts.start("shares of rate limits", a.data.shares.Run, nil)
		acts.start("control", a.asOwner(a.control.Run), nil)
	} else {
		acts.start("control", a.asOwner(a.control.Tend), nil)
	}
	acts.start("certificates", a.data.certs.run, nil)
	if a.data.certs.acme != nil {
		acts.start("automatic certificates", a.asOwner(a.data.certs.acme.manager.Run), nil)
	}
	acts.start("keys of tokens", jwt.NewFetcher(a.data.dispatcher.KeySets, a.o.Log).Run, nil)
	acts.start("probes", a.data.prober.Run, nil)
	acts.start("discovery", a.data.discovery.Run, nil)
	if a.registrations != nil {
		acts.start("registrations", a.followRegistrations, nil)
	}
}

// factPace is the time between batches of facts. It merges the facts of many instances, each a second apart, into few
// batches; facts may be seconds old.
const factPace = 500 * time.Millisecond

// followFacts reads the facts from Kafka: health-scores of the last minute and health-status of the last 30 s.
func (a *App) followFacts(ctx context.Context) error {
	tail, err := kafka.NewTail(a.kafka, kafka.TailConfig{
		Topics: []string{event.TopicHealthScores, event.TopicHealthStatus}, From: kafka.FromAgo(time.Minute), Pace: factPace,
		OnReset: func(topic string, _ kafka.ResetReason) { a.alerts.Recreated(topic) },
	}, a.o.Log)
	if err != nil {
		return err
	}
	a.data.facts.Store(tail)
	return tail.Run(ctx, func(batch []kafka.Record) {
		for _, r := range batch {
			a.fact(r)
		}
	})
}

// oldStatus is the age from which the health-status of a single sender no longer counts.
const oldStatus = 30 * time.Second

// healthStatus handles a health-status message. A signature counts only for the services of its key and within a
// minute; otherwise the message counts as unsigned. It skips and counts copies of a signed message.
func (a *App) healthStatus(r kafka.Record, s event.HealthStatus) {
	reporter, _ := r.Header(event.HeaderReporter)
	by, signed := a.kafka.Verify(r), false
	if by.SpeaksFor(s.ServiceID) {
		signature, _ := r.Header(sign.Header)
		var copied bool
		if signed, copied = a.data.signatures.Accept(signature, by.At, time.Now()); copied {
			a.kafka.Skips.Add(r, "replayed", a.o.Log)
			return
		}
	}
	a.data.keeper.ObserveStatus(s, string(reporter), signed)
}

// maxScore is the largest score message in bytes. The node keeps the reasons of each instance; the analyzer writes
// about 1 KB.
const maxScore = 16 << 10

func (a *App) fact(r kafka.Record) {
	switch r.Topic {
	case event.TopicHealthScores:
		if len(r.Value) > maxScore {
			return
		}
		if s, err := event.DecodeHealthScore(r.Value); err == nil {
			a.data.keeper.ObserveScore(s)
		}
	case event.TopicHealthStatus:
		if time.Since(r.Timestamp) > oldStatus {
			return
		}
		if s, err := event.DecodeHealthStatus(r.Value); err == nil {
			a.healthStatus(r, s)
		}
	}
}
