package configlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// unattributed drops who set an override and when.
func unattributed(list []event.Override) []event.Override {
	out := slices.Clone(list)
	for i := range out {
		out[i].Author, out[i].Reason, out[i].Since = "", "", time.Time{}
	}
	return out
}

// force collects what is in force.
type force struct {
	mu   sync.Mutex
	list []event.Override
}

func (f *force) put(list []event.Override) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = slices.Clone(list)
}

func (f *force) has(instance string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.list, func(o event.Override) bool { return o.InstanceID == instance })
}

func drainOf(instance string) event.Override {
	return event.Override{ServiceID: "s", InstanceID: instance, Action: event.ActionDrain}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func started(t *testing.T, cfg Config) *Control {
	t.Helper()
	cfg.Log = slog.New(slog.DiscardHandler)
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// A process that takes over a node reads what the process before has written since it read the directory.
func TestResumeTakesWhatAnotherProcessHasWritten(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Node: "n", Log: slog.New(slog.DiscardHandler)}
	good := func(revision string) {
		t.Helper()
		g := lastGood{Revision: revision, Document: "listeners: [{name: " + revision + ", address: ':80'}]\n", NextOffset: 1, Overrides: []event.Override{drainOf("of-" + revision)}}
		if err := g.save(cfg.Dir); err != nil {
			t.Fatal(err)
		}
	}
	var applied []string
	var f force
	cfg.Override = f.put
	cfg.Apply = func(_ config.Traffic, revision string) error { applied = append(applied, revision); return nil }
	good("one")
	c := started(t, cfg)
	if err := c.Resume(); err != nil || !slices.Equal(applied, []string{"one"}) {
		t.Fatalf("nothing has changed: applied %q, %v", applied, err)
	}
	good("two")
	other := started(t, Config{Dir: cfg.Dir, Node: "n", Apply: func(config.Traffic, string) error { return nil }, Override: func([]event.Override) {}})
	if _, err := other.Override(t.Context(), drainOf("a"), "ann", "why"); err != nil {
		t.Fatal(err)
	}
	if err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(applied, []string{"one", "two"}) || c.Status().Revision != "two" {
		t.Errorf("applied %q, serves %s", applied, c.Status().Revision)
	}
	if !f.has("of-two") || !f.has("a") || f.has("of-one") {
		t.Errorf("overrides in effect: %v", f.list)
	}
}

// Drain, undrain and weight failed with "signal timed out" while Kafka hung.
func TestAnOverrideHoldsAtOnceAndIsPublishedWhenKafkaAnswers(t *testing.T) {
	cluster := kafkatest.New(t, event.TopicConfigUpdates+":1")
	cfg := kafka.Default()
	cfg.Brokers, cfg.Linger = []string{cluster.Addr()}, 0
	cfg.RequestTimeout, cfg.DeliveryTimeout, cfg.DialTimeout = time.Second, time.Second, time.Second
	cluster.Stop()
	var now force
	dir := t.TempDir()
	c := started(t, Config{Kafka: cfg, Dir: dir, Override: now.put})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()

	applied, err := c.Override(t.Context(), drainOf("a"), "ann", "new kernel")
	if err != nil || applied.Published || applied.Alone {
		t.Fatalf("%+v, %v", applied, err)
	}
	if !now.has("a") {
		t.Error("the drain is not in force")
	}
	if o := c.Status().Overrides[0]; o.Author != "ann" || o.Reason != "new kernel" || o.Since.IsZero() {
		t.Errorf("it is attributed to %+v", o)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	var again force // another process on the same disk
	c = started(t, Config{Kafka: cfg, Dir: dir, Override: again.put})
	if !again.has("a") {
		t.Error("the drain did not outlast the process")
	}
	cluster.Start(event.TopicConfigUpdates + ":1")
	ctx, cancel = context.WithCancel(t.Context())
	go func() { done <- c.Run(ctx) }()
	var state State
	until(t, "the drain is published", func() bool {
		ask, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		s, err := Load(ask, cfg, slog.New(slog.DiscardHandler))
		state = s
		return err == nil && len(s.Overrides) == 1
	})
	if o := state.Overrides[0]; o.InstanceID != "a" || o.Author != "ann" || o.Reason != "new kernel" {
		t.Errorf("the log has %+v", o)
	}
	until(t, "nothing waits any more", func() bool {
		_, err := os.Stat(filepath.Join(dir, localFile))
		return errors.Is(err, os.ErrNotExist)
	})
	applied, err = c.Override(t.Context(), event.Override{ServiceID: "s", InstanceID: "a", Action: event.ActionUndrain}, "bob", "")
	if err != nil || !applied.Published || again.has("a") {
		t.Errorf("undrain: %+v, %v; in force: %v", applied, err, again.has("a"))
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestAnOverrideWithAnEndEndsByItself(t *testing.T) {
	var now force
	c := started(t, Config{Override: now.put})
	clock := time.Unix(1000, 0)
	c.now = func() time.Time { return clock }
	o := drainOf("a")
	o.EndsAt = clock.Add(30 * time.Minute)
	if applied, err := c.Override(t.Context(), o, "ann", ""); err != nil || !applied.Alone {
		t.Fatalf("%+v, %v", applied, err)
	}
	if _, err := c.Override(t.Context(), drainOf("b"), "ann", ""); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(30*time.Minute - time.Second)
	c.endOverrides()
	if !now.has("a") {
		t.Error("it ended early")
	}
	clock = clock.Add(time.Second)
	c.endOverrides()
	if now.has("a") || !now.has("b") {
		t.Error("it did not end, or the other one did")
	}
	c.handleLate(t, o)
	if now.has("a") {
		t.Error("an ended override of the log came into force")
	}
}

// handleLate gives the control a record of the log with an override.
func (c *Control) handleLate(t *testing.T, o event.Override) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base = []event.Override{o}
	c.putOverrides(c.now())
}

func TestOverridesThatCannotBeKeptAreSaidAndHold(t *testing.T) {
	var now force
	dir := filepath.Join(t.TempDir(), "gone")
	c := started(t, Config{Dir: dir, Override: now.put})
	if _, err := c.Override(t.Context(), drainOf("a"), "ann", ""); !errors.Is(err, ErrNotKept) || !now.has("a") {
		t.Errorf("error %v, in force: %v", err, now.has("a"))
	}
	if _, err := c.Override(t.Context(), event.Override{Action: "x"}, "ann", ""); err == nil || errors.Is(err, ErrNotKept) {
		t.Errorf("an override that is none: %v", err)
	}
	c = started(t, Config{Override: now.put})
	for i := range maxLocal + 5 {
		if _, err := c.Override(t.Context(), drainOf(fmt.Sprint(max(0, i-5))), "ann", ""); err != nil { // the newest of an instance counts
			t.Fatal(err)
		}
	}
	if _, err := c.Override(t.Context(), drainOf("b"), "ann", ""); !errors.Is(err, ErrTooManyChanges) || now.has("b") {
		t.Errorf("one more than may wait: %v", err)
	}
	bad := t.TempDir()
	if err := os.WriteFile(filepath.Join(bad, localFile), []byte(`[{"kind":"override"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Dir: bad}); err == nil || !strings.Contains(err.Error(), localFile) {
		t.Errorf("a damaged file: %v", err)
	}
}
