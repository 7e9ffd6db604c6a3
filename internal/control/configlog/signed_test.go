package configlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

func keys(t testing.TB, id, secret string) *sign.Ring {
	t.Helper()
	r, err := sign.Config{Keys: []sign.Key{{ID: id, Secret: "${env:K}"}}}.Ring(func(string) string { return strings.Repeat(secret, 32) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// signedAs is a record with the signature of a ring.
func signedAs(r *sign.Ring, value []byte, at time.Time) kafka.Record {
	out := kafka.Record{Topic: event.TopicConfigUpdates, Value: value}
	if h := r.Sign(out.Topic, nil, value, at); h != nil {
		out.Headers = []kafka.Header{{Key: sign.Header, Value: h}}
	}
	return out
}

// fold folds records as a node with keys does, in the order given.
func (s *State) fold(cfg kafka.Config, records ...kafka.Record) {
	for _, r := range records {
		r.Offset = s.NextOffset
		s.Fold(Read(cfg, r))
	}
}

func change(id string, o event.Override) event.ConfigUpdate {
	u := override(o)
	u.ChangeID = id
	return u
}

// An operator who may produce to config-updates was an admin in any name.
func TestWithKeysOnlySignedRecordsAreApplied(t *testing.T) {
	ours, theirs := keys(t, "a", "s"), keys(t, "a", "t")
	cfg := kafka.Config{Signing: ours}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	drain := event.Override{ServiceID: "s", InstanceID: "i", Action: event.ActionDrain}
	var s State
	first := revision("1-a", "", "a: 1")
	first.ChangeID = "first"
	s.fold(cfg, signedAs(ours, value(t, first), now))
	adopt := revision("9-z", "", "z: 1")
	adopt.ChangeID, adopt.Adopt, adopt.Author = "adopt", true, "ada"
	moved := signedAs(ours, value(t, first), now)
	moved.Value = value(t, adopt) // the signature of another record
	s.fold(cfg,
		signedAs(nil, value(t, adopt), now), signedAs(theirs, value(t, adopt), now), moved,
		signedAs(nil, value(t, change("d", drain)), now), signedAs(nil, value(t, silence("x", "panic", now.Add(time.Hour), "quiet")), now),
	)
	if s.Revision != "1-a" || s.Document != "a: 1" || len(s.Overrides) != 0 || len(s.Silences) != 0 {
		t.Errorf("a record without our signature was applied: %+v", s)
	}
	var results []string
	for _, e := range s.History {
		results = append(results, string(e.Result))
	}
	if got := strings.Join(results, ", "); got != "current, unauthenticated, bad signature, bad signature, unauthenticated, unauthenticated" {
		t.Errorf("history: %s", got)
	}
	if e := s.History[0]; !e.Authenticated || e.Key != "a" || s.History[1].Authenticated {
		t.Errorf("%+v", s.History[:2])
	}
	// Without keys everything is applied and shown as nobody's.
	var open State
	open.fold(kafka.Config{}, signedAs(nil, value(t, first), now), signedAs(theirs, value(t, change("d", drain)), now))
	if open.Revision != "1-a" || len(open.Overrides) != 1 || open.History[0].Authenticated || open.History[1].Authenticated {
		t.Errorf("%+v", open)
	}
}

// A signature is no use to whoever appends a signed record a second time.
func TestASignedRecordCountsOnce(t *testing.T) {
	ours := keys(t, "a", "s")
	cfg := kafka.Config{Signing: ours}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	drain := event.Override{ServiceID: "s", InstanceID: "i", Action: event.ActionDrain}
	undrain := event.Override{ServiceID: "s", InstanceID: "i", Action: event.ActionUndrain}
	adopt := revision("9-z", "", "z: 1")
	adopt.ChangeID, adopt.Adopt = "adopt", true
	next := revision("10-y", "9-z", "y: 1")
	next.ChangeID = "next"
	log := []kafka.Record{
		signedAs(ours, value(t, adopt), now),
		signedAs(ours, value(t, change("1", drain)), now.Add(time.Second)),
		signedAs(ours, value(t, change("2", undrain)), now.Add(2*time.Second)),
		signedAs(ours, value(t, next), now.Add(3*time.Second)),
		signedAs(ours, value(t, change("3", drain)), now.Add(4*time.Second)),
	}
	for _, wait := range []time.Duration{5 * time.Second, time.Hour} {
		var s State
		s.fold(cfg, log...)
		later := event.Override{ServiceID: "s", InstanceID: "other", Action: event.ActionDrain}
		s.fold(cfg, signedAs(ours, value(t, change("4", later)), now.Add(wait)))
		for i, r := range log {
			s.fold(cfg, r)
			if e := s.History[len(s.History)-1]; e.Result != ResultReplayed {
				t.Errorf("after %s record %d again: %s", wait, i, e.Result)
			}
		}
		if s.Revision != "10-y" || len(s.Overrides) != 2 {
			t.Errorf("after %s: %s, %+v", wait, s.Revision, s.Overrides)
		}
	}
	// What is remembered for it is bounded, and the bound lets nothing through.
	var s State
	for i := range 3 * maxSeen {
		s.fold(cfg, signedAs(ours, value(t, change(fmt.Sprint("c", i), drain)), now.Add(time.Duration(i)*time.Millisecond)))
	}
	if len(s.replays.seen) > maxSeen {
		t.Errorf("%d ids are remembered", len(s.replays.seen))
	}
	for _, i := range []int{0, maxSeen, 2 * maxSeen, 3*maxSeen - 1} {
		s.fold(cfg, signedAs(ours, value(t, change(fmt.Sprint("c", i), drain)), now.Add(time.Duration(i)*time.Millisecond)))
		if e := s.History[len(s.History)-1]; e.Result != ResultReplayed {
			t.Errorf("change %d again: %s", i, e.Result)
		}
	}
}

func TestANodeWithKeysServesWhatIsSigned(t *testing.T) {
	k := kafkatest.New(t, event.TopicConfigUpdates)
	ours := keys(t, "k1", "s")
	kc := kafka.Default()
	kc.Brokers, kc.Linger, kc.Signing = []string{k.Addr()}, 0, ours
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	quiet := slog.New(slog.DiscardHandler)
	forged := revision("1-evil", "", document)
	write(t, k.Addr(), value(t, forged))
	first, err := Publish(ctx, kc, Change{Document: []byte(document), Author: "ada"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(t, t.TempDir(), k.Addr())
	n.cfg.Kafka.Signing, n.cfg.Kafka.Skips = ours, &kafka.Skips{}
	told := 0
	n.cfg.Unsigned = func() { told++ }
	stop := n.serve(t)
	n.until(t, "the signed revision", func(s Status) bool { return s.Revision == first })
	stop()
	if told != 1 || n.cfg.Kafka.Skips.Counts()[event.TopicConfigUpdates] != 1 || len(n.applied) != 1 {
		t.Errorf("told %d times, skipped %v, applied %v", told, n.cfg.Kafka.Skips.Counts(), n.applied)
	}
	if h := n.History(); len(h) != 2 || h[0].Result != "unauthenticated" || !h[1].Authenticated || h[1].Key != "k1" {
		t.Errorf("%+v", h)
	}
	// A writer without a key, and one whose key the nodes do not know, learn it at once.
	kc.Signing = nil
	if _, err := Publish(ctx, kc, Change{Document: []byte(document), Base: first}, quiet); err == nil || !strings.Contains(err.Error(), "SMARTLB_SIGNING_KEYS") {
		t.Errorf("published without a key: %v", err)
	}
	kc.Signing = keys(t, "k2", "t")
	if _, err := Publish(ctx, kc, Change{Document: []byte(document), Base: first}, quiet); err == nil {
		t.Error("published with another key than it reads with")
	}
}

// A node whose log holds no signed revision keeps what it served, and seeds no
// log of another writer without keys.
func TestKeysOnAnUnsignedLogKeepTheLastGoodConfigurationUntilAdopt(t *testing.T) {
	k, dir := kafkatest.New(t, event.TopicConfigUpdates), t.TempDir()
	first := publish(t, k.Addr(), "", false)
	serveOnce(t, dir, k.Addr(), first)
	ours := keys(t, "k1", "s")
	n := newNode(t, dir, k.Addr())
	n.cfg.Kafka.Signing = ours
	stop := n.serve(t)
	n.until(t, "it says so", func(s Status) bool { return s.LostLog })
	if s := n.Status(); s.Revision != first || s.State != event.ConfigLKG {
		t.Errorf("%+v", s)
	}
	kc := n.cfg.Kafka
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	adopted, err := Publish(ctx, kc, Change{Document: []byte(document), Adopt: true}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	n.until(t, "adopt ends it", func(s Status) bool { return !s.LostLog && s.Revision == adopted })
	stop()
	if _, err := Publish(ctx, kc, Change{Document: []byte(document), Base: "nothing"}, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrLost) {
		t.Errorf("%v", err)
	}
}
