package app

import (
	"cmp"
	"context"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/stack"
	"github.com/smartlb/smartlb/internal/stack/distribution"
	"github.com/smartlb/smartlb/internal/stack/doctor"
)

// ownBroker tells whether the cluster is the embedded broker of this program,
// in this process or as its child.
func (a *App) ownBroker() bool { return a.broker != nil || a.o.OwnBroker }

// local tells where ZooKeeper and Connect of this cluster are on this machine:
// where a stack was started, or where they usually are. Nothing is known of
// what stands beside a cluster elsewhere.
func (a *App) local() browse.Local {
	dir, err := stack.Dir(os.Getenv)
	if err != nil {
		dir = ""
	}
	last, started, _ := stack.Recall(dir)
	ours := func(broker string) bool { return started && broker == last.Addresses.Kafka || access.Loopback(broker) }
	if !slices.ContainsFunc(a.kafka.Brokers, ours) {
		return browse.Local{}
	}
	at := stack.Here(dir, stack.Addresses{Zookeeper: cmp.Or(os.Getenv("ZOOKEEPER_HOST"), "127.0.0.1:2181"), Connect: "127.0.0.1:8084"})
	if a.ownBroker() {
		at.Zookeeper, started = "", false // it has none, and the stack is somebody else's
	}
	return browse.Local{Addresses: at, Started: started}
}

// javaAge is for how long the Java of a machine is taken to stay what it is:
// asking it starts one.
const javaAge = 10 * time.Minute

// question returns what the health page looks at. The web UI is left out: who
// reads the page has it.
func (a *App) question() func() doctor.Question {
	java := javaOnce{}
	return func() doctor.Question {
		cfg := a.kafka
		cfg.RequestTimeout, cfg.DialTimeout = 5*time.Second, 3*time.Second // somebody waits
		q := doctor.Question{Kafka: cfg, Origin: "configuration", Catalog: a.catalog}
		at := a.local()
		q.ZooKeeper, q.Connect = at.Zookeeper, at.Connect
		if a.ownBroker() {
			q.StateDir = a.o.DataDir // whose disk the broker needs
		}
		if at.Started {
			if dir, err := stack.Dir(os.Getenv); err == nil {
				q.StateDir = dir
			}
			q.Java = java.version
		}
		return q
	}
}

// javaOnce remembers which Java there is.
type javaOnce struct {
	mu      sync.Mutex
	at      time.Time
	found   string
	problem error
}

func (j *javaOnce) version(ctx context.Context) (string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.at.IsZero() || time.Since(j.at) > javaAge {
		java, err := distribution.FindJava(ctx, os.Getenv)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		j.found, j.problem, j.at = java.Version, err, time.Now()
	}
	return j.found, j.problem
}

// worker is the address of the cluster's Connect worker, found as the command
// line finds it; empty where none is known.
func (a *App) worker() string {
	return cmp.Or(os.Getenv("SMARTLB_CONNECT"), os.Getenv("CONNECT_URL"), a.local().Connect)
}

// How long the browser's own client waits for a broker that hangs: the context
// of a call does not interrupt that, and somebody looks at a page meanwhile.
const (
	lookRequest = 4 * time.Second
	lookDial    = 2 * time.Second
)

// newBrowser makes what the console looks at Kafka with, and its client.
func (a *App) newBrowser(cfg browse.Config) (_ *browse.Browser, err error) {
	if a.ownBroker() {
		cfg.Version = a.o.Version
	}
	quick := cfg.Kafka
	quick.RequestTimeout, quick.DialTimeout = lookRequest, lookDial
	if a.browseAdmin, err = kafka.NewAdmin(quick); err != nil {
		return nil, err
	}
	cfg.Admin, cfg.Local, cfg.Question, cfg.Worker = a.browseAdmin, a.local, a.question(), a.worker
	return browse.New(cfg)
}

// browse measures for the console until ctx ends. Closing the client frees
// whoever waits for a broker that hangs.
func (a *App) browse(ctx context.Context) error {
	defer context.AfterFunc(ctx, a.browseAdmin.Close)()
	return a.browser.Run(ctx)
}
