package event

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"
)

// The hand-written code is held against the generic code, by the corpus and by fuzzing.

func sameMetrics(t *testing.T, b []byte) {
	fast, fastErr := decodeServiceMetrics(b)
	var slow ServiceMetrics
	slowErr := decode(b, &slow)
	if (fastErr == nil) != (slowErr == nil) {
		t.Fatalf("by hand: %v\ngeneric: %v\n%q", fastErr, slowErr, b)
	}
	if fastErr != nil {
		return
	}
	for _, o := range []*Optional{&slow.Metrics.CPUUsage, &slow.Metrics.MemoryUsage, &slow.Metrics.Utilization} {
		o.Value = min(o.Value, 1)
	}
	if d := cmp.Diff(slow, fast); d != "" {
		t.Fatalf("(-generic +by hand)\n%s", d)
	}
	if d := cmp.Diff(string(appendObject(nil, reflect.ValueOf(&slow).Elem())), string(appendServiceMetrics(nil, &fast))); d != "" {
		t.Fatalf("encoded (-generic +by hand)\n%s", d)
	}
}

func sameHealth(t *testing.T, b []byte) {
	fast, fastErr := decodeHealthStatus(b)
	var slow HealthStatus
	slowErr := decode(b, &slow)
	if (fastErr == nil) != (slowErr == nil) {
		t.Fatalf("by hand: %v\ngeneric: %v\n%q", fastErr, slowErr, b)
	}
	if fastErr != nil {
		return
	}
	if d := cmp.Diff(slow, fast); d != "" {
		t.Fatalf("(-generic +by hand)\n%s", d)
	}
	if d := cmp.Diff(string(appendObject(nil, reflect.ValueOf(&slow).Elem())), string(appendHealthStatus(nil, &fast))); d != "" {
		t.Fatalf("encoded (-generic +by hand)\n%s", d)
	}
}

func FuzzByHandIsGeneric(f *testing.F) {
	for _, topic := range []string{TopicServiceMetrics, TopicHealthStatus} {
		raw, err := os.ReadFile("testdata/" + topic + ".txtar")
		if err != nil {
			f.Fatal(err)
		}
		for _, s := range txtar.Parse(raw).Files {
			f.Add(s.Data)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		sameMetrics(t, b)
		sameHealth(t, b)
	})
}

func seedMessage(b testing.TB) []byte {
	raw, err := os.ReadFile("testdata/" + TopicServiceMetrics + ".txtar")
	if err != nil {
		b.Fatal(err)
	}
	return txtar.Parse(raw).Files[0].Data
}

// flat has the fields of ServiceMetrics for a library, which checks nothing but types.
type flat struct {
	Timestamp  time.Time `json:"timestamp"`
	ServiceID  string    `json:"serviceId"`
	InstanceID string    `json:"instanceId"`
	Metrics    struct {
		RPS               float64 `json:"rps"`
		P95Latency        float64 `json:"p95Latency"`
		ErrorRate         float64 `json:"errorRate"`
		ActiveConnections float64 `json:"activeConnections"`
		CPUUsage          float64 `json:"cpuUsage"`
		MemoryUsage       float64 `json:"memoryUsage"`
	} `json:"metrics"`
	Tags map[string]string `json:"tags"`
}

// BenchmarkDecode compares ways to read the seed's message; docs/design/structure.md has figures. With
// GOEXPERIMENT=jsonv2, encoding/json stands on json/v2.
func BenchmarkDecode(b *testing.B) {
	raw := seedMessage(b)
	for name, decode := range map[string]func() error{
		"by-hand":       func() error { _, err := DecodeServiceMetrics(raw); return err },
		"generic":       func() error { var m ServiceMetrics; return decode(raw, &m) },
		"encoding-json": func() error { var m flat; return json.Unmarshal(raw, &m) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := decode(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEncode compares ways to write it.
func BenchmarkEncode(b *testing.B) {
	raw := seedMessage(b)
	m, err := DecodeServiceMetrics(raw)
	if err != nil {
		b.Fatal(err)
	}
	var f flat
	if err := json.Unmarshal(raw, &f); err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 1024)
	for name, encode := range map[string]func(){
		"by-hand":       func() { dst = m.AppendJSON(dst[:0]) },
		"generic":       func() { dst = appendObject(dst[:0], reflect.ValueOf(&m).Elem()) },
		"encoding-json": func() { dst, _ = json.Marshal(&f) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				encode()
			}
		})
	}
}

func TestAppendServiceMetricsAllocatesNothing(t *testing.T) {
	m, err := DecodeServiceMetrics(seedMessage(t))
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { dst = m.AppendJSON(dst[:0]) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRoutingDecisionByHandIsGeneric(t *testing.T) {
	text := rapid.OneOf(rapid.Just(""), rapid.SampledFrom([]string{"user-service-1", "ü\"\\\n\x00\xff", "5xx"}))
	number := rapid.OneOf(rapid.Just(0.0), rapid.Float64())
	optional := rapid.Custom(func(t *rapid.T) Optional {
		if rapid.Bool().Draw(t, "known") {
			return Some(number.Draw(t, "value"))
		}
		return Optional{}
	})
	instant := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "set") {
			return time.Unix(0, rapid.Int64().Draw(t, "ns")).In(time.FixedZone("", 3600))
		}
		return time.Time{}
	})
	generators := map[reflect.Type]func(*rapid.T) any{
		reflect.TypeFor[string]():    func(t *rapid.T) any { return text.Draw(t, "text") },
		reflect.TypeFor[float64]():   func(t *rapid.T) any { return number.Draw(t, "number") },
		reflect.TypeFor[Optional]():  func(t *rapid.T) any { return optional.Draw(t, "optional") },
		reflect.TypeFor[time.Time](): func(t *rapid.T) any { return instant.Draw(t, "instant") },
		reflect.TypeFor[bool]():      func(t *rapid.T) any { return rapid.Bool().Draw(t, "bool") },
		reflect.TypeFor[int]():       func(t *rapid.T) any { return rapid.IntRange(-1, 600).Draw(t, "int") },
		reflect.TypeFor[int64]():     func(t *rapid.T) any { return rapid.Int64().Draw(t, "int64") },
		reflect.TypeFor[uint64]():    func(t *rapid.T) any { return rapid.Uint64().Draw(t, "uint64") },
	}
	var fill func(t *rapid.T, v reflect.Value)
	fill = func(t *rapid.T, v reflect.Value) {
		if generate, ok := generators[v.Type()]; ok {
			v.Set(reflect.ValueOf(generate(t)))
			return
		}
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				fill(t, v.Field(i))
			}
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), rapid.IntRange(0, 3).Draw(t, "length"), 3))
			for i := range v.Len() {
				fill(t, v.Index(i))
			}
		default:
			t.Fatalf("no generator for %v", v.Type())
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var d RoutingDecision
		fill(t, reflect.ValueOf(&d).Elem())
		generic := string(appendObject(nil, reflect.ValueOf(&d).Elem()))
		if diff := cmp.Diff(generic, string(d.AppendJSON(nil))); diff != "" {
			t.Fatalf("encoded (-generic +by hand)\n%s", diff)
		}
	})
}

func TestAppendRoutingDecisionAllocatesNothing(t *testing.T) {
	d := RoutingDecision{
		Timestamp: time.Unix(1, 0), Node: "n", Kind: KindDecision, RequestID: "r", ServiceID: "s", Policy: "adaptive",
		Candidates: []Candidate{{InstanceID: "a", LatencyMs: Some(2)}, {InstanceID: "b", Cost: 1.5, Distance: "region"}},
		Excluded:   []Exclusion{{InstanceID: "c", Reason: "ejected", Until: time.Unix(2, 0)}},
		Outcome:    Outcome{Status: 200, Sent: true, HeadMs: Some(1)},
	}
	dst := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { dst = d.AppendJSON(dst[:0]) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
