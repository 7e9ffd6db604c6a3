package configlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func revision(name, base, document string) event.ConfigUpdate {
	sum := sha256.Sum256([]byte(document))
	return event.ConfigUpdate{
		ChangeID: "c-" + name, Timestamp: time.Unix(1, 0).UTC(), Author: "ada", Kind: event.KindRevision,
		Revision: name, Base: base, Document: document, SHA256: hex.EncodeToString(sum[:]),
	}
}

func override(o event.Override) event.ConfigUpdate {
	return event.ConfigUpdate{ChangeID: "o", Timestamp: time.Unix(1, 0).UTC(), Kind: event.KindOverride, Override: o}
}

// fataler is a test, plain or of rapid.
type fataler interface{ Fatal(...any) }

func value(tb fataler, u event.ConfigUpdate) []byte {
	b, err := u.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestFirstOfTwoFromOneBaseWinsAndTheLoserHearsOfIt(t *testing.T) {
	var s State
	s.Fold(record(0, value(t, revision("1-a", "", "a: 1"))))
	if !s.Fold(record(1, value(t, revision("2-b", "1-a", "b: 1")))) || s.Fold(record(2, value(t, revision("2-c", "1-a", "c: 1")))) {
		t.Fatal("want the first to change the state and the second not to")
	}
	loser, _ := s.Find("2-c")
	winner, _ := s.Find("2-b")
	first, _ := s.Find("1-a")
	if s.Revision != "2-b" || s.Document != "b: 1" || loser.Result != ResultLost || loser.Winner != "2-b" || winner.Result != ResultCurrent || first.Result != ResultSuperseded {
		t.Errorf("current %s; loser %q, winner %q, first %q", s.Revision, loser.Result, winner.Result, first.Result)
	}
	adopt := revision("9-z", "7-gone", "z: 1")
	adopt.Adopt = true
	if !s.Fold(record(3, value(t, adopt))) || s.Revision != "9-z" {
		t.Errorf("adopting from a base that is not there left %s", s.Revision)
	}
}

func TestOverridesApplyWhateverTheRevision(t *testing.T) {
	var s State
	drain := event.Override{ServiceID: "s", InstanceID: "i", Action: event.ActionDrain}
	weight := event.Override{ServiceID: "s", InstanceID: "i", Action: event.ActionWeight, Weight: event.Some(3)}
	s.Fold(record(0, value(t, override(drain))))
	s.Fold(record(1, value(t, revision("1-a", "", "a: 1"))))
	s.Fold(record(2, value(t, override(weight))))
	s.Fold(record(3, value(t, revision("1-b", "", "b: 1")))) // loses
	if diff := cmp.Diff([]event.Override{drain, weight}, unattributed(s.Overrides)); diff != "" {
		t.Error(diff)
	}
	drain.Action, weight.Weight = event.ActionUndrain, event.Some(0)
	s.Fold(record(4, value(t, override(drain))))
	s.Fold(record(5, value(t, override(weight))))
	if len(s.Overrides) != 0 || s.Revision != "1-a" {
		t.Errorf("taken back: %+v at %s", s.Overrides, s.Revision)
	}
}

// What Status gave out is read while the log goes on.
func TestAStatusStaysWhatItWas(t *testing.T) {
	c, err := New(Config{Log: slog.New(slog.DiscardHandler), Override: func([]event.Override) {}})
	if err != nil {
		t.Fatal(err)
	}
	if c.tail, err = kafka.NewTail(kafka.Default(), kafka.TailConfig{Topics: []string{event.TopicConfigUpdates}}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	c.catchUp()
	drain := func(instance, action string) event.Override {
		return event.Override{ServiceID: "s", InstanceID: instance, Action: action}
	}
	want := []event.Override{drain("i1", event.ActionDrain), drain("i2", event.ActionDrain)}
	for i, o := range want {
		c.handle([]kafka.Record{{Offset: int64(i), Value: value(t, override(o))}})
	}
	got := c.Status()
	c.handle([]kafka.Record{{Offset: 2, Value: value(t, override(drain("i1", event.ActionUndrain)))}})
	if diff := cmp.Diff(want, unattributed(got.Overrides)); diff != "" {
		t.Errorf("the status of before was changed: %s", diff)
	}
	if diff := cmp.Diff(want[1:], unattributed(c.Status().Overrides)); diff != "" {
		t.Error(diff)
	}
}

// onError is a log that calls a function for each error.
type onError struct {
	slog.Handler
	f func(message string)
}

func (h onError) Enabled(context.Context, slog.Level) bool { return true }

func (h onError) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelError {
		h.f(r.Message)
	}
	return nil
}

// The disk may hang for as long as it likes: who asks where the node stands
// does not wait for it. A disk that fails tells as much, and when.
func TestTheDiskIsNotWrittenUnderTheLock(t *testing.T) {
	told := make(chan string, 1)
	var c *Control
	log := slog.New(onError{f: func(message string) { _ = c.Status(); told <- message }})
	c, err := New(Config{Log: log, Override: func([]event.Override) {}, Dir: filepath.Join(t.TempDir(), "gone")})
	if err != nil {
		t.Fatal(err)
	}
	if c.tail, err = kafka.NewTail(kafka.Default(), kafka.TailConfig{Topics: []string{event.TopicConfigUpdates}}, log); err != nil {
		t.Fatal(err)
	}
	batch := []kafka.Record{{Value: value(t, override(event.Override{ServiceID: "s", InstanceID: "i", Action: event.ActionDrain}))}}
	go func() {
		c.catchUp()
		c.handle(batch)
	}()
	select {
	case message := <-told:
		if !strings.Contains(message, "not saved") {
			t.Error(message)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("the lock is held while the disk is written")
	}
}

func silence(id, rule string, ends time.Time, comment string) event.ConfigUpdate {
	return event.ConfigUpdate{
		ChangeID: "s", Timestamp: time.Unix(1, 0).UTC(), Author: "ada", Comment: comment, Kind: event.KindSilence,
		Silence: event.Silence{ID: id, RuleID: rule, EndsAt: ends},
	}
}

// record is what Read makes of a value at an offset.
func record(offset int64, value []byte) Update {
	return Read(kafka.Config{}, kafka.Record{Topic: event.TopicConfigUpdates, Offset: offset, Value: value})
}

func TestTheLastMessageOfASilenceCounts(t *testing.T) {
	var s State
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s.Fold(record(0, value(t, revision("1-a", "", "a: 1"))))
	s.Fold(record(1, value(t, silence("x", "panic", noon, "known"))))
	s.Fold(record(2, value(t, silence("y", "panic", noon.Add(time.Hour), "longer"))))
	alert := event.Alert{RuleID: "panic", Labels: map[string]string{"service": "s"}}
	if got, ok := Silenced(s.Silences, alert, noon.Add(-time.Minute)); !ok || got.ID != "y" || got.Author != "ada" || got.Reason != "longer" {
		t.Errorf("silenced by %+v", got)
	}
	if _, ok := Silenced(s.Silences, event.Alert{RuleID: "other"}, noon); ok {
		t.Error("silences an alert of another rule")
	}
	s.Fold(record(3, value(t, silence("y", "panic", noon.Add(-time.Hour), "")))) // ended
	if got, ok := Silenced(s.Silences, alert, noon.Add(-time.Minute)); !ok || got.ID != "x" {
		t.Errorf("after y was ended: %+v", got)
	}
	if _, ok := Silenced(s.Silences, alert, noon); ok {
		t.Error("holds at its end")
	}
	if s.Revision != "1-a" || s.History[1].Result != ResultSilence || len(s.Silences) != 2 || s.Silences[1].Reason != "longer" {
		t.Errorf("%+v", s)
	}
	for i := range maxSilences + 5 {
		s.Fold(record(int64(4+i), value(t, silence(fmt.Sprint(i), "panic", noon, ""))))
	}
	if len(s.Silences) != maxSilences {
		t.Errorf("%d silences", len(s.Silences))
	}
}

func TestASilenceCoversWhatHasItsRuleAndAllItsLabels(t *testing.T) {
	a := event.Alert{RuleID: "r", Labels: map[string]string{"service": "s", "instance": "i"}}
	for _, c := range []struct {
		s    event.Silence
		want bool
	}{
		{event.Silence{RuleID: "r"}, true},
		{event.Silence{RuleID: "q"}, false},
		{event.Silence{Labels: map[string]string{"service": "s"}}, true},
		{event.Silence{RuleID: "r", Labels: map[string]string{"service": "s", "instance": "i"}}, true},
		{event.Silence{RuleID: "r", Labels: map[string]string{"service": "t"}}, false},
		{event.Silence{Labels: map[string]string{"node": ""}}, false}, // a label that it does not have
		{event.Silence{}, false},
	} {
		if got := c.s.Covers(a); got != c.want {
			t.Errorf("%+v: %v", c.s, got)
		}
	}
}

func TestWhatNoWriterSendsIsUnreadable(t *testing.T) {
	blank, changed := revision("1-a", "", " \n"), revision("1-a", "", "a: 1")
	changed.Document = "a: 2"
	heavy := event.Override{ServiceID: "s", InstanceID: "i", Action: event.ActionWeight, Weight: event.Some(1e6)}
	for name, v := range map[string][]byte{
		"empty": {}, "no JSON": []byte("{"), "another type": []byte(`[1]`), "a number": []byte("NaN"),
		"deep":                        []byte(strings.Repeat(`{"a":`, 100_000)),
		"blank document":              value(t, blank),
		"document beside its sum":     value(t, changed),
		"a weight that ends all sums": value(t, override(heavy)),
		"an override of nothing":      []byte(`{"changeId":"a","timestamp":"2024-01-15T10:30:00Z","kind":"override"}`),
	} {
		var s State
		if s.Fold(record(7, v)) || s.Revision != "" || len(s.Overrides) != 0 {
			t.Errorf("%s: applied: %+v", name, s)
		}
		if s.NextOffset != 8 || len(s.History) != 1 || s.History[0].Result != ResultUnreadable {
			t.Errorf("%s: %+v", name, s.History)
		}
	}
}

// genLog draws a log as several writers make it: bases that are current, old or
// invented, overrides, and what is not readable.
func genLog(t *rapid.T) [][]byte {
	bases := []string{""}
	var out [][]byte
	for i := range rapid.IntRange(0, 40).Draw(t, "n") {
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			out = append(out, value(t, override(event.Override{
				ServiceID: "s", InstanceID: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "instance"),
				Action: rapid.SampledFrom([]string{event.ActionDrain, event.ActionUndrain, event.ActionWeight}).Draw(t, "action"),
				Weight: event.Some(float64(rapid.IntRange(0, 5).Draw(t, "weight"))),
			})))
		case 1:
			out = append(out, []byte("nonsense"))
		default:
			name := NextRevision("") + string(rune('a'+i%26))
			u := revision(name, rapid.SampledFrom(append(bases, "invented")).Draw(t, "base"), "a: "+name)
			u.Adopt = rapid.IntRange(0, 9).Draw(t, "adopt") == 0
			bases = append(bases, name)
			out = append(out, value(t, u))
		}
	}
	return out
}

func TestNodesThatFoldTheSameLogAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := genLog(t)
		var all State
		chain := ""
		for i, v := range log {
			changed := all.Fold(record(int64(i), v))
			if u, err := event.DecodeConfigUpdate(v); err == nil && u.Kind == event.KindRevision {
				if want := u.Base == chain || u.Adopt; changed != want {
					t.Fatalf("offset %d from base %q on %q: changed is %v", i, u.Base, chain, changed)
				}
				if changed {
					chain = u.Revision
				}
			} else if changed {
				t.Fatalf("offset %d is no revision and changed it", i)
			}
		}
		if all.Revision != chain || all.NextOffset != int64(len(log)) {
			t.Fatalf("at %q, next %d; want %q, %d", all.Revision, all.NextOffset, chain, len(log))
		}
		current := 0
		for _, e := range all.History {
			if e.Result == ResultCurrent {
				current++
			}
		}
		if want := min(len(chain), 1); current != want {
			t.Fatalf("%d entries are current, want %d", current, want)
		}
		// Another node that stops and goes on, and one that starts later.
		stop := rapid.IntRange(0, len(log)).Draw(t, "stop")
		var other State
		for i, v := range log[:stop] {
			other.Fold(record(int64(i), v))
		}
		for i, v := range log[stop:] {
			other.Fold(record(int64(stop+i), v))
		}
		if diff := cmp.Diff(all, other, cmp.AllowUnexported(State{}, replays{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestHistoryIsBounded(t *testing.T) {
	var s State
	for i := range maxHistory + 50 {
		s.Fold(record(int64(i), value(t, override(event.Override{ServiceID: "s", InstanceID: "i", Action: event.ActionDrain}))))
	}
	if len(s.History) != maxHistory || s.History[0].Offset != 50 {
		t.Errorf("%d entries from offset %d", len(s.History), s.History[0].Offset)
	}
}

// 10,000 junk records pushed every valid revision out of the history.
func TestJunkTakesNoPlaceOfRevisions(t *testing.T) {
	var s State
	s.Fold(record(0, value(t, revision("1-a", "", "a: 1"))))
	s.Fold(record(1, value(t, revision("2-b", "1-a", "b: 1"))))
	for i := range 10_000 {
		s.Fold(record(int64(2+i), []byte("nonsense")))
	}
	lost := value(t, revision("9-x", "invented", "x: "+strings.Repeat("x", 100_000)))
	for i := range 2 * maxHistory {
		s.Fold(record(int64(15_000+i), lost))
	}
	s.Fold(record(20_000, value(t, revision("3-c", "2-b", "c: 1"))))
	for _, name := range []string{"1-a", "2-b", "3-c"} {
		if e, err := s.Find(name); err != nil || e.Document == "" {
			t.Errorf("revision %s is gone", name)
		}
	}
	if n := len(s.History); n != maxHistory+maxJunk+3 || s.documents > maxDocuments || s.History[2].Offset != 10_002-maxJunk {
		t.Errorf("%d entries, the oldest junk at %d", n, s.History[2].Offset)
	}
}

func TestHistoryKeepsBoundedDocuments(t *testing.T) {
	var s State
	document := strings.Repeat("# a large document\n", 400_000) // 7.6 MB
	for i := range 20 {
		s.remember(Entry{Offset: int64(i), Kind: event.KindRevision, Revision: fmt.Sprint(i), Document: document})
	}
	kept := 0
	for _, e := range s.History {
		kept += len(e.Document)
	}
	newest, _ := s.Find("19")
	oldest, _ := s.Find("0")
	if kept > maxDocuments || kept < maxDocuments/2 || newest.Document != document || oldest.Document != "" || len(s.History) != 20 {
		t.Errorf("%d bytes of documents in %d entries, %d in the newest, %d in the oldest", kept, len(s.History), len(newest.Document), len(oldest.Document))
	}
}

func TestOverridesAreBounded(t *testing.T) {
	var s State
	for i := range maxOverrides + 5 {
		s.Fold(record(int64(i), value(t, override(event.Override{ServiceID: "s", InstanceID: fmt.Sprint(i), Action: event.ActionDrain}))))
	}
	if len(s.Overrides) != maxOverrides || s.History[len(s.History)-1].Result != ResultUnreadable {
		t.Errorf("%d overrides", len(s.Overrides))
	}
	s.Fold(record(s.NextOffset, value(t, override(event.Override{ServiceID: "s", InstanceID: "0", Action: event.ActionUndrain}))))
	if len(s.Overrides) != maxOverrides-1 {
		t.Errorf("%d overrides after one was taken back", len(s.Overrides))
	}
}

func TestLastGoodSurvivesAndRefusesWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	if g, err := loadLastGood(dir); g != nil || err != nil {
		t.Fatalf("an empty folder gives %v %v", g, err)
	}
	want := lastGood{ClusterID: "c", TopicID: "t", NextOffset: 4, Revision: "2-a", Document: "a: 1", Overrides: []event.Override{{ServiceID: "s", InstanceID: "i", Action: event.ActionWeight, Weight: event.Some(2)}}}
	if err := want.save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := loadLastGood(dir)
	want.Format = lastGoodFormat
	if err != nil || cmp.Diff(&want, got) != "" {
		t.Errorf("%v %s", err, cmp.Diff(&want, got))
	}
	for text, says := range map[string]string{
		`{"format":99}`: "newer smartlb", `{"format":1,"doc`: "damaged", "": "damaged", "\x00\x00\x00": "damaged", `[]`: "damaged",
	} {
		if err := os.WriteFile(lastGoodPath(dir), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), lastGoodPath(dir)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// node is a Control whose data plane remembers what it was given.
type node struct {
	*Control
	applied   []string
	overrides []event.Override
	refuse    string
}

const document = "routes: []\nservices: []\n"

// serveOnce runs a node until it serves a revision.
func serveOnce(t *testing.T, dir, broker, revision string) {
	t.Helper()
	n := newNode(t, dir, broker)
	stop := n.serve(t)
	n.until(t, "takes it", func(s Status) bool { return s.Revision == revision && s.State == event.ConfigApplied })
	stop()
}

func newNode(t *testing.T, dir, broker string) *node {
	t.Helper()
	n := &node{}
	cfg := kafka.Default()
	cfg.Brokers = []string{broker}
	cfg.Linger = 0
	c, err := New(Config{
		Kafka: cfg, Dir: dir, Node: "n", Author: "file", FileName: "f.yaml", Log: slog.New(slog.DiscardHandler),
		Apply: func(_ config.Traffic, revision string) error {
			if revision == n.refuse {
				return errors.New("this node cannot")
			}
			n.applied = append(n.applied, revision)
			return nil
		},
		Override: func(o []event.Override) { n.overrides = o },
	})
	if err != nil {
		t.Fatal(err)
	}
	n.Control = c
	return n
}

// serve runs a node until the returned function is called.
func (n *node) serve(t *testing.T) (stop func()) {
	t.Helper()
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func (n *node) until(t *testing.T, what string, ok func(Status) bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(n.Status()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: %+v", what, n.Status())
		}
	}
}

func publish(t *testing.T, broker string, base string, adopt bool) string {
	t.Helper()
	cfg := kafka.Default()
	cfg.Brokers = []string{broker}
	cfg.Linger = 0
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	name, err := Publish(ctx, cfg, Change{Document: []byte(document), Base: base, Adopt: adopt}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestANodeServesTheNewestAloneAndAgainWithoutKafka(t *testing.T) {
	k, dir := kafkatest.New(t, event.TopicConfigUpdates), t.TempDir()
	first := publish(t, k.Addr(), "", false)
	second := publish(t, k.Addr(), first, false)
	n := newNode(t, dir, k.Addr())
	stop := n.serve(t)
	n.until(t, "takes the newest", func(s Status) bool { return s.Revision == second })
	stop()
	if len(n.applied) != 1 {
		t.Errorf("served on its way: %v", n.applied)
	}
	k.Stop()
	again := newNode(t, dir, k.Addr())
	stop = again.serve(t)
	if s := again.Status(); s.State != event.ConfigLKG || s.Revision != second || s.LostLog {
		t.Errorf("without Kafka: %+v", s)
	}
	k.Start()
	again.until(t, "Kafka returns", func(s Status) bool { return s.State == event.ConfigApplied && s.Current == second })
	stop()
	if len(again.applied) != 1 {
		t.Errorf("applied %v, want what it had, once", again.applied)
	}
}

func TestALogThatLostItsEndIsNotFollowed(t *testing.T) {
	k, dir := kafkatest.New(t, event.TopicConfigUpdates), t.TempDir()
	first := publish(t, k.Addr(), "", false)
	second := publish(t, k.Addr(), first, false)
	serveOnce(t, dir, k.Addr(), second)
	// The node remembers one record more than the log has.
	g, err := loadLastGood(dir)
	if err != nil {
		t.Fatal(err)
	}
	g.NextOffset, g.Revision = g.NextOffset+1, "3-gone"
	if err := g.save(dir); err != nil {
		t.Fatal(err)
	}
	n := newNode(t, dir, k.Addr())
	stop := n.serve(t)
	n.until(t, "it says so", func(s Status) bool { return s.LostLog })
	third := publish(t, k.Addr(), second, false) // as long as it was, but another one
	n.until(t, "it sees the change", func(s Status) bool { return s.Current == third })
	if s := n.Status(); s.Revision != "3-gone" || !s.LostLog || len(n.applied) != 1 {
		t.Errorf("followed a log that is not its own: %+v, applied %v", s, n.applied)
	}
	adopted := publish(t, k.Addr(), "", true)
	n.until(t, "adopt ends it", func(s Status) bool { return !s.LostLog && s.Revision == adopted && s.State == event.ConfigApplied })
	stop()
	n = newNode(t, dir, k.Addr())
	stop = n.serve(t)
	n.until(t, "and it stays so", func(s Status) bool { return s.State == event.ConfigApplied && s.Revision == adopted && !s.LostLog })
	stop()
}

func TestAnotherTopicsLogIsNotFollowed(t *testing.T) {
	k, dir := kafkatest.New(t, event.TopicConfigUpdates), t.TempDir()
	first := publish(t, k.Addr(), "", false)
	serveOnce(t, dir, k.Addr(), first)
	g, err := loadLastGood(dir)
	if err != nil {
		t.Fatal(err)
	}
	// The file that the node has left from another cluster.
	other := *g
	other.TopicID = strings.Repeat("ab", 16)
	if err := other.save(dir); err != nil {
		t.Fatal(err)
	}
	n := newNode(t, dir, k.Addr())
	stop := n.serve(t)
	n.until(t, "a strange log", func(s Status) bool { return s.LostLog })
	if s := n.Status(); s.State != event.ConfigLKG || s.Revision != first {
		t.Errorf("%+v", s)
	}
	stop()
}

func TestARefusedRevisionIsStillTheBaseOfTheNext(t *testing.T) {
	k := kafkatest.New(t, event.TopicConfigUpdates)
	first := publish(t, k.Addr(), "", false)
	n := newNode(t, t.TempDir(), k.Addr())
	stop := n.serve(t)
	defer func() { stop() }()
	n.until(t, "takes the first", func(s Status) bool { return s.Revision == first })
	n.mu.Lock()
	cfg := n.cfg.Apply
	n.cfg.Apply = func(config.Traffic, string) error { return errors.New("this node cannot") }
	n.mu.Unlock()
	second := publish(t, k.Addr(), first, false)
	n.until(t, "refuses the second", func(s Status) bool { return s.RefusedRevision == second })
	if s := n.Status(); s.Revision != first || s.Current != second || len(s.Errors) != 1 {
		t.Errorf("%+v", s)
	}
	n.mu.Lock()
	n.cfg.Apply = cfg
	n.mu.Unlock()
	third := publish(t, k.Addr(), second, false)
	n.until(t, "takes the third", func(s Status) bool { return s.Revision == third && s.RefusedRevision == "" })
}

func TestFileOnlyKeepsTheLastGoodOfOthers(t *testing.T) {
	k, dir := kafkatest.New(t, event.TopicConfigUpdates), t.TempDir()
	first := publish(t, k.Addr(), "", false)
	serveOnce(t, dir, k.Addr(), first)
	n := newNode(t, dir, k.Addr())
	n.cfg.FileOnly, n.cfg.File = true, []byte(document)
	stop := n.serve(t)
	n.until(t, "reads the log", func(s Status) bool { return s.Current == first })
	if s := n.Status(); s.Revision != "file" {
		t.Errorf("serves %s with --config-source file", s.Revision)
	}
	stop()
	if g, err := loadLastGood(dir); err != nil || g.Revision != first || g.Document != document {
		t.Errorf("%+v %v", g, err)
	}
}
