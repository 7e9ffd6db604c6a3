package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// member is a group handler that keeps what happened to it.
type member struct {
	group  *kafka.Group
	start  func(map[kafka.TopicPartition]kafka.Position) map[kafka.TopicPartition]int64
	commit bool

	mu     sync.Mutex
	owned  map[kafka.TopicPartition]kafka.Position
	values []string
	change chan struct{}
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

func (m *member) note(f func()) {
	m.mu.Lock()
	f()
	m.mu.Unlock()
	select {
	case m.change <- struct{}{}:
	default:
	}
}

func (m *member) Assigned(_ context.Context, parts map[kafka.TopicPartition]kafka.Position) (map[kafka.TopicPartition]int64, error) {
	m.note(func() {
		for tp, p := range parts {
			m.owned[tp] = p
		}
	})
	if m.start != nil {
		return m.start(parts), nil
	}
	return nil, nil
}

func (m *member) Revoked(_ context.Context, parts []kafka.TopicPartition, _ bool) {
	m.note(func() {
		for _, tp := range parts {
			delete(m.owned, tp)
		}
	})
}

func (m *member) Batch(ctx context.Context, records []kafka.Record) {
	next := map[kafka.TopicPartition]kafka.Commit{}
	for _, r := range records {
		next[kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}] = kafka.Commit{Offset: r.Offset + 1, Metadata: fmt.Sprintf("rewind=%d", r.Offset)}
	}
	if m.commit {
		if err := m.group.Commit(ctx, next); err != nil && ctx.Err() == nil {
			m.note(func() { m.err = err })
		}
	}
	if len(records) > 0 {
		m.note(func() {
			for _, r := range records {
				m.values = append(m.values, string(r.Value))
			}
		})
	}
}

func join(t *testing.T, cfg kafka.Config, m *member, topics ...string) *member {
	t.Helper()
	g, err := kafka.NewGroup(cfg, kafka.GroupConfig{ID: "g", Topics: topics, Idle: 50 * time.Millisecond}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m.group, m.owned, m.change, m.done = g, map[kafka.TopicPartition]kafka.Position{}, make(chan struct{}, 1), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	m.cancel = cancel
	go func() {
		defer close(m.done)
		if err := g.Run(ctx, m); err != nil {
			m.note(func() { m.err = err })
		}
	}()
	t.Cleanup(m.leave)
	return m
}

func (m *member) leave() { m.cancel(); <-m.done }

func (m *member) await(t *testing.T, what string, ok func(*member) bool) {
	t.Helper()
	deadline := time.NewTimer(90 * time.Second)
	defer deadline.Stop()
	for {
		m.mu.Lock()
		yes, state := ok(m), fmt.Sprintf("owned %v values %q err %v", m.owned, m.values, m.err)
		m.mu.Unlock()
		if yes {
			return
		}
		select {
		case <-m.change:
		case <-deadline.C:
			t.Fatalf("waited in vain for %s: %s", what, state)
		}
	}
}

func TestGroupMembersGetEqualPartitionsOfAllTopics(t *testing.T) {
	c := kafkatest.New(t, "in:4", "other:4")
	a := join(t, config(c), &member{}, "in", "other")
	a.await(t, "all partitions", func(m *member) bool { return len(m.owned) == 8 })
	b := join(t, config(c), &member{}, "in", "other")
	for _, m := range []*member{a, b} {
		m.await(t, "half of the partitions", func(m *member) bool { return len(m.owned) == 4 })
		m.mu.Lock()
		for tp := range m.owned {
			for _, topic := range []string{"in", "other"} {
				if _, ok := m.owned[kafka.TopicPartition{Topic: topic, Partition: tp.Partition}]; !ok {
					t.Errorf("a member has %v without its peer in %s", tp, topic)
				}
			}
		}
		m.mu.Unlock()
	}
	b.leave()
	a.await(t, "all partitions again", func(m *member) bool { return len(m.owned) == 8 })
}

func TestGroupGoesOnFromItsCommitWithTheMetadataBesideIt(t *testing.T) {
	c := kafkatest.New(t, "in")
	p := producer(t, config(c))
	for i := range 5 {
		mustSend(t, p, "in", fmt.Sprint(i))
	}
	first := join(t, config(c), &member{commit: true}, "in")
	first.await(t, "five records", func(m *member) bool { return len(m.values) == 5 })
	first.leave()
	if first.err != nil {
		t.Fatalf("commit: %v", first.err)
	}
	mustSend(t, p, "in", "5")

	tp := kafka.TopicPartition{Topic: "in"}
	second := join(t, config(c), &member{start: func(m map[kafka.TopicPartition]kafka.Position) map[kafka.TopicPartition]int64 {
		return map[kafka.TopicPartition]int64{tp: m[tp].Committed - 2} // rewind
	}}, "in")
	second.await(t, "two old records and the new one", func(m *member) bool { return len(m.values) == 3 })
	if got := second.values[0] + second.values[1] + second.values[2]; got != "345" {
		t.Errorf("read %q after the rewind, want 345", got)
	}
	want := kafka.Position{Committed: 5, Metadata: "rewind=4", Start: 0, End: 6}
	if got := second.owned[tp]; got != want {
		t.Errorf("assigned %+v, want %+v", got, want)
	}
}

func TestGroupRefusesTopicsOfUnequalPartitionCounts(t *testing.T) {
	c := kafkatest.New(t, "in:3", "other:2")
	m := join(t, config(c), &member{}, "in", "other")
	m.await(t, "the refusal", func(m *member) bool { return errors.Is(m.err, kafka.ErrNotCopartitioned) })
	if got := m.err.Error(); got != "input topics have unequal partition counts: in has 3, other has 2" {
		t.Errorf("the refusal does not name the topics: %s", got)
	}
}

func TestGroupResumesWhenTheBrokerComesBackWithoutItsData(t *testing.T) {
	c := kafkatest.New(t, "in")
	p := producer(t, config(c))
	m := join(t, config(c), &member{commit: true}, "in")
	mustSend(t, p, "in", "before")
	m.await(t, "the first record", func(m *member) bool { return len(m.values) == 1 })
	c.Stop()
	c.Wipe()
	c.Start("in")
	mustSend(t, p, "in", "after")
	m.await(t, "the record of the new log", func(m *member) bool { return len(m.values) == 2 && m.values[1] == "after" })
}

// leaver commits what it has when its partitions are taken.
type leaver struct {
	group *kafka.Group
	ready chan struct{}
	err   error
	calls int
}

func (l *leaver) Assigned(context.Context, map[kafka.TopicPartition]kafka.Position) (map[kafka.TopicPartition]int64, error) {
	close(l.ready)
	return nil, nil
}

func (l *leaver) Batch(context.Context, []kafka.Record) {}

func (l *leaver) Revoked(ctx context.Context, parts []kafka.TopicPartition, _ bool) {
	commits := map[kafka.TopicPartition]kafka.Commit{}
	for _, tp := range parts {
		commits[tp] = kafka.Commit{Offset: 3, Metadata: "the end"}
	}
	l.calls++
	l.err = l.group.Commit(ctx, commits)
}

// The client was put away before the group was left, so that the last commit
// of every clean stop failed and the next member read again what was done.
func TestAMemberThatStopsCommitsOnItsWayOut(t *testing.T) {
	c := kafkatest.New(t, "in:1")
	p := producer(t, config(c))
	for i := range 5 {
		mustSend(t, p, "in", fmt.Sprint(i))
	}
	g, err := kafka.NewGroup(config(c), kafka.GroupConfig{ID: "g", Topics: []string{"in"}, Idle: 50 * time.Millisecond}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l := &leaver{group: g, ready: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx, l) }()
	<-l.ready
	time.Sleep(200 * time.Millisecond) // in the midst of its work
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if l.calls != 1 || l.err != nil {
		t.Fatalf("%d calls, commit on the way out: %v", l.calls, l.err)
	}
	next := &positioned{got: make(chan kafka.Position, 1)}
	ctx, cancel = context.WithCancel(context.Background())
	go func() { done <- g.Run(ctx, next) }()
	if at := <-next.got; at.Committed != 3 || at.Metadata != "the end" {
		t.Errorf("the next member starts with %+v", at)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

type positioned struct{ got chan kafka.Position }

func (p *positioned) Assigned(_ context.Context, parts map[kafka.TopicPartition]kafka.Position) (map[kafka.TopicPartition]int64, error) {
	for _, at := range parts {
		p.got <- at
	}
	return nil, nil
}
func (p *positioned) Batch(context.Context, []kafka.Record)                 {}
func (p *positioned) Revoked(context.Context, []kafka.TopicPartition, bool) {}
