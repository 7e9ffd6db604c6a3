package children

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/app"
	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/demo"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// claimLog makes the demo's configuration the current configuration. If the log is empty, the node seeds it. If the log
// holds the configuration of an older demo, claimLog replaces it. It refuses any other configuration, because the demo
// would take over routes that are not its own.
func (p *processes) claimLog(ctx context.Context) error {
	cfg := kafka.Default()
	cfg.Brokers, cfg.Security = p.o.Node.Document.Kafka.Brokers, p.o.Node.Document.Kafka.Security()
	var err error
	if cfg.Signing, err = p.o.Node.Document.Signing.Ring(os.Getenv, os.ReadFile); err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	if p.o.KafkaGiven { // missing topics and an unavailable broker are no error here
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
	state, err := configlog.Load(ask, cfg, p.o.Node.Log)
	switch {
	case err != nil:
		return err
	case state.Document == "" || state.Document == string(p.o.Node.Traffic):
		return nil
	case !demo.IsTraffic([]byte(state.Document)):
		return fmt.Errorf("config-updates at %s holds revision %s, which does not belong to the demo; run without --demo, or use another Kafka for the demo",
			strings.Join(cfg.Brokers, ","), state.Revision)
	}
	_, err = configlog.Publish(ask, cfg, configlog.Change{Document: p.o.Node.Traffic, Base: state.Revision, Author: "demo", Comment: "demo: addresses changed"}, p.o.Node.Log)
	return err
}

func (p *processes) startInstances(ctx context.Context) error {
	p.fleet = demo.Fleet(p.o.DemoOffset)
	var errs []error
	for _, g := range p.fleet {
		for _, in := range g.Instances {
			errs = append(errs, free(in.Addr, "--demo-ports"))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	defer p.awaitInstances(ctx)
	for _, g := range p.fleet {
		for _, in := range g.Instances {
			p.spawn(ctx, in.ID, "demo", "service", "--service", in.Service, "--instance", in.ID, "--listen", in.Addr,
				"--latency", in.Latency.String(), "--workers", fmt.Sprint(in.Workers), "--brokers", strings.Join(p.o.Node.Document.Kafka.Brokers, ","), "--with-parent")
		}
	}
	return nil
}

// awaitInstances waits until every instance listens, so that the first probes pass. After 5 s it continues and leaves
// the remaining instances to the probes.
func (p *processes) awaitInstances(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var d net.Dialer
	for _, g := range p.fleet {
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

// load is the demo's load. Its scale can change.
type load struct {
	mu    sync.Mutex
	start func(scale float64) context.CancelFunc // nil until there is a proxy to send it to
	stop  context.CancelFunc                     // stops the current load
	scale float64
}

func (p *processes) startLoad(ctx context.Context, a *app.App) {
	target := "http://" + dialable(a.ProxyAddrs()[0]) // the demo's configuration has one listener
	p.load.mu.Lock()
	defer p.load.mu.Unlock()
	p.load.start = func(scale float64) context.CancelFunc {
		ctx, cancel := context.WithCancel(ctx)
		p.spawn(ctx, "load", "demo", "load", "--target", target, "--scale", fmt.Sprint(scale), "--with-parent")
		return cancel
	}
	p.load.set(p.o.DemoRate)
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

func (p *processes) setLoad(_ context.Context, scale float64) error {
	p.load.mu.Lock()
	defer p.load.mu.Unlock()
	if p.load.start == nil {
		return problem.Errorf(problem.Unavailable, "the proxy is not up yet")
	}
	p.load.set(scale)
	return nil
}

func (p *processes) loadState() api.DemoLoad {
	p.load.mu.Lock()
	defer p.load.mu.Unlock()
	return api.DemoLoad{Scale: p.load.scale, Rate: p.load.scale * demo.RateOf(p.fleet)}
}

func demoSwitches(f *demo.Faults) app.Demo {
	return app.Demo{
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
