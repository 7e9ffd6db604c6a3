package event_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/smartlb/smartlb/api"
	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/event"
)

// codec is one topic's Decode and Encode without its type.
type codec struct {
	topic  string
	decode func([]byte) (any, error)
	encode func(any) ([]byte, error)
}

type message interface {
	Encode() ([]byte, error)
	AppendJSON([]byte) []byte
	Validate() error
}

func codecOf[T message](topic string, decode func([]byte) (T, error)) codec {
	return codec{
		topic:  topic,
		decode: func(b []byte) (any, error) { return decode(b) },
		encode: func(m any) ([]byte, error) { return m.(T).Encode() },
	}
}

func codecs() []codec {
	return []codec{
		codecOf(event.TopicServiceMetrics, event.DecodeServiceMetrics),
		codecOf(event.TopicHealthStatus, event.DecodeHealthStatus),
		codecOf(event.TopicRoutingDecisions, event.DecodeRoutingDecision),
		codecOf(event.TopicConfigUpdates, event.DecodeConfigUpdate),
		codecOf(event.TopicAlerts, event.DecodeAlert),
		codecOf(event.TopicAuditLogs, event.DecodeAuditLog),
		codecOf(event.TopicMetricsAggregated, event.DecodeMetricsAggregated),
		codecOf(event.TopicHealthScores, event.DecodeHealthScore),
		codecOf(event.TopicNodeStatus, event.DecodeNodeStatus),
		codecOf(event.TopicRateLimits, event.DecodeRateLimits),
		codecOf(event.TopicAccessLogs, event.DecodeAccessLog),
	}
}

// sample is one message of the corpus.
type sample struct {
	name  string
	good  bool
	value []byte
}

func corpus(t testing.TB, topic string) []sample {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + topic + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	var all []sample
	for _, f := range txtar.Parse(raw).Files {
		verdict, name, _ := strings.Cut(f.Name, "/")
		if verdict != "good" && verdict != "bad" {
			t.Fatalf("%s: section %s is neither good/ nor bad/", topic, f.Name)
		}
		all = append(all, sample{name: name, good: verdict == "good", value: f.Data})
	}
	return all
}

// large are messages too big or too deep to be kept in files.
func large() []sample {
	const head = `{"timestamp":"2024-01-15T10:30:00Z","serviceId":"s","instanceId":"i","status":"HEALTHY","checkType":"HTTP","metrics":{"rps":1},`
	nested := func(n int) []byte {
		return []byte(head + `"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}")
	}
	return []sample{
		{"ten-megabytes-of-one-unknown-field", true, []byte(head + `"x":"` + strings.Repeat("y", 10<<20) + `"}`)},
		{"ten-megabytes-of-escapes", true, []byte(head + `"x":"` + strings.Repeat(`\u0041`, 10<<20/6) + `"}`)},
		{"ten-megabytes-of-spaces", true, append([]byte(head+`"x":1}`), bytes.Repeat([]byte(" "), 10<<20)...)},
		{"a-million-numbers", true, []byte(head + `"x":[1` + strings.Repeat(`,1`, 1<<20) + `]}`)},
		{"ten-megabyte-name", false, []byte(head + `"serviceId":"` + strings.Repeat("y", 10<<20) + `"}`)},
		{"nested-60", true, nested(60)},
		{"nested-63", true, nested(63)},
		{"nested-64", false, nested(64)},
		{"nested-100000", false, nested(100_000)},
		{"nested-unended", false, []byte(strings.Repeat(`{"a":`, 100_000))},
	}
}

func compileSchema(t testing.TB, topic string) *jsonschema.Schema {
	t.Helper()
	raw, err := api.Schemas.ReadFile("schemas/" + topic + ".json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(topic, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(topic)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// conforms is the independent judge: the value is JSON text (RFC 8259: UTF-8), nested at most 64 deep, and the
// schema accepts it.
func conforms(s *jsonschema.Schema, b []byte) error {
	if !utf8.Valid(b) {
		return json.Unmarshal([]byte("\xff"), new(any))
	}
	if d := depth(b); d > 64 {
		return &json.UnsupportedValueError{Str: "too deep"}
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

func depth(b []byte) int {
	most, now := 0, 0
	d := json.NewDecoder(bytes.NewReader(b))
	for {
		tok, err := d.Token()
		if err != nil {
			return most
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			now++
			most = max(most, now)
		case json.Delim('}'), json.Delim(']'):
			now--
		}
	}
}

func TestSchemaAndDecodeAgreeOnTheCorpus(t *testing.T) {
	for _, c := range codecs() {
		t.Run(c.topic, func(t *testing.T) {
			schema := compileSchema(t, c.topic)
			samples := corpus(t, c.topic)
			if c.topic == event.TopicServiceMetrics {
				samples = append(samples, large()...)
			}
			for _, s := range samples {
				t.Run(s.name, func(t *testing.T) {
					if err := conforms(schema, s.value); (err == nil) != s.good {
						t.Errorf("schema: good is %v, want %v: %v", err == nil, s.good, err)
					}
					m, err := c.decode(s.value)
					if (err == nil) != s.good {
						t.Fatalf("Decode: good is %v, want %v: %v", err == nil, s.good, err)
					}
					if err == nil {
						roundTrip(t, c, schema, m)
					}
				})
			}
		})
	}
}

// asWritten compares what records say of times and numbers: milliseconds, and the digits that say something.
var asWritten = []cmp.Option{
	cmp.Comparer(func(a, b time.Time) bool { return a.Truncate(time.Millisecond).Equal(b.Truncate(time.Millisecond)) }),
	cmp.Comparer(func(a, b float64) bool { return readable.Number(a) == readable.Number(b) }),
}

// roundTrip encodes a decoded message: schema and Decode accept the result and it says the same.
func roundTrip(t *testing.T, c codec, schema *jsonschema.Schema, m any) {
	t.Helper()
	b, err := c.encode(m)
	if err != nil {
		t.Fatalf("Encode what was decoded: %v", err)
	}
	if err := conforms(schema, b); err != nil {
		t.Fatalf("schema refuses what Encode wrote: %v\n%s", err, b)
	}
	again, err := c.decode(b)
	if err != nil {
		t.Fatalf("Decode refuses what Encode wrote: %v\n%s", err, b)
	}
	if d := diff(m, again, asWritten...); d != "" {
		t.Fatalf("round trip changed the message (-before +after):\n%s", d)
	}
}

// Tools that check a value before they send it know every topic with a schema.
func TestConformsAgreesWithTheCorpus(t *testing.T) {
	for _, c := range codecs() {
		if !event.HasContract(c.topic) {
			t.Errorf("%s has no contract", c.topic)
		}
		for _, m := range corpus(t, c.topic) {
			if err := event.Conforms(c.topic, m.value); (err == nil) != m.good {
				t.Errorf("%s: %s: %v", c.topic, m.name, err)
			}
		}
	}
}
