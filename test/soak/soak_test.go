package soak

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/test/program"
)

var (
	length = flag.Duration("for", 2*time.Minute, "how long the soak runs; from 10m on with the intervals and the load of a real soak")
	share  = flag.Float64("share", .5, "load, as a share of the requests per second that the machine handles at the start")
)

var smartlb string // path of the program under test

func TestMain(m *testing.M) {
	if ledger := os.Getenv(posts); ledger != "" {
		if err := serveInstance(os.Args[1], ledger); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	program.Main(m, &smartlb)
}

// maxWait ends a broken test.
const maxWait = 3 * time.Minute

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(maxWait); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within %s: %s", maxWait, what)
}

// plan says how often something happens, and with which load.
type plan struct {
	reload, kill, upgrade time.Duration // intervals
	down                  time.Duration // time of a killed instance until it starts again
	sample                time.Duration // interval between measurements of memory
	atMost                float64       // requests per second; 0: no limit
	inFlight              int           // limit of requests in flight on each node. What is due above it is not sent but counted
}

// planFor returns the plan of a soak. A short soak shares the machine with other tests. When they stop it for a moment,
// all requests in flight may be on the instance that is killed. So few of them are always within the retry budget.
func planFor(length time.Duration) plan {
	if length < 10*time.Minute {
		return plan{reload: 2 * time.Second, kill: 10 * time.Second, upgrade: 30 * time.Second, down: 2 * time.Second, sample: 2 * time.Second, atMost: 100, inFlight: alwaysRetried}
	}
	return plan{reload: 10 * time.Second, kill: 30 * time.Second, upgrade: 5 * time.Minute, down: 10 * time.Second, sample: 10 * time.Second, inFlight: 32}
}

// alwaysRetried is the number of retries that the budget permits at any load, see guard.DefaultBudget.
const alwaysRetried = 3

// What a process may use more after a soak than before.
const (
	moreDescriptors = 10
	moreGoroutines  = 16
	moreMemory      = 16 << 10 // KiB, in addition to a quarter: the heap of a Go program varies between two collections
)

func TestASoakLosesNothingAndGrowsNothing(t *testing.T) {
	p := planFor(*length)
	dir, ca, ledger := t.TempDir(), certtest.New(t, "soak"), newLedger(t)
	broker := run(t, dir, "--roles", "broker", "--data", filepath.Join(dir, "data"), "--broker-listen", "127.0.0.1:0", "--broker-internal", "")
	var instances []*child
	for i := range 4 {
		instances = append(instances, newChild(t, fmt.Sprintf("i%d", i+1), ledger))
	}
	steady := newNode(t, "steady", broker.Address("broker"), ca, instances)
	replaced := newNode(t, "replaced", broker.Address("broker"), ca, instances)
	nodes := []*node{steady, replaced}
	l := &load{clients: append(clientsOf(steady, ca, p.inFlight), clientsOf(replaced, ca, p.inFlight)...), posted: map[uint64]bool{}}
	for _, n := range nodes {
		for _, c := range instances {
			eventually(t, c.id+" is in rotation", func() bool { return n.state(t, c.id) == "in" })
		}
	}

	l.capacity(t, 5*time.Second) // first connections, first code paths
	capacity := l.capacity(t, 10*time.Second)
	rate := capacity * *share
	if p.atMost > 0 {
		rate = min(rate, p.atMost)
	}
	l.closeIdle()
	before := rest(t, nodes)

	began, sentBefore := time.Now(), l.ok.Load()
	l.times = nil
	ctx, stop := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	sending.Go(func() { l.run(ctx, rate) })
	kills := disturb(t, p, began, nodes, replaced, instances)
	stop()
	sending.Wait()
	took := time.Since(began)
	l.closeIdle()

	unexplained, excused := l.judge(kills)
	for i, err := range unexplained {
		if i < 20 {
			t.Error(err)
		}
	}
	if len(unexplained) > 0 {
		t.Errorf("%d requests failed without a reason", len(unexplained))
	}
	allowed := 5 * len(kills) // half of what fails without retries: an instance is ejected after 5 failures on each of two nodes
	if p.inFlight <= alwaysRetried {
		allowed = 0
	}
	if n := excused[aboveBudget]; n > allowed {
		t.Errorf("%d requests were not repeated after %d kills, at most %d may be above the retry budget", n, len(kills), allowed)
	}
	got, twice := received(t, ledger), 0
	for _, times := range got {
		if times > 1 {
			twice++
		}
	}
	missing := 0
	for i := range l.posted {
		if got[i] == 0 {
			missing++
		}
	}
	if twice > 0 || missing > 0 {
		t.Errorf("%d POST requests reached an instance twice, %d were answered and reached none", twice, missing)
	}
	t.Logf("%s at %.0f requests/s of %.0f that the machine handles: %d requests answered, %d not sent because too many were in flight", took.Round(time.Second), rate, capacity, l.ok.Load()-sentBefore, l.late.Load())
	t.Logf("%d kills, %d reloads and %d upgrades; failed because of kills: %v; %d POST requests compared with what instances received", len(kills), steady.reloads+replaced.reloads, len(replaced.old), excused, len(l.posted))
	t.Logf("response times: %s", l.latency())
	after := rest(t, nodes)
	for i, n := range nodes {
		n.compare(t, before[i], after[i])
	}
}

// disturb reloads, kills and upgrades until the soak is over. It returns the times of the kills. A kill is left out if an
// instance is not yet in rotation again.
func disturb(t *testing.T, p plan, began time.Time, nodes []*node, replaced *node, instances []*child) (kills []kill) {
	t.Helper()
	reload, killing, upgrade, sample := time.NewTicker(p.reload), time.NewTicker(p.kill), time.NewTicker(p.upgrade), time.NewTicker(p.sample)
	defer reload.Stop()
	defer killing.Stop()
	defer upgrade.Stop()
	defer sample.Stop()
	end := time.After(*length)
	var dead *child
	var restart <-chan time.Time
	complete := func() bool {
		for _, n := range nodes {
			for _, c := range instances {
				if n.state(t, c.id) != "in" {
					return false
				}
			}
		}
		return true
	}
	for {
		select {
		case <-end:
			if dead != nil {
				dead.start(t)
			}
			eventually(t, "all instances are in rotation", complete)
			return kills
		case <-reload.C:
			for _, n := range nodes {
				n.reload(t)
			}
		case <-sample.C:
			for _, n := range nodes {
				n.samples = append(n.samples, n.use(t))
			}
		case <-killing.C:
			if dead != nil || !complete() {
				t.Logf("%s: no kill, an instance is not in rotation yet", time.Since(began).Round(time.Second))
				continue
			}
			dead = instances[len(kills)%len(instances)]
			k := kill{from: time.Now()}
			dead.kill()
			k.dead = time.Now()
			for _, n := range nodes {
				eventually(t, dead.id+" is out of rotation", func() bool { return n.state(t, dead.id) != "in" })
			}
			k.out = time.Now()
			kills = append(kills, k)
			restart = time.After(p.down)
		case <-restart:
			dead.start(t)
			dead, restart = nil, nil
		case <-upgrade.C:
			replaced.upgrade(t)
		}
	}
}

// compare compares what a node uses after the soak with what it used before, and its log with what is expected.
func (n *node) compare(t *testing.T, before, after usage) {
	t.Helper()
	if after.descriptors > before.descriptors+moreDescriptors || after.goroutines > before.goroutines+moreGoroutines {
		t.Errorf("%s, at rest: %s before, %s after", n.name, before, after)
	}
	for _, pid := range n.old {
		eventually(t, "the processes before the upgrades have ended", func() bool { return ended(pid) })
	}
	third := len(n.samples) / 3
	early, late := median(n.samples[:third]), median(n.samples[len(n.samples)-third:])
	if late > early+early/4+moreMemory {
		t.Errorf("%s: the memory grew from %d KiB to %d KiB", n.name, early, late)
	}
	t.Logf("%s, at rest: before %s; after %s", n.name, before, after)
	t.Logf("%s, under load: %.1f MiB resident in the first third, %.1f MiB in the last", n.name, float64(early)/1024, float64(late)/1024)
	if errs := n.messages("ERROR"); len(errs) > 0 {
		t.Errorf("%s logged errors: %v", n.name, errs)
	}
	t.Logf("%s, warnings: %v", n.name, n.messages("WARN"))
}
