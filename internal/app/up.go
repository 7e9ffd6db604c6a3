package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/demo"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/stack/child"
)

// UpOptions are the settings of `smartlb up` in addition to the options of its process.
type UpOptions struct {
	Options
	KafkaGiven   bool   // the user named brokers: start no broker child
	KafkaNote    string // where the brokers come from, for the banner
	BrokerListen string // of the broker child, default 127.0.0.1:9092
	BrokerInside string // INTERNAL listener of the broker child, default 127.0.0.1:29092
	WithDemo     bool
	DemoOffset   int      // added to the demo's ports
	DemoRate     float64  // scale of the load; 0: no load
	Program      string   // path of the smartlb binary, for the children
	OwnConsole   bool     // start a console, in a separate process
	Console      string   // URL of a console that already runs and was not started by this process
	ConsoleArgs  []string // flags of the console process: the source of its settings
	Out          io.Writer
}

// Up runs proxy and analyzer in this process. It runs the console, the broker, the demo instances and the load as child
// processes. It returns when ctx has ended and everything has stopped.
func Up(ctx context.Context, o UpOptions) error {
	began := time.Now()
	u := &up{o: o, logs: filepath.Join(o.DataDir, "logs")}
	childCtx, cancel := context.WithCancel(context.Background())
	// The children stop after our own actors, so that the last reports and audit records reach the broker.
	defer u.running.Wait()
	defer cancel()
	if err := u.startBroker(ctx, childCtx); err != nil {
		return err
	}
	if o.WithDemo {
		if err := u.claimLog(ctx); err != nil {
			return err
		}
		if err := u.startInstances(childCtx); err != nil {
			return err
		}
		faults := demo.NewFaults(u.fleet)
		u.o.FileName = "demo"
		u.o.Demo = demoSwitches(faults)
		u.o.Demo.Load, u.o.Demo.SetLoad = u.loadState, u.setLoad
	}
	a, err := New(u.o.Options)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	ctx, cancelRun := context.WithCancel(ctx)
	defer cancelRun()
	go func() { done <- a.Run(ctx) }()
	select {
	case err := <-done:
		return err
	case <-a.Ready():
	}
	stop := func(err error) error {
		cancelRun()
		return errors.Join(err, <-done)
	}
	console, err := u.startConsole(ctx, childCtx)
	if ctx.Err() != nil {
		return <-done
	}
	if err != nil {
		return stop(err)
	}
	a.consoleURL.Store(&console)
	if o.WithDemo {
		u.startLoad(childCtx, a)
	}
	u.banner(a, console, time.Since(began))
	quiet := context.AfterFunc(ctx, func() { fmt.Fprintln(o.Out, "\nstopping; press Ctrl-C again to stop immediately") })
	defer quiet()
	return <-done
}

type up struct {
	o       UpOptions
	logs    string
	fleet   []demo.Group
	running sync.WaitGroup
	load    load
}

// load is the demo's load. Its scale can change.
type load struct {
	mu    sync.Mutex
	start func(scale float64) context.CancelFunc // nil until there is a proxy to send it to
	stop  context.CancelFunc                     // stops the current load
	scale float64
}

func (u *up) spawn(ctx context.Context, name string, args ...string) *child.Child {
	env := []string{"GOMEMLIMIT=64MiB", "GOGC=50"} // limits, because there are many small processes
	if name != "broker" {
		// For a process that handles one request at a time, a second thread has no benefit and costs time: each request
		// would wake and park it.
		env = append(env, "GOMAXPROCS=1")
	}
	return u.spawnWith(ctx, name, env, args...)
}

func (u *up) spawnWith(ctx context.Context, name string, env []string, args ...string) *child.Child {
	c := child.New(child.Spec{Name: name, Program: u.o.Program, Args: args, Log: filepath.Join(u.logs, name+".log"), Env: env}, u.o.Log)
	u.running.Go(func() { _ = c.Run(ctx) })
	return c
}

// brokerStart limits the time until a broker responds on a busy machine with a slow disk. A broker that cannot start
// fails immediately.
const brokerStart = time.Minute

func (u *up) startBroker(ctx, childCtx context.Context) error {
	if u.o.KafkaGiven {
		return nil
	}
	for _, l := range []struct{ addr, flag string }{{u.o.BrokerListen, "--broker-listen"}, {u.o.BrokerInside, "--broker-internal"}} {
		if l.addr == "" {
			continue
		}
		if err := free(l.addr, l.flag); err != nil {
			return err
		}
	}
	insecure := fmt.Sprintf("--insecure-listen=%v", u.o.Insecure)
	c := u.spawn(childCtx, "broker", "run", insecure, "--roles", "broker", "--data", filepath.Join(u.o.DataDir, "broker"), "--with-parent",
		"--admin", "127.0.0.1:0", // an exported SMARTLB_ADMIN_ADDRESS applies to this process only
		"--broker-listen", u.o.BrokerListen, "--broker-internal", u.o.BrokerInside)
	cfg := kafka.Default()
	cfg.Brokers = []string{u.o.BrokerListen}
	u.o.OwnBroker = true
	u.o.Document.Kafka.Brokers, u.o.Document.Kafka.TLS, u.o.Document.Kafka.SASL = cfg.Brokers, kafka.TLS{}, kafka.SASL{}
	return u.await(ctx, cfg, c)
}

// await waits until the broker responds. A broker that ended has already written the reason.
func (u *up) await(ctx context.Context, cfg kafka.Config, c *child.Child) error {
	ctx, cancel := context.WithTimeout(ctx, brokerStart)
	defer cancel()
	admin, err := kafka.NewAdminWithin(ctx, cfg) // the context also limits a broker that hangs
	if err != nil {
		return err
	}
	defer admin.Close()
	for {
		ask, done := context.WithTimeout(ctx, time.Second)
		err = admin.Ping(ask)
		done()
		if err == nil {
			return nil
		}
		if c.Restarts() > 0 {
			return fmt.Errorf("the embedded broker did not start%s", tailOf(filepath.Join(u.logs, "broker.log")))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the embedded broker did not answer within %s: %w%s", brokerStart, err, tailOf(filepath.Join(u.logs, "broker.log")))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// tailOf returns the last line of a log, for an error message.
func tailOf(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return "; last line of " + path + ": " + lines[len(lines)-1]
}

// free returns an error if no listener can bind the address. The error names flag and, if known, the process that uses
// it.
func free(addr, flag string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return portError(err, flag)
	}
	return l.Close()
}

// claimLog makes the demo's configuration the current configuration. If the log is empty, the node seeds it. If the log
// holds the configuration of an older demo, claimLog replaces it. It refuses any other configuration, because the demo
// would take over routes that are not its own.
func (u *up) claimLog(ctx context.Context) error {
	cfg := kafka.Default()
	cfg.Brokers, cfg.Security = u.o.Document.Kafka.Brokers, u.o.Document.Kafka.Security()
	var err error
	if cfg.Signing, err = u.o.Document.Signing.Ring(os.Getenv, os.ReadFile); err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	if u.o.KafkaGiven { // missing topics and an unavailable broker are no error here
		ask, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if a, err := kafka.NewAdminWithin(ask, cfg); err == nil {
			known, err := a.Describe(ask, event.TopicConfigUpdates)
			a.Close()
			if err != nil || len(known.Topics) == 0 {
				return nil
			}
		}
	}
	ask, cancel := context.WithTimeout(ctx, 30*time.Second) // the broker responds, but it may be slow
	defer cancel()
	state, err := configlog.Load(ask, cfg, u.o.Log)
	switch {
	case err != nil:
		return err
	case state.Document == "" || state.Document == string(u.o.Traffic):
		return nil
	case !demo.IsTraffic([]byte(state.Document)):
		return fmt.Errorf("config-updates at %s holds revision %s, which does not belong to the demo; run without --demo, or use another Kafka for the demo",
			strings.Join(cfg.Brokers, ","), state.Revision)
	}
	_, err = configlog.Publish(ask, cfg, configlog.Change{Document: u.o.Traffic, Base: state.Revision, Author: "demo", Comment: "demo: addresses changed"}, u.o.Log)
	return err
}

func (u *up) startInstances(ctx context.Context) error {
	u.fleet = demo.Fleet(u.o.DemoOffset)
	var errs []error
	for _, g := range u.fleet {
		for _, in := range g.Instances {
			errs = append(errs, free(in.Addr, "--demo-ports"))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	defer u.awaitInstances(ctx)
	for _, g := range u.fleet {
		for _, in := range g.Instances {
			u.spawn(ctx, in.ID, "demo", "service", "--service", in.Service, "--instance", in.ID, "--listen", in.Addr,
				"--latency", in.Latency.String(), "--workers", fmt.Sprint(in.Workers), "--brokers", strings.Join(u.o.Document.Kafka.Brokers, ","), "--with-parent")
		}
	}
	return nil
}

// awaitInstances waits until every instance listens, so that the first probes pass. After 5 s it continues and leaves
// the remaining instances to the probes.
func (u *up) awaitInstances(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var d net.Dialer
	for _, g := range u.fleet {
		for _, in := range g.Instances {
			for ctx.Err() == nil {
				if conn, err := d.DialContext(ctx, "tcp", in.Addr); err == nil {
					_ = conn.Close()
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
		}
	}
}

func (u *up) startLoad(ctx context.Context, a *App) {
	target := "http://" + dialable(a.data.proxy.Listeners()[0].Addr) // the demo's configuration has one listener
	u.load.mu.Lock()
	defer u.load.mu.Unlock()
	u.load.start = func(scale float64) context.CancelFunc {
		ctx, cancel := context.WithCancel(ctx)
		u.spawn(ctx, "load", "demo", "load", "--target", target, "--scale", fmt.Sprint(scale), "--with-parent")
		return cancel
	}
	u.load.set(u.o.DemoRate)
}

// set replaces the current load. The old load ends after its last responses.
func (l *load) set(scale float64) {
	if l.stop != nil {
		l.stop()
		l.stop = nil
	}
	if l.scale = scale; scale > 0 {
		l.stop = l.start(scale)
	}
}

func (u *up) setLoad(_ context.Context, scale float64) error {
	u.load.mu.Lock()
	defer u.load.mu.Unlock()
	if u.load.start == nil {
		return problem.Errorf(problem.Unavailable, "the proxy is not up yet")
	}
	u.load.set(scale)
	return nil
}

func (u *up) loadState() api.DemoLoad {
	u.load.mu.Lock()
	defer u.load.mu.Unlock()
	return api.DemoLoad{Scale: u.load.scale, Rate: u.load.scale * demo.RateOf(u.fleet)}
}

// dialable converts a wildcard listen address to an address for connections.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

func demoSwitches(f *demo.Faults) Demo {
	return Demo{
		Fault: func(ctx context.Context, instance string, fault *api.Fault) error {
			if !f.Known(instance) {
				return problem.Errorf(problem.NotFound, "there is no demo instance %q", instance)
			}
			if fault == nil {
				return f.Set(ctx, instance, nil)
			}
			return f.Set(ctx, instance, &demo.Fault{ErrorRate: fault.ErrorRate, LatencyMs: fault.LatencyMs})
		},
		Faults: func() map[string]api.Fault {
			out := map[string]api.Fault{}
			for id, fault := range f.All() {
				out[id] = api.Fault{ErrorRate: fault.ErrorRate, LatencyMs: fault.LatencyMs}
			}
			return out
		},
	}
}

// shortPath returns a path relative to the current directory if it is below it; otherwise it returns the path
// unchanged.
func shortPath(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(here, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return "./" + rel
}

func (u *up) banner(a *App, console string, took time.Duration) {
	w := u.o.Out
	proxyAddr := "(no listener yet: publish a configuration with `smartlb config apply FILE`)"
	if open := a.data.proxy.Listeners(); len(open) > 0 {
		proxyAddr = "http://" + dialable(open[0].Addr)
	}
	brokers := strings.Join(u.o.Document.Kafka.Brokers, ",")
	note := u.o.KafkaNote
	if !u.o.KafkaGiven {
		note = "embedded: single node, no replication, page-cache durability; no ZooKeeper and no Connect"
	}
	fmt.Fprintf(w, "\nsmartlb %s is up (%.1f s), node %s, data in %s\n\n", u.o.Version, took.Seconds(), a.Node(), u.o.DataDir)
	fmt.Fprintf(w, "  proxy     %s\n", proxyAddr)
	fmt.Fprintf(w, "  console   %s\n", console)
	fmt.Fprintf(w, "  admin     http://%s   (API, /metrics, /healthz, /readyz)\n", a.Addr("admin"))
	fmt.Fprintf(w, "  kafka     %s   (%s)\n", brokers, note)
	if !u.o.WithDemo {
		fmt.Fprintf(w, "\nCtrl-C stops it.\n\n")
		return
	}
	for _, g := range u.fleet {
		first, last := g.Instances[0], g.Instances[len(g.Instances)-1]
		_, port, _ := net.SplitHostPort(last.Addr)
		fmt.Fprintf(w, "  %-9s %s-1..%d behind %s on %s-%s\n", "demo", g.Service, len(g.Instances), g.Prefix, first.Addr, port)
	}
	elsewhere := ""
	if admin := a.Addr("admin"); admin != config.DefaultAdmin {
		elsewhere = "\n  export SMARTLB_ADMIN_ADDRESS=" + admin
	}
	fmt.Fprintf(w, `
Try, in another terminal:%[5]s
  curl -i %[1]s/users/1
  curl -si -H 'X-Smartlb-Explain: 1' %[1]s/users/1 | grep -i x-smartlb-decision
  %[2]s demo break user-service-3 --error-rate 1 --latency 1ms
  %[2]s explain user-service-3
  %[2]s demo heal user-service-3
  kcat -b %[3]s -t service-metrics -C -o -5 -e
and look at %[4]s. Ctrl-C stops everything.

`, proxyAddr, shortPath(u.o.Program), brokers, console, elsewhere)
}
