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

// ownBroker reports whether the cluster is the embedded broker of this program, in this process or in a child process.
func (a *App) ownBroker() bool { return a.broker != nil || a.o.OwnBroker }

// local returns the addresses of ZooKeeper and Connect, if the cluster runs on this machine: the addresses of the last
// started stack, or the default addresses. For a cluster on another machine it returns no addresses.
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
		at.Zookeeper, started = "", false // the embedded broker has no ZooKeeper, and the stack belongs to another cluster
	}
	return browse.Local{Addresses: at, Started: started}
}

// javaAge is how long the result of a Java check is valid: each check starts a Java process.
const javaAge = 10 * time.Minute

// question returns a function that describes the checks of the health page. It omits the web UI, because the user
// already has it open.
func (a *App) question() func() doctor.Question {
	java := javaOnce{}
	return func() doctor.Question {
		cfg := a.kafka
		cfg.RequestTimeout, cfg.DialTimeout = 5*time.Second, 3*time.Second // a user waits for the page
		q := doctor.Question{Kafka: cfg, Origin: "configuration", Catalog: a.catalog}
		at := a.local()
		q.ZooKeeper, q.Connect = at.Zookeeper, at.Connect
		if a.ownBroker() {
			q.StateDir = a.o.DataDir // the broker needs this disk
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

// javaOnce caches the result of the Java check.
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

// worker returns the address of the cluster's Connect worker. It searches as the command line does; empty: no address
// is known.
func (a *App) worker() string {
	return cmp.Or(os.Getenv("SMARTLB_CONNECT"), os.Getenv("CONNECT_URL"), a.local().Connect)
}

// Timeouts of the browser's own client for a broker that hangs. The context of a call does not interrupt such a
// request, and a user waits for the page.
const (
	lookRequest = 4 * time.Second
	lookDial    = 2 * time.Second
)

// newBrowser creates the console's access to Kafka and its client.
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

// browse collects measurements for the console until ctx ends. Then it closes the client, which unblocks calls that
// wait for a broker that hangs.
func (a *App) browse(ctx context.Context) error {
	defer context.AfterFunc(ctx, a.browseAdmin.Close)()
	return a.browser.Run(ctx)
}
