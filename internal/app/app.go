package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/base/handover"
	"github.com/smartlb/smartlb/internal/base/state"
	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/console/peers"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/control/discovery"
	"github.com/smartlb/smartlb/internal/dataplane/proxy"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/stack/broker"
	"github.com/smartlb/smartlb/internal/stack/holder"
	"github.com/smartlb/smartlb/internal/telemetry/alerts"
	"github.com/smartlb/smartlb/internal/telemetry/analyzer"
	"github.com/smartlb/smartlb/internal/telemetry/audit"
	loads "github.com/smartlb/smartlb/internal/telemetry/collector"
	"github.com/smartlb/smartlb/internal/telemetry/journal"
	"github.com/smartlb/smartlb/internal/telemetry/notifier"
)

// App is one smartlb process. Create it with New and call Run once.
type App struct {
	o       Options
	node    string
	started time.Time
	now     func() int64

	broker      *broker.Broker
	kafka       kafka.Config
	unreachable atomic.Bool // Kafka was unreachable in the latest check, at most recheckDown ago
	producer    *kafka.Producer
	audit       *audit.Log
	limits      *api.Limits // shared by all API clients
	data        *dataPlane
	control     *configlog.Control
	alerts      *alerts.Book
	browser     *browse.Browser // nil without Kafka
	browseAdmin *kafka.Admin    // the browser's own client; nil without Kafka

	decisions *journal.Stream[journal.Decision] // these four are nil without Kafka
	requests  *journal.Stream[journal.Request]
	records   *journal.Stream[journal.Record]
	configLog *journal.Configuration

	analyzer      *analyzer.Analyzer       // nil without the role analyzer
	collector     *loads.Collector         // nil without the role collector
	receiver      *loads.Receiver          // of OTLP; nil without the role collector or without an address
	fleet         *loads.Fleet             // what it knows of the other nodes
	members       *members                 // of services, if the node has the role collector without the role proxy
	registrations *discovery.Registrations // of instances; nil without Kafka, and without the roles proxy and collector
	notifier      *notifier.Notifier       // nil without the role analyzer, and without receivers of alerts
	catalog       topic.Catalog
	lock          *os.File // of the data directory, locked; nil without one
	web           []*webServer
	token         string         // token of the admin listener; empty: no token
	proxies       *peers.Proxies // the proxies of other nodes

	ready       chan struct{}
	stopped     chan struct{}
	topicsReady chan struct{}
	changed     chan struct{} // wakes publishStatus
	accepting   chan struct{} // closed when this process may accept connections of clients
	owner       chan struct{} // closed when this process may do what only one process of a node may do

	upgraded   chan *handover.Successor // a new process that is ready to take the place of this process
	delayed    delayed
	badUpgrade atomic.Pointer[string] // why the last upgrade failed; nil: it did not
	handedOver bool                   // set before the proxy stops

	consoleURL atomic.Pointer[string] // URL of the console that `up` runs as a child process
	once       sync.Once
	drainMu    sync.Mutex
	drains     bool
	reloads    reloads
	refused    atomic.Pointer[string] // why the changed file was refused; nil: it was not
	cut        bool                   // the stop cut requests
}

// ErrCut is the error of Run if the only fault of a stop is that it cut requests, which the log describes.
var ErrCut = errors.New("requests were cut, because the drain time ended")

// New binds every listener and checks every input. If it returns an error, it has closed everything.
func New(o Options) (_ *App, err error) {
	if err := CheckRoles(o.Roles); err != nil {
		return nil, err
	}
	a := &App{
		o: o, started: time.Now(), limits: api.NewLimits(), ready: make(chan struct{}), stopped: make(chan struct{}), topicsReady: make(chan struct{}), changed: make(chan struct{}, 1),
		accepting: make(chan struct{}), owner: make(chan struct{}), upgraded: make(chan *handover.Successor, 1), delayed: delayed{again: make(chan os.Signal, 1)},
	}
	if a.o.Sockets == nil {
		a.o.Sockets = new(handover.Sockets)
	}
	if a.o.Manager == nil {
		a.o.Manager = noManager{}
	}
	if o.Before == nil {
		close(a.accepting)
		close(a.owner)
	}
	a.now = func() int64 { return int64(time.Since(a.started)) + int64(time.Second) }
	defer func() {
		if err != nil {
			a.closeUnstarted()
		}
	}()
	if err := a.lockData(); err != nil {
		return nil, err
	}
	if a.node, err = nodeID(o.Document.Identity.ID, o.DataDir); err != nil {
		return nil, err
	}
	if o.Before != nil && o.Document.Identity.ID == "" && o.DataDir == "" {
		a.node = o.Before.Node()
	}
	if o.has(event.RoleBroker) {
		for _, addr := range []string{o.Broker.External, o.Broker.Internal} {
			if err := a.guarded("broker", addr, nil, false); addr != "" && err != nil {
				return nil, err
			}
		}
		if a.broker, err = broker.New(o.Broker, o.Log); err != nil {
			return nil, holder.PortError(err, "--broker-listen")
		}
	}
	if o.Kafka {
		if err := a.newKafka(); err != nil {
			return nil, err
		}
	}
	if o.has(event.RoleProxy) {
		if a.data, err = newDataPlane(a); err != nil {
			return nil, err
		}
		if a.alerts != nil {
			a.alerts.Configured = a.data.keeper.Configured
		}
		if err := a.newControl(); err != nil {
			return nil, err
		}
	}
	return a, a.newWeb()
}

// nodeLock is the lock file that keeps a second node out of a data directory: both nodes would share one id and one
// last good configuration.
const nodeLock = "node.lock"

// dataFormat is the format of a data directory: node id, last good
// configuration, audit position, and the embedded broker's log.
var dataFormat = state.Kind{Name: "the node's data", Version: 1}

func (a *App) lockData() (err error) {
	if a.o.DataDir == "" {
		return nil
	}
	if err := os.MkdirAll(a.o.DataDir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w (choose another directory with --data)", err)
	}
	path := filepath.Join(a.o.DataDir, nodeLock)
	if a.o.Before != nil && sameFile(a.o.Before.Lock(), path) {
		a.lock = a.o.Before.Lock()
		return state.Check(a.o.DataDir, dataFormat) // the old process still writes to the directory
	}
	if a.o.Before != nil && a.o.Before.Lock() != nil {
		_ = a.o.Before.Lock().Close() // of another directory
	}
	if a.lock, err = state.TryLockFile(path); err != nil {
		return fmt.Errorf("data directory %s: %w (choose another directory with --data)", a.o.DataDir, err)
	}
	_, err = state.Open(a.o.DataDir, dataFormat)
	return err
}

// sameFile reports whether an open file is the file at path.
func sameFile(f *os.File, path string) bool {
	if f == nil {
		return false
	}
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(open, named)
}

func (a *App) newKafka() (err error) {
	k := a.o.Document.Kafka
	a.kafka = kafka.Default()
	a.kafka.Brokers, a.kafka.Linger, a.kafka.BatchMaxBytes, a.kafka.Compression = k.Brokers, k.Linger, int32(k.BatchBytes), k.Compression
	if a.kafka.Signing, err = a.o.Document.Signing.Ring(os.Getenv, os.ReadFile); err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	a.kafka.Skips = &kafka.Skips{}
	a.kafka.ClientID, a.kafka.Security = "smartlb/"+a.node, k.Security()
	if a.broker != nil {
		a.kafka.Brokers, a.kafka.Security = []string{a.broker.Addr()}, kafka.Security{}
	}
	if err := a.kafka.Ready(); err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	if a.producer, err = kafka.NewProducer(a.kafka, a.o.Log); err != nil {
		return err
	}
	a.alerts = alerts.New()
	file, err := newCatalog()
	if err != nil {
		return err
	}
	a.catalog = file.Catalog()
	a.browser, err = a.newBrowser(browse.Config{Kafka: a.kafka, Catalog: file, Mask: a.o.Document.Console.Masks(), Dir: a.o.DataDir, Log: a.o.Log})
	if err != nil {
		return err
	}
	look := a.journalConfig()
	a.decisions, a.requests, a.records, a.configLog = journal.Decisions(look), journal.Requests(look), journal.Records(look), journal.NewConfiguration(look)
	if a.audit, err = audit.New(a.node, a.o.DataDir, a.producer, a.o.Log); err != nil {
		return err
	}
	if err := a.newCollector(); err != nil {
		return err
	}
	if !a.o.has(event.RoleAnalyzer) {
		return nil
	}
	if err := a.newAnalyzer(); err != nil {
		return err
	}
	return a.newNotifier()
}

func (a *App) newControl() (err error) {
	a.control, err = configlog.New(configlog.Config{
		Kafka: a.kafka, Dir: a.o.DataDir, File: a.o.Traffic, FileName: a.o.FileName, FileOnly: a.o.FileOnly,
		Author: configlog.FromFile + a.o.FileName, Node: a.node, Log: a.o.Log,
		Apply: a.applyTraffic, Override: a.data.keeper.SetOverrides, Challenges: a.data.certs.acme.shared(), Changed: a.auditConfig,
		Unsigned: func() {
			if a.alerts != nil {
				a.alerts.Forged(event.TopicConfigUpdates)
			}
		},
	})
	if err != nil {
		return err
	}
	if err := a.control.Start(); err != nil {
		return holder.PortError(err, a.o.ListenFlag)
	}
	return holder.PortError(a.data.openFirst(a.o), a.o.ListenFlag)
}

// producers returns the producers of the node, whose topics differ.
func (a *App) producers() (all []*kafka.Producer) {
	if a.producer != nil {
		all = append(all, a.producer)
	}
	if a.data != nil && a.data.accessLogs != nil {
		all = append(all, a.data.accessLogs)
	}
	return all
}

func (a *App) unlockData() {
	if a.lock != nil {
		_ = a.lock.Close() // nothing was written that could be lost; the kernel unlocks the file in any case
	}
}

func (a *App) closeUnstarted() {
	defer a.unlockData()
	if a.broker != nil {
		a.broker.Close()
	}
	if a.producer != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		for _, p := range a.producers() {
			_ = p.Close(ctx)
		}
		if a.analyzer != nil {
			_ = a.analyzer.Close(ctx)
		}
		if a.browseAdmin != nil {
			a.browseAdmin.Close()
		}
	}
	if a.data != nil {
		a.data.close()
	}
	for _, w := range a.web {
		_ = w.listener.Close()
	}
}

// Node returns the id of the node.
func (a *App) Node() string { return a.node }

// ProxyAddrs returns the addresses of the proxy's listeners, in the order of the configuration. It is empty without the
// role proxy and before a configuration has listeners.
func (a *App) ProxyAddrs() []string {
	if a.data == nil {
		return nil
	}
	var out []string
	for _, l := range a.data.proxy.Listeners() {
		out = append(out, l.Addr)
	}
	return out
}

// ShowConsole sets the URL of the console in the node's status, if another process runs the console.
func (a *App) ShowConsole(url string) { a.consoleURL.Store(&url) }

// Ready is closed when the listeners serve. With the role broker, the broker also responds by then.
func (a *App) Ready() <-chan struct{} { return a.ready }

// TopicsReady is closed when this process has ensured that the catalog's topics exist. In a process without that task,
// it is never closed.
func (a *App) TopicsReady() <-chan struct{} { return a.topicsReady }

// Stopped is closed immediately before Run returns.
func (a *App) Stopped() <-chan struct{} { return a.stopped }

// Run starts everything. It returns when ctx has ended and everything has stopped, or when an actor has failed. The
// error names each actor that did not stop cleanly. It is ErrCut if all did and the drain cut requests.
func (a *App) Run(ctx context.Context) error {
	defer close(a.stopped)
	defer a.unlockData()
	acts := newActors(a.o.Log)
	if !a.start(ctx, acts) {
		defer a.closeUnstarted()
	}
	var failed error
	select {
	case <-ctx.Done():
		a.o.Log.Info("stopping", "lame_duck", a.o.LameDuck.String(), "drain", a.o.Drain.String())
	case failed = <-acts.failed:
		if errors.Is(failed, errHungUp) {
			failed = nil
			a.o.Log.Info("stopping, because the terminal was closed")
			break
		}
		a.o.Log.Error("stopping, because an actor failed", "error", failed)
	case next := <-a.upgraded:
		a.handOver(acts, next)
	}
	if !a.handedOver {
		a.record("stop.node", event.Target{Kind: "node", ID: a.node}, failed)
	}
	stop, cancel := context.WithTimeout(context.Background(), a.o.LameDuck+a.o.Drain+5*time.Second)
	defer cancel()
	err := errors.Join(failed, acts.stopAll(stop))
	a.endUnused()
	a.drainMu.Lock()
	defer a.drainMu.Unlock()
	if err == nil && a.cut {
		return ErrCut
	}
	return err
}

// drain makes /readyz fail. It continues to accept for the lame duck time, so that a balancer in front can react. Then
// it waits until the requests finish.
func (a *App) drain(ctx context.Context) error {
	a.drainMu.Lock()
	a.drains = true
	a.drainMu.Unlock()
	if a.o.LameDuck > 0 && !a.handedOver {
		timer := time.NewTimer(a.o.LameDuck)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
	ctx, cancel := context.WithTimeout(ctx, a.o.Drain)
	defer cancel()
	idle := time.Duration(0)
	if a.handedOver {
		idle = a.o.Drain / 2
	}
	err := a.data.proxy.HandOver(ctx, idle)
	var cut *proxy.CutError
	if errors.As(err, &cut) {
		a.drainMu.Lock()
		a.cut = cut.Requests > 0
		a.drainMu.Unlock()
		a.o.Log.Warn("drain time ended, requests and tunnels were cut", "drain", a.o.Drain.String(), "requests", cut.Requests, "tunnels", cut.Tunnels, "idle_connections", cut.Idle, "by_service", cut.Services())
		return nil
	}
	return err
}

func (a *App) draining() bool {
	a.drainMu.Lock()
	defer a.drainMu.Unlock()
	return a.drains
}

// record writes an audit record with the system as its actor.
func (a *App) record(action string, target event.Target, err error) {
	if a.audit == nil {
		return
	}
	r := event.AuditLog{Actor: event.Actor{Type: "system", ID: a.node}, Action: action, Target: target}
	if err != nil {
		r.Result, r.Reason = event.ResultError, err.Error()
	}
	if a.control != nil {
		r.ConfigRevision = a.control.Status().Revision
	}
	a.audit.Record(r)
}

// statusChanged makes publishStatus report at once.
func (a *App) statusChanged() {
	select {
	case a.changed <- struct{}{}:
	default: // the pending status report includes this change
	}
}

// applyTraffic applies a configuration and counts it.
func (a *App) applyTraffic(t config.Traffic, revision string) error {
	err := a.data.apply(t, revision)
	if err == nil {
		a.reloads.note(nil, time.Now())
	}
	return err
}

func (a *App) auditConfig(o configlog.Outcome) {
	if o.Err != nil {
		a.reloads.note(o.Err, time.Now())
	}
	a.statusChanged()
	actor := event.Actor{Type: "user", ID: o.Author}
	r := event.AuditLog{Actor: actor, Action: "apply.config", Target: event.Target{Kind: "revision", ID: o.Revision}, ConfigRevision: o.Revision, Reason: o.Comment}
	if o.Err != nil {
		r.Result, r.Reason, r.ConfigRevision = event.ResultError, o.Err.Error(), o.Previous
	}
	a.audit.Record(r)
}
