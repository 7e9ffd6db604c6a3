package audit

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

type sender struct {
	mu   sync.Mutex
	down bool
	got  []event.AuditLog
	more chan struct{}
}

func (s *sender) SendSync(_ context.Context, r kafka.Record) (kafka.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return r, errors.New("no broker")
	}
	a, err := event.DecodeAuditLog(r.Value)
	if err != nil {
		return r, err
	}
	s.got = append(s.got, a)
	s.more <- struct{}{}
	return r, nil
}

func run(l *Log) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return func() error { cancel(); return <-done }
}

func TestRecordsSurviveARestartWithoutKafka(t *testing.T) {
	dir := t.TempDir()
	s := &sender{down: true, more: make(chan struct{}, 100)}
	l, err := New("n1", dir, s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	stop := run(l)
	for _, action := range []string{"start.node", "drain.instance", "stop.node"} {
		l.Record(event.AuditLog{Actor: event.Actor{Type: "system"}, Action: action})
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	s.down = false
	l, err = New("n1", dir, s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	stop = run(l)
	for range 3 {
		select {
		case <-s.more:
		case <-time.After(2 * time.Minute):
			t.Fatal("spooled records were not delivered")
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"start.node", "drain.instance", "stop.node"} {
		if s.got[i].Action != want || (i > 0 && s.got[i].Seq <= s.got[i-1].Seq) {
			t.Errorf("record %d: %s seq %d", i, s.got[i].Action, s.got[i].Seq)
		}
	}
}

// A process that takes over a node was created before the process that it follows has written its last records.
func TestResumeContinuesTheChainOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	s := &sender{down: true, more: make(chan struct{}, 100)}
	open := func() *Log {
		t.Helper()
		l, err := New("n1", dir, s, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	before, next := open(), open()
	next.Record(event.AuditLog{Actor: event.Actor{Type: "system"}, Action: "start.node"})
	stop := run(before)
	before.Record(event.AuditLog{Actor: event.Actor{Type: "system"}, Action: "upgrade.node"})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	s.down = false
	if err := next.Resume(); err != nil {
		t.Fatal(err)
	}
	stop = run(next)
	for range 2 {
		select {
		case <-s.more:
		case <-time.After(2 * time.Minute):
			t.Fatal("the records were not delivered")
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if s.got[0].Action != "upgrade.node" || s.got[1].Action != "start.node" || s.got[1].Seq != s.got[0].Seq+1 || s.got[1].Prev != hashOf(s.got[0].AppendJSON(nil)) {
		t.Errorf("the chain is broken: %+v", s.got)
	}
}

func TestADamagedSpoolLosesItsDamagedRecordsOnly(t *testing.T) {
	dir := t.TempDir()
	s := &sender{down: true, more: make(chan struct{}, 100)}
	l, err := New("n1", dir, s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	stop := run(l)
	l.Record(event.AuditLog{Actor: event.Actor{Type: "system"}, Action: "start.node"})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(l.path())
	if err != nil {
		t.Fatal(err)
	}
	damaged := append(bytes.Repeat([]byte{0}, 11<<20), '\n')
	damaged = append(append(damaged, "{\"half\":\n"...), good...)
	if err := os.WriteFile(l.path(), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	s.down = false
	l, err = New("n1", dir, s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	stop = run(l)
	<-s.more
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if len(s.got) != 1 || s.got[0].Action != "start.node" || l.Dropped() != 2 {
		t.Errorf("%d records delivered, %d dropped", len(s.got), l.Dropped())
	}
}

type senderFunc func(value []byte) error

func (f senderFunc) SendSync(_ context.Context, r kafka.Record) (kafka.Record, error) {
	return r, f(r.Value)
}

// At the end all that waits is on disk before the first of it is sent: a process
// that is killed then loses none and begins no other chain.
func TestTheLastRecordsAreOnDiskBeforeTheyAreSent(t *testing.T) {
	const records = 300
	var l *Log
	var saved int
	l, err := New("n1", t.TempDir(), senderFunc(func([]byte) error {
		b, err := os.ReadFile(l.path())
		if err != nil {
			t.Error(err)
		}
		saved = bytes.Count(b, []byte("\n"))
		return errors.New("no broker")
	}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for range records {
		l.Record(event.AuditLog{Actor: event.Actor{Type: "system"}, Action: "drain.instance"})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Run(ended); err != nil {
		t.Fatal(err)
	}
	if saved != records {
		t.Errorf("%d of %d were on disk", saved, records)
	}
	killed, err := New("n1", l.dir, nil, slog.New(slog.DiscardHandler))
	if err != nil || len(killed.waiting) != records || killed.chain.seq != l.chain.seq || killed.chain.hash != l.chain.hash {
		t.Errorf("%d wait, %+v, %v; want %d and %+v", len(killed.waiting), killed.chain, err, records, l.chain)
	}
}

// hanging takes nothing and answers nothing, as a broker that was stopped.
type hanging struct{ asked chan struct{} }

func (h hanging) SendSync(ctx context.Context, r kafka.Record) (kafka.Record, error) {
	h.asked <- struct{}{}
	<-ctx.Done()
	return r, ctx.Err()
}

// Kafka hung, an operator drained four instances, and the node was killed: one of
// the drains was in audit-logs. The others had waited in memory.
func TestRecordsSurviveAKillWhileKafkaHangs(t *testing.T) {
	dir, h := t.TempDir(), hanging{asked: make(chan struct{}, 1)}
	l, err := New("n1", dir, h, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	stop := run(l)
	defer func() { _ = stop() }()
	instances := []string{"a", "b", "c", "d"}
	for _, instance := range instances {
		l.Record(event.AuditLog{Actor: event.Actor{Type: "user", ID: "ann"}, Action: "drain.instance", Target: event.Target{Kind: "instance", ID: instance}})
		if instance == "a" {
			<-h.asked
		}
	}
	killed := t.TempDir()
	for limit := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if b, err := os.ReadFile(l.path()); err == nil && bytes.Count(b, []byte("\n")) == len(instances) {
			break
		}
		if time.Now().After(limit) {
			t.Fatal("the records are not on disk")
		}
	}
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}

	s := &sender{more: make(chan struct{}, 100)}
	again, err := New("n1", killed, s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	stopAgain := run(again)
	again.Record(event.AuditLog{Actor: event.Actor{Type: "system"}, Action: "start.node"})
	for range len(instances) + 1 {
		<-s.more
	}
	if err := stopAgain(); err != nil {
		t.Fatal(err)
	}
	for i, a := range s.got {
		if i < len(instances) && a.Target.ID != instances[i] || i > 0 && a.Seq != s.got[i-1].Seq+1 {
			t.Errorf("record %d: %s %s, number %d", i, a.Action, a.Target.ID, a.Seq)
		}
	}
	if _, err := os.Stat(again.path()); !os.IsNotExist(err) {
		t.Errorf("what was delivered is still in the spool: %v", err)
	}
}
