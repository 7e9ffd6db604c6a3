package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Topics of the load, with their partitions. Deletions happen in one of them.
var topics = map[string]int32{"many": 3, "large": 1, "deleted": 1, "transactions": 2}

// load is everything that uses the broker.
type load struct {
	t      *testing.T
	addr   string
	book   *ledger
	seed   uint64
	acks   atomic.Int64
	round  atomic.Int64 // groups that were made
	wg     sync.WaitGroup
	cancel context.CancelFunc
}

func (l *load) client(opts ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(l.addr), kgo.DisableClientMetrics(), kgo.MetadataMinAge(20 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ConsiderMissingTopicDeletedAfter(time.Minute),
	}, opts...)...)
	if err != nil {
		l.t.Fatal(err)
	}
	return cl
}

// begin starts the load; end ends it.
func (l *load) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	for n, kind := range []struct {
		topic string
		size  int
		pause time.Duration
		opts  []kgo.Opt
	}{
		{"many", 120, 2 * time.Millisecond, nil},
		{"many", 90, 3 * time.Millisecond, []kgo.Opt{kgo.ProducerLinger(5 * time.Millisecond)}},
		{"many", 60, 3 * time.Millisecond, []kgo.Opt{kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1)}},
		{"large", 100_000, 60 * time.Millisecond, []kgo.Opt{kgo.ProducerBatchCompression(kgo.NoCompression())}},
		{"deleted", 200, 3 * time.Millisecond, nil},
	} {
		l.wg.Go(func() { l.produce(ctx, fmt.Sprintf("writer-%d", n), kind.topic, kind.size, kind.pause, kind.opts...) })
	}
	l.wg.Go(func() { l.commit(ctx) })
	l.wg.Go(func() { l.delete(ctx) })
	l.wg.Go(func() { l.groups(ctx) })
	l.wg.Go(func() { l.transact(ctx) })
}

// didAll says whether each part of the load has had its way at least once.
func (l *load) didAll() bool {
	l.book.mu.Lock()
	defer l.book.mu.Unlock()
	for _, how := range l.book.transactions {
		if how == committed {
			return l.acks.Load() > 0 && len(l.book.commits) > 0 && len(l.book.starts) > 0 && len(l.book.deleted) > 0
		}
	}
	return false
}

func (l *load) end() { l.cancel(); l.wg.Wait() }

// produce writes numbered records, a burst at a time.
func (l *load) produce(ctx context.Context, writer, topic string, size int, pause time.Duration, opts ...kgo.Opt) {
	cl := l.client(opts...)
	defer cl.Close()
	rng := rand.New(rand.NewPCG(l.seed, uint64(len(writer))+uint64(writer[len(writer)-1])))
	for seq := 0; ctx.Err() == nil; {
		for range 1 + rng.IntN(4) {
			id := identity{writer, seq}
			r := &kgo.Record{Topic: topic, Partition: rng.Int32N(topics[topic]), Value: valueOf(id, size)}
			cl.Produce(ctx, r, func(r *kgo.Record, err error) {
				if err != nil {
					return // nothing was promised
				}
				l.acks.Add(1)
				if err := l.book.ack(place{r.Topic, r.Partition, r.Offset}, id); err != nil {
					l.t.Error(err)
				}
			})
			seq++
		}
		sleep(ctx, pause)
	}
}

// commit commits growing offsets of a group that has no members.
func (l *load) commit(ctx context.Context) {
	cl := l.client()
	defer cl.Close()
	adm := kadm.NewClient(cl)
	at := place{topic: "many"}
	for n := int64(1); ctx.Err() == nil; n++ {
		l.book.set(l.book.tried, at, n)
		ask, done := context.WithTimeout(ctx, 10*time.Second)
		resp, err := adm.CommitOffsets(ask, "crash-group", kadm.Offsets{"many": {0: {Topic: "many", At: n, LeaderEpoch: -1}}})
		done()
		if err == nil && resp.Error() == nil {
			l.book.set(l.book.commits, at, n)
		}
		sleep(ctx, 5*time.Millisecond)
	}
}

// delete moves the beginning of a log.
func (l *load) delete(ctx context.Context) {
	cl := l.client()
	defer cl.Close()
	adm := kadm.NewClient(cl)
	at := place{topic: "deleted"}
	for ctx.Err() == nil {
		sleep(ctx, 40*time.Millisecond)
		to := l.book.ends()[at] - 20
		if to <= l.book.get(l.book.asked, at) {
			continue
		}
		l.book.set(l.book.asked, at, to)
		ask, done := context.WithTimeout(ctx, 10*time.Second)
		resp, err := adm.DeleteRecords(ask, kadm.Offsets{"deleted": {0: {Topic: "deleted", At: to, LeaderEpoch: -1}}})
		done()
		if err == nil && resp.Error() == nil {
			l.book.set(l.book.starts, at, to)
		}
	}
}

// groups makes groups, each with a commit, and deletes them.
func (l *load) groups(ctx context.Context) {
	cl := l.client()
	defer cl.Close()
	adm := kadm.NewClient(cl)
	for ctx.Err() == nil {
		name := fmt.Sprintf("short-%d", l.round.Add(1))
		ask, done := context.WithTimeout(ctx, 10*time.Second)
		resp, err := adm.CommitOffsets(ask, name, kadm.Offsets{"many": {0: {Topic: "many", At: 1, LeaderEpoch: -1}}})
		if err == nil && resp.Error() == nil {
			if gone, err := adm.DeleteGroups(ask, name); err == nil && gone.Error() == nil {
				l.book.group(name)
			}
		}
		done()
		sleep(ctx, 50*time.Millisecond)
	}
}

// transact commits and aborts transactions of a few records over two
// partitions.
func (l *load) transact(ctx context.Context) {
	rng := rand.New(rand.NewPCG(l.seed, 77))
	var cl *kgo.Client
	defer func() {
		if cl != nil {
			cl.Close()
		}
	}()
	for n := 0; ctx.Err() == nil; n++ {
		if cl == nil {
			cl = l.client(kgo.TransactionalID("crash"), kgo.TransactionTimeout(30*time.Second), kgo.RequiredAcks(kgo.AllISRAcks()))
		}
		writer, size := fmt.Sprintf("transaction-%d", n), 2+rng.IntN(4)
		l.book.transaction(writer, unknown, size)
		how, ok := l.one(ctx, cl, writer, size, rng.IntN(4) > 0)
		l.book.transaction(writer, how, size)
		if !ok { // fenced or worse: as a program would, begin with a new client
			cl.Close()
			cl = nil
		}
		sleep(ctx, 10*time.Millisecond)
	}
}

// one runs one transaction.
func (l *load) one(ctx context.Context, cl *kgo.Client, writer string, size int, commit bool) (outcome, bool) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if cl.BeginTransaction() != nil {
		return unknown, false
	}
	for seq := range size {
		cl.Produce(ctx, &kgo.Record{Topic: "transactions", Partition: int32(seq % 2), Value: valueOf(identity{writer, seq}, 100)}, nil)
	}
	if err := cl.Flush(ctx); err != nil {
		commit = false
	}
	if err := cl.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		return unknown, false
	}
	if commit {
		return committed, true
	}
	return aborted, true
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
