package crash

import (
	"context"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

var (
	kills = flag.Int("kills", 50, "how often the broker is killed")
	seed  = flag.Uint64("seed", 1, "of the moments and of the load")
)

// TestNothingAcknowledgedIsLostOverKills kills the broker at random moments and
// compares what it has with what it had promised.
func TestNothingAcknowledgedIsLostOverKills(t *testing.T) {
	v := newVictim(t)
	v.start()
	book := newLedger()
	l := &load{t: t, addr: v.addr, book: book, seed: *seed}
	create(t, l)
	l.begin()
	c := newChecker(l)
	rng := rand.New(rand.NewPCG(*seed, 1))
	began := time.Now()
	var down time.Duration
	for kill := 1; kill <= *kills && !t.Failed(); kill++ {
		time.Sleep(time.Duration(20+rng.IntN(280)) * time.Millisecond)
		v.kill()
		at := time.Now()
		v.start()
		down += time.Since(at)
		if err := c.check(kill%100 == 50); err != nil {
			t.Errorf("after kill %d (seed %d): %v", kill, *seed, err)
		}
	}
	for until := time.Now().Add(2 * time.Minute); !l.didAll() && !t.Failed() && time.Now().Before(until); { // a slow machine is killed before it comes to much
		time.Sleep(20 * time.Millisecond)
	}
	l.end()
	if !t.Failed() {
		v.stop() // a clean stop at last, and all of it again
		v.start()
		if err := c.check(true); err != nil {
			t.Errorf("after a clean stop: %v", err)
		}
		if err := c.transactions(); err != nil {
			t.Errorf("transactions: %v", err)
		}
	}
	ended := map[outcome]int{}
	for _, how := range book.transactions {
		ended[how]++
	}
	t.Logf("%d kills in %v, %v from kill to a listening socket on average; %d records acknowledged, %d read; commits up to %d; log start moved to %d; transactions: %d committed, %d aborted, %d unknown",
		*kills, time.Since(began).Round(time.Second), (down / time.Duration(max(1, *kills))).Round(time.Millisecond), l.acks.Load(), len(c.seen),
		book.commits[place{topic: "many"}], book.starts[place{topic: "deleted"}], ended[committed], ended[aborted], ended[unknown])
	if l.acks.Load() == 0 || ended[committed] == 0 || len(book.commits) == 0 || len(book.starts) == 0 {
		t.Error("the load did nothing, so nothing was checked")
	}
}

// create makes the topics, with segments so small that many are rolled.
func create(t *testing.T, l *load) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cl := l.client()
	defer cl.Close()
	size, keep := "262144", "20000000" // retention goes on as well, and the disk stays small
	for name, parts := range topics {
		configs := map[string]*string{"segment.bytes": &size}
		if name == "large" {
			configs["retention.bytes"] = &keep
		}
		resp, err := kadm.NewClient(cl).CreateTopic(ctx, parts, 1, configs, name)
		if err == nil {
			err = resp.Err
		}
		if err != nil {
			t.Fatalf("create %s: %v", name, err)
		}
	}
}
