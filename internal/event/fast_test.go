package event

import (
	"os"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
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

func BenchmarkDecodeServiceMetrics(b *testing.B) {
	raw := seedMessage(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeServiceMetrics(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeServiceMetricsGeneric(b *testing.B) {
	raw := seedMessage(b)
	b.ReportAllocs()
	for b.Loop() {
		var m ServiceMetrics
		if err := decode(raw, &m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendServiceMetrics(b *testing.B) {
	m, err := DecodeServiceMetrics(seedMessage(b))
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		dst = m.AppendJSON(dst[:0])
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
