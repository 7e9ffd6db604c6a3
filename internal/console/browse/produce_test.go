package browse_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/telemetry/analysis"
)

func text(s string) *string { return &s }

func TestProduceSendsOneMessageAndSaysWhere(t *testing.T) {
	b, _, _ := browser(t, "t:3", event.TopicAlerts)
	to := int32(2)
	m := browse.NewMessage{Message: records.Message{Key: text("k"), ValueBase64: text("/w=="), Headers: []records.MessageHeader{{Key: "h"}}}, To: &to}
	if p, err := b.Produce(t.Context(), "t", m, true); err != nil || p.Partition != nil || p.ValueSize != 1 {
		t.Errorf("preview: %+v %v", p, err)
	}
	p, err := b.Produce(t.Context(), "t", m, false)
	if err != nil || *p.Partition != 2 || *p.Offset != 0 || len(p.SHA256) != 64 {
		t.Fatalf("%+v %v", p, err)
	}
	d, err := b.Message(t.Context(), "t", 2, 0, 0, 10)
	if err != nil || *d.Message.ValueBase64 != "/w==" || *d.Message.Key != "k" || len(d.Message.Headers) != 1 || d.Message.Headers[0].Value != nil {
		t.Errorf("%+v %v", d, err)
	}
	wrong := browse.NewMessage{Message: records.Message{Value: text("{}")}}
	if p, err := b.Produce(t.Context(), event.TopicAlerts, wrong, true); err != nil || p.Check == nil || p.Check.Conforms {
		t.Errorf("preview of what does not conform: %+v %v", p, err)
	}
	if _, err := b.Produce(t.Context(), event.TopicAlerts, wrong, false); !errors.Is(err, browse.ErrNotSent) {
		t.Errorf("what does not conform: %v", err)
	}
	wrong.Anyway = true
	if _, err := b.Produce(t.Context(), event.TopicAlerts, wrong, false); err != nil {
		t.Errorf("anyway: %v", err)
	}
	for what, m := range map[string]browse.NewMessage{
		"nothing":        {},
		"both values":    {Message: records.Message{Key: text("k"), Value: text("a"), ValueBase64: text("YQ==")}},
		"more than 10MB": {Message: records.Message{Value: text(strings.Repeat("x", kafka.MaxValueBytes+1))}},
	} {
		if _, err := b.Produce(t.Context(), "t", m, true); !errors.Is(err, browse.ErrNotSent) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := b.Produce(t.Context(), "nobody", m, true); !errors.Is(err, admin.ErrNoTopic) {
		t.Errorf("no topic: %v", err)
	}
}

// refused is a dead letter of a record of topic t.
func refused(original kafka.Record, keep int) kafka.Record {
	return kafka.Record{Key: []byte("service"), Value: original.Value[:min(keep, len(original.Value))], Headers: []kafka.Header{
		{Key: analysis.HeaderSourceTopic, Value: []byte("t")}, {Key: analysis.HeaderSourcePartition, Value: fmt.Append(nil, original.Partition)},
		{Key: analysis.HeaderSourceOffset, Value: fmt.Append(nil, original.Offset)}, {Key: analysis.HeaderSize, Value: fmt.Append(nil, len(original.Value))},
	}}
}

func TestDeadLettersGoBackOnceAndWhole(t *testing.T) {
	b, cfg, _ := browser(t, "t:1", "t.dlq:1")
	originals := []kafka.Record{
		{Key: []byte("own key"), Value: []byte("a long value"), Headers: []kafka.Header{{Key: "h", Value: []byte("v")}}},
		{Offset: 1, Value: []byte("short")},
	}
	ship(t, cfg, "t", 0, originals...)
	gone := kafka.Record{Offset: 77, Value: []byte("not there any more")}
	ship(t, cfg, "t.dlq", 0,
		refused(originals[0], 6), refused(originals[1], 100), refused(gone, 3), refused(gone, 100), kafka.Record{Value: []byte("from nowhere")})
	q := query(t, "t.dlq", "order", "oldest")
	want := browse.Redrive{
		Letters: 5, Ready: 3, Bytes: 0, Targets: []browse.RedriveTarget{{Topic: "t", Messages: 3}},
		Left: []browse.RedriveLeft{
			{Reason: "no header names its source", Messages: 1, First: "0:4"},
			{Reason: "only the beginning of its value was kept, and its topic no longer has the original", Messages: 1, First: "0:2"},
		},
	}
	for _, dry := range []bool{true, false} {
		got, err := b.Redrive(t.Context(), browse.RedriveSpec{Topic: "t.dlq", Query: q, Dry: dry})
		if err != nil {
			t.Fatal(err)
		}
		if want.Sent = 3; dry {
			want.Sent = 0
		}
		got.Bytes = 0
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("dry %v: %s", dry, diff)
		}
	}
	var back []kafka.Record
	for chunk, err := range records.Consume(t.Context(), cfg, records.ConsumeSpec{Topic: "t", Beginning: true}) {
		if err != nil {
			t.Fatal(err)
		}
		back = append(back, chunk.Records...)
	}
	if len(back) != 5 {
		t.Fatalf("%d records in t", len(back))
	}
	first := back[2]
	if mark, _ := first.Header(browse.HeaderRedrive); string(first.Key) != "own key" || string(first.Value) != "a long value" || string(mark) != "t.dlq/0/0" || len(first.Headers) != 2 {
		t.Errorf("sent back: %q %q %v", first.Key, first.Value, first.Headers)
	}
	picks, err := browse.ParsePicks("0:0,0:1,0:3")
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.Redrive(t.Context(), browse.RedriveSpec{Topic: "t.dlq", Picks: picks})
	if err != nil || again.Sent != 0 || len(again.Left) != 1 || again.Left[0].Messages != 3 {
		t.Errorf("a second time: %+v %v", again, err)
	}
	if _, err := b.Redrive(t.Context(), browse.RedriveSpec{Topic: "t", Query: q, Dry: true}); !errors.Is(err, browse.ErrRedrive) {
		t.Errorf("from another topic: %v", err)
	}
}

// letterTo is a dead letter that claims to come from an offset of a topic. Anybody
// who may write dead letters can write one.
func letterTo(topic string, offset, size int, value string) kafka.Record {
	return kafka.Record{Value: []byte(value), Headers: []kafka.Header{
		{Key: analysis.HeaderSourceTopic, Value: []byte(topic)}, {Key: analysis.HeaderSourcePartition, Value: []byte("0")},
		{Key: analysis.HeaderSourceOffset, Value: fmt.Append(nil, offset)}, {Key: analysis.HeaderSize, Value: fmt.Append(nil, size)},
	}}
}

func TestARedriveToAReservedTopicNeedsTheRight(t *testing.T) {
	b, cfg, _ := browser(t, "config-updates:1", "t:1", "t.dlq:1")
	ship(t, cfg, "t.dlq", 0, letterTo("config-updates", 0, 2, "{}"), letterTo("t", 0, 2, "{}"))
	q := query(t, "t.dlq", "order", "oldest")
	got, err := b.Redrive(t.Context(), browse.RedriveSpec{Topic: "t.dlq", Query: q})
	if err != nil || got.Sent != 1 || len(got.Targets) != 1 || got.Targets[0].Topic != "t" || len(got.Left) != 1 || !strings.Contains(got.Left[0].Reason, "needs the role admin") {
		t.Errorf("an operator: %+v %v", got, err)
	}
	got, err = b.Redrive(t.Context(), browse.RedriveSpec{Topic: "t.dlq", Query: q, Reserved: true})
	if err != nil || got.Sent != 1 || got.Targets[0].Topic != "config-updates" {
		t.Errorf("an admin: %+v %v", got, err)
	}
}

// Whoever may write dead letters wrote one for each guess of a masked field: the
// preview of the redrive said of the right one that it was ready.
func TestARedriveTellsNothingOfMaskedValues(t *testing.T) {
	b, cfg, _ := browser(t, "veiled:1", "v.dlq:1")
	const secret = `{"secret":"swordfish","open":1}`
	ship(t, cfg, "veiled", 0, kafka.Record{Value: []byte(secret)})
	guesses := []kafka.Record{letterTo("veiled", 0, len(secret), secret[:15]), letterTo("veiled", 0, len(secret), `{"secret":"tuna`), letterTo("veiled", 0, 5000, secret[:15]), letterTo("veiled", 0, len(secret), "x")}
	ship(t, cfg, "v.dlq", 0, guesses...)
	var first browse.Redrive
	for i := range guesses {
		got, err := b.Redrive(t.Context(), browse.RedriveSpec{Topic: "v.dlq", Picks: browse.Picks{0: {int64(i)}}, Dry: true})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = got
		}
		got.Left, first.Left = nil, nil
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("guess %d is told from the first: %s", i, diff)
		}
	}
	if want := int64(len(`{"secret":"***","open":1}`)); first.Ready != 1 || first.Bytes < want || first.Bytes > want+40 { // with the mark of the redrive
		t.Errorf("%+v", first)
	}
}

// What is hidden is neither shown, nor found, nor told by any other way; what
// goes back from a dead-letter topic is whole.
func TestWhatIsHiddenIsNotFound(t *testing.T) {
	b, cfg, _ := browser(t, "veiled")
	ship(t, cfg, "veiled", -1, kafka.Record{Value: []byte(`{"secret":"swordfish","open":1}`)})
	for _, term := range [][]string{{"text", "swordfish"}, {"where", `value.secret == "swordfish"`}, {"json", "secret == swordfish"}} {
		for _, order := range []string{"newest", "oldest"} {
			var f found
			if _, err := b.Search(t.Context(), query(t, "veiled", append(term, "order", order)...), &f); err != nil || len(f.all) != 0 {
				t.Errorf("%v finds it: %v", term, err)
			}
		}
	}
	shown := map[string]string{}
	var f found
	if _, err := b.Search(t.Context(), query(t, "veiled"), &f); err != nil {
		t.Fatal(err)
	}
	shown["search"] = *f.all[0].Value
	d, err := b.Message(t.Context(), "veiled", 0, 0, 0, 1000)
	if err != nil || !d.Masked {
		t.Fatal(err)
	}
	shown["message"] = *d.Message.Value
	raw, err := b.Raw(t.Context(), "veiled", 0, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	shown["raw"] = string(raw)
	for _, order := range []string{"newest", "oldest"} {
		if _, err := b.Export(t.Context(), query(t, "veiled", "order", order), func(r kafka.Record) error { shown["export "+order] = string(r.Value); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	all, _ := watch(t, b, query(t, "veiled"), 1, func(all browse.Live, _ []error) bool { return len(all.Messages) > 0 })
	shown["live"] = *all.Messages[0].Value
	for where, value := range shown {
		if value != `{"secret":"***","open":1}` {
			t.Errorf("%s shows %s", where, value)
		}
	}
}
