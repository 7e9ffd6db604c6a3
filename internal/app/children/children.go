package children

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

	"github.com/smartlb/smartlb/internal/app"
	"github.com/smartlb/smartlb/internal/demo"
	"github.com/smartlb/smartlb/internal/stack/child"
	"github.com/smartlb/smartlb/internal/stack/holder"
)

// Options are the settings of `smartlb up` in addition to those of its own node.
type Options struct {
	Node         app.Options
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

// Run runs proxy and analyzer in this process. It runs the console, the broker, the demo instances and the load as child
// processes. It returns when ctx has ended and everything has stopped.
func Run(ctx context.Context, o Options) error {
	began := time.Now()
	p := &processes{o: o, logs: filepath.Join(o.Node.DataDir, "logs")}
	childCtx, cancel := context.WithCancel(context.Background())
	// The children stop after our own actors, so that the last reports and audit records reach the broker.
	defer p.running.Wait()
	defer cancel()
	if err := p.startBroker(ctx, childCtx); err != nil {
		return err
	}
	if o.WithDemo {
		if err := p.claimLog(ctx); err != nil {
			return err
		}
		if err := p.startInstances(childCtx); err != nil {
			return err
		}
		faults := demo.NewFaults(p.fleet)
		p.o.Node.FileName = "demo"
		p.o.Node.Demo = demoSwitches(faults)
		p.o.Node.Demo.Load, p.o.Node.Demo.SetLoad = p.loadState, p.setLoad
	}
	a, err := app.New(p.o.Node)
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
	console, err := p.startConsole(ctx, childCtx)
	if ctx.Err() != nil {
		return <-done
	}
	if err != nil {
		return stop(err)
	}
	a.ShowConsole(console)
	if o.WithDemo {
		p.startLoad(childCtx, a)
	}
	p.banner(a, console, time.Since(began))
	quiet := context.AfterFunc(ctx, func() { fmt.Fprintln(o.Out, "\nstopping; press Ctrl-C again to stop immediately") })
	defer quiet()
	return <-done
}

// processes are the children of a node. They use the settings in o, which the start of the broker and of the demo
// completes.
type processes struct {
	o       Options
	logs    string
	fleet   []demo.Group
	running sync.WaitGroup
	load    load
}

func (p *processes) spawn(ctx context.Context, name string, args ...string) *child.Child {
	env := []string{"GOMEMLIMIT=64MiB", "GOGC=50"} // limits, because there are many small processes
	if name != "broker" {
		// For a process that handles one request at a time, a second thread has no benefit and costs time: each request
		// would wake and park it.
		env = append(env, "GOMAXPROCS=1")
	}
	return p.spawnWith(ctx, name, env, args...)
}

func (p *processes) spawnWith(ctx context.Context, name string, env []string, args ...string) *child.Child {
	c := child.New(child.Spec{Name: name, Program: p.o.Program, Args: args, Log: filepath.Join(p.logs, name+".log"), Env: env}, p.o.Node.Log)
	p.running.Go(func() { _ = c.Run(ctx) })
	return c
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
		return holder.PortError(err, flag)
	}
	return l.Close()
}
