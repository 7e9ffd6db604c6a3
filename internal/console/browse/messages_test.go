package browse_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// No value, an empty one and the text null are three things; so with keys, and
// with headers, of which there may be several of one name.
func TestWhatIsNotThereIsNotEmpty(t *testing.T) {
	b, cfg, _ := browser(t, "t")
	ship(t, cfg, "t", -1,
		kafka.Record{},
		kafka.Record{Key: []byte{}, Value: []byte{}},
		kafka.Record{Key: []byte("null"), Value: []byte("null"), Headers: []kafka.Header{{Key: "a"}, {Key: "a", Value: []byte{}}, {Key: "a", Value: []byte{0xff}}}},
	)
	var f found
	if _, err := b.Search(t.Context(), query(t, "t", "order", "oldest"), &f); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range f.all {
		m.Timestamp = m.Timestamp.Truncate(24 * 365 * 100 * 3600e9)
		text, err := json.Marshal(m.Message)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), `Z"`)
		got = append(got, rest)
	}
	want := []string{`}`, `,"key":"","value":""}`, `,"key":"null","value":"null","headers":[{"key":"a"},{"key":"a","value":""},{"key":"a","valueBase64":"/w=="}]}`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestALargeValueIsReadInParts(t *testing.T) {
	b, cfg, _ := browser(t, "t")
	value := []byte(strings.Repeat("aé€𝄞", 90_000)) // characters of one to four bytes
	ship(t, cfg, "t", -1, kafka.Record{Key: bytes.Repeat([]byte("k"), 100_000), Value: value})
	var whole []byte
	for from := 0; from < len(value); {
		d, err := b.Message(t.Context(), "t", 0, 0, from, browse.MaxPreview)
		if err != nil {
			t.Fatal(err)
		}
		if d.Message.Value == nil || d.From != from || d.Bytes == 0 || d.Message.ValueSize != len(value) || !d.Message.ValueCut || !d.Message.KeyCut || len(*d.Message.Key) != browse.MaxPreview {
			t.Fatalf("from %d: %d %d of %d, text %v", from, d.From, d.Bytes, d.Message.ValueSize, d.Message.Value != nil)
		}
		if d.Batch == nil || d.Batch.Compression != "zstd" || d.Batch.Bytes > 10_000 {
			t.Fatalf("batch %+v", d.Batch)
		}
		whole = append(whole, *d.Message.Value...)
		from += d.Bytes
	}
	if !bytes.Equal(whole, value) {
		t.Error("the parts are not the whole")
	}
	raw, err := b.Raw(t.Context(), "t", 0, 0, false)
	if err != nil || !bytes.Equal(raw, value) {
		t.Errorf("raw: %d bytes, %v", len(raw), err)
	}
	if _, err := b.Message(t.Context(), "t", 0, 1, 0, 100); !errors.Is(err, browse.ErrNoMessage) {
		t.Errorf("an offset at the end: %v", err)
	}
}

func TestTheContractOfATopicIsChecked(t *testing.T) {
	b, cfg, _ := browser(t, event.TopicServiceMetrics, "other")
	ship(t, cfg, event.TopicServiceMetrics, -1, kafka.Record{Value: []byte(`{"timestamp":"2026-01-01T00:00:00Z","serviceId":"a","instanceId":"b","metrics":{"errorRate":7}}`)}, kafka.Record{})
	d, err := b.Message(t.Context(), event.TopicServiceMetrics, 0, 0, 0, 10)
	if err != nil || d.Message.Check == nil || d.Message.Check.Conforms || !strings.Contains(strings.Join(d.Message.Check.Errors, "\n"), "metrics.errorRate") {
		t.Errorf("%+v %v", d.Message.Check, err)
	}
	if d, err = b.Message(t.Context(), event.TopicServiceMetrics, 0, 1, 0, 10); err != nil || d.Message.Check != nil || d.Message.Value != nil {
		t.Errorf("a tombstone: %+v %v", d, err)
	}
	ship(t, cfg, "other", -1, kafka.Record{Value: []byte("{")})
	if d, err = b.Message(t.Context(), "other", 0, 0, 0, 10); err != nil || d.Message.Check != nil {
		t.Errorf("a topic without contract: %+v %v", d.Message.Check, err)
	}
}

// However a value is cut, text stays text, and nothing is lost but its end.
func TestCutsDoNotSplitCharacters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(rapid.String().Draw(t, "text"))
		n := rapid.IntRange(0, 20).Draw(t, "n")
		part, cut := browse.CutText(text, n)
		if !bytes.HasPrefix(text, part) || len(part) > n && len(text) > n || cut != (len(part) < len(text)) || !utf8.Valid(part) || cut && len(part) < n-3 {
			t.Fatalf("%q cut at %d is %q", text, n, part)
		}
	})
}
