package ratelimit

import (
	"sync"
	"sync/atomic"
	"testing"
)

// take counts how many of n requests pass at one moment.
func passed(tb *table, key uint64, now, cost, depth int64, n int) (ok int) {
	for range n {
		if tb.take(key, now, cost, depth) == 0 {
			ok++
		}
	}
	return ok
}

func TestKeysHaveBucketsOfTheirOwn(t *testing.T) {
	tb := newTable(ways) // one set
	for key := uint64(1); key <= ways; key++ {
		if ok := passed(tb, key, 1000, 10, 30, 5); ok != 3 {
			t.Errorf("key %d: %d of 5 requests passed, want 3", key, ok)
		}
	}
	if n := tb.live(1000); n != ways {
		t.Errorf("%d keys are live, want %d", n, ways)
	}
	if n := tb.evicted.Load(); n != 0 {
		t.Errorf("%d were evicted", n)
	}
}

// A new key takes the place of a full bucket, which loses nothing, and otherwise that of the bucket that is full the earliest.
func TestIdleKeysAreForgottenFirst(t *testing.T) {
	tb := newTable(ways)
	for key := uint64(1); key <= ways; key++ {
		passed(tb, key, 1000, 10, 1000, int(key)) // full again at 1000+10*key
	}
	passed(tb, 100, 1010, 10, 1000, 50) // key 1 is full now
	if n := tb.evicted.Load(); n != 0 {
		t.Errorf("%d live buckets were evicted while one was idle", n)
	}
	passed(tb, 101, 1010, 10, 1000, 50) // no bucket is full: key 2 has to go
	if n := tb.evicted.Load(); n != 1 {
		t.Errorf("%d live buckets were evicted, want 1", n)
	}
	s := &tb.sets[0]
	for key, want := range map[uint64]bool{1: false, 2: false, 3: true, ways: true, 100: true, 101: true} {
		if _, known := s.place(key); known != want {
			t.Errorf("key %d: known %v, want %v", key, known, want)
		}
	}
	tb.giveBack(2, 10) // forgotten in the meantime
	if _, known := s.place(2); known {
		t.Error("a token that is given back makes a bucket")
	}
}

// Requests that run at the same time take no token twice.
func TestConcurrentRequestsShareABucket(t *testing.T) {
	tb := newTable(1000)
	var ok atomic.Int64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				if tb.take(42, 1000, 10, 5000) == 0 {
					ok.Add(1)
				}
				tb.take(uint64(g*2000+i+1)<<40, 1000, 10, 5000)
			}
		})
	}
	wg.Wait()
	if ok.Load() != 500 {
		t.Errorf("%d requests passed, want 500", ok.Load())
	}
}
