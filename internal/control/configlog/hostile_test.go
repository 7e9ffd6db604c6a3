package configlog

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// write puts a value on config-updates without the checks of Publish, as any
// client of the cluster can.
func write(t *testing.T, broker string, values ...[]byte) {
	t.Helper()
	cfg := kafka.Default()
	cfg.Brokers, cfg.Linger = []string{broker}, 0
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	p, err := kafka.NewProducer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if _, err := p.SendSync(ctx, kafka.Record{Topic: event.TopicConfigUpdates, Value: v}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

// A revision with 100,000 brackets overflowed the stack of every node, at each
// start again.
func TestAPoisonousRecordStopsNoNodeAndIsNamed(t *testing.T) {
	k, dir := kafkatest.New(t, event.TopicConfigUpdates), t.TempDir()
	first := publish(t, k.Addr(), "", false)
	poison := revision("2-poison", first, "routes: "+strings.Repeat("[", 100_000))
	poison.Author = "mallory"
	write(t, k.Addr(), []byte("{"), []byte(strings.Repeat(`{"a":`, 200_000)), value(t, poison))
	for _, start := range []string{"the first start", "the second start"} {
		n := newNode(t, dir, k.Addr())
		n.cfg.Kafka.Skips = &kafka.Skips{}
		n.cfg.File, n.cfg.FileOnly = []byte(document), false
		stop := n.serve(t)
		n.until(t, start, func(s Status) bool { return s.RefusedRevision == "2-poison" })
		s := n.Status()
		if s.State != event.ConfigRefused || len(s.Errors) != 1 || !strings.Contains(s.Errors[0], "nested deeper") {
			t.Errorf("%s: %+v", start, s)
		}
		if got := n.cfg.Kafka.Skips.Counts()[event.TopicConfigUpdates]; got != 2 {
			t.Errorf("%s: %d records skipped", start, got)
		}
		h := n.History()
		if len(h) != 4 || h[1].Result != ResultUnreadable || h[1].Offset != 1 || h[3].Author != "mallory" || h[3].Offset != 3 {
			t.Errorf("%s: %+v", start, h)
		}
		stop()
	}
	n := newNode(t, dir, k.Addr())
	stop := n.serve(t)
	third := publish(t, k.Addr(), "2-poison", false)
	n.until(t, "the next revision", func(s Status) bool { return s.Revision == third && s.State == event.ConfigApplied })
	stop()
}

func TestADocumentThatMakesTheNodePanicIsRefused(t *testing.T) {
	k := kafkatest.New(t, event.TopicConfigUpdates)
	first := publish(t, k.Addr(), "", false)
	n := newNode(t, t.TempDir(), k.Addr())
	n.cfg.Apply = func(config.Traffic, string) error { panic("index out of range") }
	stop := n.serve(t)
	n.until(t, "it refuses", func(s Status) bool { return s.RefusedRevision == first })
	if s := n.Status(); !strings.Contains(s.Errors[0], "index out of range") {
		t.Errorf("%+v", s)
	}
	stop()
}

// The console's history waited for the parse of a large document.
func TestStatusAnswersWhileADocumentIsParsed(t *testing.T) {
	k := kafkatest.New(t, event.TopicConfigUpdates)
	first := publish(t, k.Addr(), "", false)
	n := newNode(t, t.TempDir(), k.Addr())
	parsing, goOn := make(chan struct{}), make(chan struct{})
	n.parse = func(doc []byte) (config.Traffic, error) {
		close(parsing)
		<-goOn
		return config.ParseTraffic(doc)
	}
	stop := n.serve(t)
	<-parsing
	if s, h := n.Status(), n.History(); s.Current != first || s.Revision != "" || len(h) != 1 {
		t.Errorf("%+v %+v", s, h)
	}
	close(goOn)
	n.until(t, "it is taken", func(s Status) bool { return s.Revision == first })
	stop()
}

// Sixty records with a comment of nine megabytes, which compress to nothing,
// took six gigabytes of each node, at every start again: history, overrides and
// silences kept whatever text came with them.
func TestTextsOfRecordsAreBounded(t *testing.T) {
	large := strings.Repeat("B", 1<<20)
	now := time.Now().UTC()
	drain := event.ConfigUpdate{ChangeID: "c1", Timestamp: now, Author: large, Node: large, Comment: large, Kind: event.KindOverride,
		Override: event.Override{ServiceID: "shop", InstanceID: "shop-1", Action: event.ActionDrain, Author: large, Reason: large}}
	lost := revision("2-lost", "another", document)
	lost.Author, lost.Comment = large, large
	silence := event.ConfigUpdate{ChangeID: "c2", Timestamp: now, Comment: large, Kind: event.KindSilence,
		Silence: event.Silence{ID: "s", RuleID: "panic", EndsAt: now.Add(time.Hour)}}
	named, labelled, ruled := lost, silence, silence
	named.Revision = large
	labelled.Silence.Labels = map[string]string{"service": large}
	ruled.Silence.RuleID = large
	var s State
	for i, u := range []event.ConfigUpdate{drain, lost, silence, named, labelled, ruled} {
		got := Read(kafka.Default(), kafka.Record{Topic: event.TopicConfigUpdates, Offset: int64(i), Value: u.AppendJSON(nil)})
		if refused := got.refused() != nil; refused != (i > 2) {
			t.Errorf("record %d: refused %v, %v", i, refused, got.Err)
		}
		s.Fold(got)
	}
	if len(s.History) != 6 || len(s.Overrides) != 1 || len(s.Silences) != 1 || !strings.HasPrefix(s.Overrides[0].Reason, "BBB") {
		t.Errorf("%d entries, %d overrides, %d silences", len(s.History), len(s.Overrides), len(s.Silences))
	}
	if kept, err := json.Marshal(s); err != nil || len(kept) > 128<<10 {
		t.Errorf("%d bytes are kept: %v", len(kept), err)
	}
}
