package filter_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/filter"
)

func record() filter.Record {
	return filter.Record{
		Topic: "service-metrics", Partition: 2, Offset: 41, Timestamp: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Key: []byte("user-service"), Value: []byte(`{"serviceId":"user-service","metrics":{"rps":150.5,"errorRate":0.02},"tags":{"region":"us-east-1"}}`),
		Headers: []filter.Header{{Key: "smartlb-reporter", Value: []byte("proxy/a")}},
	}
}

func TestExpressionsSeeTheWholeRecord(t *testing.T) {
	for source, want := range map[string]bool{
		`value.metrics.rps > 100`:                                    true, // JSON numbers are doubles, 100 is an int
		`value.metrics.rps == 150.5 && partition == 2`:               true,
		`key == "user-service" && offset >= 41`:                      true,
		`key.startsWith("order")`:                                    false,
		`headers["smartlb-reporter"].startsWith("proxy/")`:           true,
		`"other" in headers`:                                         false,
		`has(value.metrics.cpuUsage) && value.metrics.cpuUsage > .5`: false,
		`timestamp > timestamp("2026-01-01T00:00:00Z")`:              true,
		`size > 10 && text.contains("us-east")`:                      true,
		`value.tags.region.matches("^us-")`:                          true,
		`topic == "service-metrics"`:                                 true,
		`true`:                                                       true,
		`value == null`:                                              false,
		`value.?tags.?zone.orValue("none") == "none"`:                true,
	} {
		f, err := filter.Compile(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got := match(t, f, record()); got != want {
			_, why := f.Undecided()
			t.Errorf("%s is %v, want %v (%s)", source, got, want, why)
		}
	}
}

func TestValuesThatAreNoJSONAreTextAndTombstonesAreNull(t *testing.T) {
	for _, row := range []struct {
		source string
		value  []byte
		want   bool
	}{
		{`value == "plain text"`, []byte("plain text"), true},
		{`value == null`, nil, true},
		{`value == null`, []byte("null"), true},
		{`value == null`, []byte{}, false},
		{`size == 0 && value != null`, []byte{}, true},
		{`value == b"\xff\xfe"`, []byte("\xff\xfe"), true},
		{`value[1] == 2.0`, []byte("[1,2]"), true},
		{`key == null`, []byte("x"), true},
	} {
		f, err := filter.Compile(row.source)
		if err != nil {
			t.Fatal(err)
		}
		if got := match(t, f, filter.Record{Value: row.value}); got != row.want {
			t.Errorf("%s of %q is %v", row.source, row.value, got)
		}
	}
}

func TestARecordOfWhichTheFilterIsNeitherTrueNorFalseIsCounted(t *testing.T) {
	f, err := filter.Compile(`value.metrics.latency > 5`)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if match(t, f, record()) {
			t.Error("a missing field matches")
		}
	}
	if n, why := f.Undecided(); n != 2 || !strings.Contains(why, "latency") {
		t.Errorf("undecided: %d, %q", n, why)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for source, want := range map[string]string{
		`valeu.x > 1`:               "valeu",
		`value.x >`:                 "column 1:10: the expression ends where a value is expected",
		`value..x == 1`:             "column 1:7: Syntax error: no viable alternative at input '..'",
		`offset + 1`:                "the result is of type int",
		`key == 1 + ""`:             "no matching overload",
		``:                          "the expression is empty",
		strings.Repeat("(", 70_000): "more than",
		strings.Repeat("!", 5_000):  "",
		strings.Repeat("[", 5_000):  "",
	} {
		if _, err := filter.Compile(source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q gives %v, want %q", source, err, want)
		}
	}
}

func TestAnExpensiveExpressionEnds(t *testing.T) {
	list := "[" + strings.TrimSuffix(strings.Repeat("1,", 500), ",") + "]"
	f, err := filter.Compile(list + ".all(a, " + list + ".all(b, " + list + ".all(c, a + b + c > 0)))")
	if err != nil {
		t.Fatal(err)
	}
	if match(t, f, record()) {
		t.Error("it matches")
	}
	if _, why := f.Undecided(); !strings.Contains(why, "cost") {
		t.Errorf("it ended with %q", why)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(`value.metrics.rps > 100`, []byte(`{"metrics":{"rps":1}}`))
	f.Add(`key.matches("(a+)+$")`, []byte("x"))
	f.Add(`[1,2].map(x, x*x).exists(y, y == value)`, []byte("4"))
	f.Add(`text.replace("", text).split("").join(text).size() < 0`, []byte("xxxxxxxx"))
	f.Add(`"%s %d".format([value, 1]).reverse().charAt(2) == "é"`, []byte(`{"a":[1,2.5,null]}`))
	f.Add(`optional.of([value, value]).hasValue() && text.lastIndexOf("é", 1) < text.indexOf("b", 1)`, []byte(`éa`))
	f.Fuzz(func(t *testing.T, source string, value []byte) {
		c, err := filter.Compile(source)
		if err != nil {
			return
		}
		match(t, c, filter.Record{Key: value, Value: value})
	})
}

func BenchmarkMatch(b *testing.B) {
	f, err := filter.Compile(`value.metrics.rps > 100 && key == "user-service"`)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		match(b, f, record())
	}
}

// matcher is a Filter or a Matcher.
type matcher interface {
	Match(ctx context.Context, r filter.Record) (bool, error)
}

// failer is the part of testing.TB that rapid has too.
type failer interface{ Fatal(args ...any) }

func match(t failer, m matcher, r filter.Record) bool {
	yes, err := m.Match(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return yes
}
