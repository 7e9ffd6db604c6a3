package filter_test

import (
	"runtime"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/kafka/filter"
)

// measured evaluates an expression once and gives the bytes that it allocated.
func measured(t *testing.T, source string, r filter.Record) (yes bool, why string, allocated uint64) {
	t.Helper()
	f, err := filter.Compile(source)
	if err != nil {
		t.Fatalf("%.200s: %v", source, err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	yes = match(t, f, r)
	runtime.ReadMemStats(&after)
	_, why = f.Undecided()
	return yes, why, after.TotalAlloc - before.TotalAlloc
}

// value.n % 2 had no overload, because every number of JSON was a double, and
// 9007199254740993 was equal to 9007199254740992.
func TestIntegersOfJSONAreIntegers(t *testing.T) {
	for _, row := range []struct {
		value, source string
		want          bool
	}{
		{`{"n":7}`, `value.n % 2 == 1`, true},
		{`{"n":9007199254740993}`, `value.n == 9007199254740993`, true},
		{`{"n":9007199254740993}`, `value.n == 9007199254740992`, false},
		{`{"n":9007199254740993}`, `value.n > 9007199254740992`, true},
		{`{"n":-9223372036854775808}`, `value.n < -9223372036854775807`, true},
		{`{"n":18446744073709551615}`, `value.n == 18446744073709551615u && value.n % 2 == 1`, true},
		{`{"n":18446744073709551615}`, `value.n > 18446744073709551614u`, true},
		{`[9007199254740993]`, `9007199254740993 in value && !(9007199254740992 in value)`, true},
		{`{"n":150}`, `value.n * 1.5 == 225.0`, true}, // the same field may have a fraction in the next message
		{`{"n":150.5}`, `value.n * 2 > 300 && value.n + 1 > 151`, true},
		{`{"n":3}`, `value.n / 2 == 1 && value.n / 2.0 == 1.5`, true},
		{`{"n":1.0}`, `value.n == 1`, true},
		{`{"n":1e3}`, `value.n == 1000`, true},
	} {
		yes, why, _ := measured(t, row.source, filter.Record{Value: []byte(row.value)})
		if yes != row.want {
			t.Errorf("%s of %s is %v (%s)", row.source, row.value, yes, why)
		}
	}
	for _, row := range []struct {
		value, path string
		want        bool
	}{
		{`{"n":9007199254740993}`, "n == 9007199254740993", true},
		{`{"n":9007199254740993}`, "n == 9007199254740992", false},
		{`{"n":9007199254740993}`, "n > 9007199254740992", true},
		{`{"n":9007199254740993}`, "n != 9007199254740992", true},
		{`{"n":9007199254740993}`, "n == 9007199254740992.0", false}, // an integer is not rounded to be equal
		{`{"n":18446744073709551615}`, "n > 18446744073709551614", true},
		{`{"n":-9223372036854775808}`, "n < -9223372036854775807", true},
		{`{"n":1}`, "n == 1.0", true},
		{`{"n":1.0}`, "n == 1", true},
		{`{"n":0.5}`, "n < 1", true},
	} {
		m, err := filter.Terms{Path: row.path}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		if got := match(t, m, filter.Record{Value: []byte(row.value)}); got != row.want {
			t.Errorf("%s of %s is %v", row.path, row.value, got)
		}
	}
}

// Paths and expressions agree about integers, whatever they are.
func TestIntegersAreOrderedExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		near := rapid.SampledFrom([]int64{0, 1 << 53, 1<<62 + 1, -1 << 53}).Draw(t, "near")
		a, b := near+rapid.Int64Range(-3, 3).Draw(t, "a"), near+rapid.Int64Range(-3, 3).Draw(t, "b")
		value := []byte(`{"n":` + str(a) + `}`)
		for op, want := range map[string]bool{"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b} {
			m, err := filter.Terms{Path: "n " + op + " " + str(b), Where: "value.n " + op + " " + str(b)}.Compile()
			if err != nil {
				t.Fatal(err)
			}
			n, err := filter.Terms{Path: "n " + op + " " + str(b)}.Compile()
			if err != nil {
				t.Fatal(err)
			}
			if got := match(t, m, filter.Record{Value: value}); got != want || match(t, n, filter.Record{Value: value}) != want {
				t.Fatalf("%d %s %d is %v", a, op, b, got)
			}
		}
	})
}

// A message of 10 MB may hold five million lists, or one in ten million.
func TestHostileJSONIsNotParsed(t *testing.T) {
	const size = 8 << 20
	list := func(part string) []byte { return []byte("[" + strings.Repeat(part+",", size/(len(part)+1)) + "1]") }
	for name, value := range map[string][]byte{
		"deep lists":    []byte(strings.Repeat("[", 5000) + strings.Repeat("]", 5000)),
		"deep objects":  []byte(strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)),
		"many lists":    list("[]"),
		"many objects":  list("{}"),
		"objects":       list(`{"":0}`),
		"many numbers":  list("1"),
		"many texts":    list(`""`),
		"one object":    []byte(`{"a":1` + strings.Repeat(`,"a":1`, size/6) + `}`),
		"many integers": list("123456789012345678"),
	} {
		_, why, allocated := measured(t, `value == null`, filter.Record{Value: value})
		if why == "" || allocated > 64<<20 {
			t.Errorf("%s: %q, %d MiB", name, why, allocated>>20)
		}
		m, err := filter.Terms{Path: "a == 1"}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		if match(t, m, filter.Record{Value: value}) {
			t.Errorf("%s: the path matches", name)
		}
		if n, why := m.Undecided(); n != 1 || !strings.Contains(why, "the value") {
			t.Errorf("%s: undecided %d, %q", name, n, why)
		}
	}
	// What only looks like it is text, and strings may hold any brackets.
	for _, row := range []struct {
		value  []byte
		source string
	}{
		{[]byte(strings.Repeat("[", 1000)), `value == text`},
		{[]byte(strings.Repeat("[", 200_000)), `value == text`},
		{[]byte(strings.Repeat("a,", 200_000)), `value == text`},
		{[]byte(`{"a":"` + strings.Repeat(`[{,\"`, 100_000) + `"}`), `value.a.startsWith("[{,")`},
		{[]byte(`[1e999]`), `value == text`},
		{[]byte(strings.Repeat("[", 150) + strings.Repeat("]", 150)), `value[0][0] != null`},
	} {
		if yes, why, _ := measured(t, row.source, filter.Record{Value: row.value}); !yes {
			t.Errorf("%s of %.20q: %s", row.source, row.value, why)
		}
	}
}

// "> .9" and "> 90%" were compared as text, so that nothing matched and nothing said so.
func TestTypingMistakesOfPathsAreUnderstoodOrNamed(t *testing.T) {
	for path, want := range map[string]bool{
		"n > .9": true, "n > -.5": true, "n > +.9": true, "n >= 1.": true, "n == +1": true, "n > 1e-1": true, "n < 1E1": true,
		"s == 'us-east-1'": true, "s > 'us'": true, `s == "90%"`: false, "day > 2026-01-01": true, "day < 2026-01-02T10:00:00Z": true,
		"version >= 1.2.3": true, "s == 5s": false, "s ~ 90%": false, "s ~ = x": false,
	} {
		m, err := filter.Terms{Path: path}.Compile()
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if got := match(t, m, filter.Record{Value: []byte(`{"n":1,"s":"us-east-1","day":"2026-01-02","version":"1.3.0"}`)}); got != want {
			t.Errorf("%s is %v", path, got)
		}
	}
	for path, want := range map[string]string{
		"n > 90%": "0.9", "n == 90%": "0.9", "n > 12.5 %": "0.125", "n > 0,9": "0.9", "n == 0,9": "0.9", "n > 1_000": "1000", "n > 1 000": "1000", "n > 1,000": "1000",
		"n > 5s": "without a unit", "n > 100ms": "100", "n > 10MB": "10", "n > 3/4": "3", "n > NaN": "a number", "n < -Infinity": "a number",
		"n > > 5": "not expected", "n > = 5": "not expected", "n == = 5": "not expected", "n => 5": "is expected", "n = 5": "is expected", "n <> 5": "not expected",
		"a == x && b == y": "where", "n > 5 || n < 3": "where", "b == True": "true", "b == FALSE": "false", "x == None": "null", "x == nil": "null", "x == NULL": "null",
		`s == "open`: "not closed", "s == 'open": "not closed", "n == 18446744073709551616": "64 bits", "n > -9223372036854775809": "64 bits", "n > 1e999": "too large",
	} {
		if _, err := (filter.Terms{Path: path}).Compile(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q", path, err, want)
		}
	}
}

func TestAPathThatNoRecordHasIsNoted(t *testing.T) {
	for path, want := range map[string]string{
		"metrics.rqs > 1":       "no value of the 1 records",
		"metrics.rps > x":       "it is text in none",
		"tags.region > 5":       "it is a number in none",
		"metrics.rps > 1000":    "",
		"metrics.rps":           "",
		"tags.region == 'nope'": "",
		"":                      "",
	} {
		m, err := filter.Terms{Path: path}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		if notes := m.Notes(); len(notes) > 0 {
			t.Errorf("%s: %v before any record", path, notes)
		}
		match(t, m, record())
		notes := strings.Join(m.Notes(), "; ")
		if want == "" && notes != "" || !strings.Contains(notes, want) {
			t.Errorf("%s: %q, want %q", path, notes, want)
		}
	}
}

func str(n int64) string { return strconv.FormatInt(n, 10) }
