//go:build !race

// These tests calculate much in one goroutine: the race detector would only make them slow.

package filter_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/filter"
)

func sequence(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = strconv.Itoa(i)
	}
	return strings.Join(all, ",")
}

func numbers(n int) string {
	return "[" + strings.TrimSuffix(strings.Repeat("1,", n), ",") + "]"
}

// A viewer searched with text.replace("", "B"*3000).replace("", "C"*4000), which
// made 8 GB of a message of a kilobyte and ended the process. Every function
// and literal that can make something large of something small is of the kind.
func TestNoExpressionTakesMuchMemory(t *testing.T) {
	doubled := func(begin, each string, n int) string { // each uses %[1]s for what was before and %[2]d for a name
		out := begin
		for i := range n {
			out = fmt.Sprintf(each, out, i)
		}
		return out
	}
	value := []byte(`{"text":"` + strings.Repeat("x", 4000) + `","list":[1,2,3,4,5,6,7,8,9,10]}`)
	for name, source := range map[string]string{
		"replace of nothing":       `text.replace("", "` + strings.Repeat("B", 3000) + `").replace("", "` + strings.Repeat("C", 4000) + `").size() < 0`,
		"replace of a letter":      `text.replace("x", text).replace("x", text).replace("x", text).size() < 0`,
		"replace at most":          `text.replace("", text, 100000000).replace("", text, 100000000).size() < 0`,
		"join":                     numbers(500) + `.map(i, text).join(text).replace("x", "yy").size() < 0 || ` + numbers(500) + `.map(i, text).map(j, ` + numbers(100) + `.map(k, text).join(text)).join("").size() < 0`,
		"split":                    numbers(500) + `.map(i, text.split("")).size() < 0`,
		"+ of text":                doubled("text", `[%[1]s].map(a%[2]d, a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d)[0]`, 6) + ".size() < 0",
		"+ of bytes":               doubled("bytes(text)", `[%[1]s].map(a%[2]d, a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d)[0]`, 6) + ".size() < 0",
		"+ of lists":               doubled("value.list", `[%[1]s].map(a%[2]d, a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d + a%[2]d)[0]`, 6) + `.map(x, [x, x, x, x]).map(x, x + x + x + x + x + x + x + x) == []`,
		"lists of one list":        doubled("value.list", `[%[1]s].map(a%[2]d, [a%[2]d, a%[2]d, a%[2]d, a%[2]d, a%[2]d, a%[2]d, a%[2]d, a%[2]d, a%[2]d, a%[2]d])[0]`, 7) + " == []",
		"maps of one map":          doubled("value", `[%[1]s].map(a%[2]d, {"a":a%[2]d,"b":a%[2]d,"c":a%[2]d,"d":a%[2]d,"e":a%[2]d,"f":a%[2]d,"g":a%[2]d,"h":a%[2]d,"i":a%[2]d,"j":a%[2]d,"k":a%[2]d,"l":a%[2]d,"m":a%[2]d,"n":a%[2]d,"o":a%[2]d,"p":a%[2]d,"q":a%[2]d,"r":a%[2]d,"s":a%[2]d,"t":a%[2]d})[0]`, 5) + " == {}",
		"format of a list":         `"%s%s%s%s%s%s%s%s".format([text,text,text,text,text,text,text,text]).replace("x", text).size() < 0`,
		"format of shared lists":   `"%s".format([` + doubled("text", `[%[1]s].map(a%[2]d, [a%[2]d, a%[2]d, a%[2]d, a%[2]d, a%[2]d, a%[2]d, a%[2]d, a%[2]d])[0]`, 7) + `]).size() < 0`,
		"format of doubles":        `"%s".format([` + numbers(100) + `.map(i, ` + numbers(500) + `.map(j, 1e308))]).size() < 0`,
		"quote":                    `[text].map(a, strings.quote(a)).map(a, strings.quote(a + a + a)).map(a, strings.quote(a + a + a)).map(a, strings.quote(a + a + a + a)).map(a, strings.quote(a + a + a + a)).map(a, strings.quote(a+a+a+a+a+a)).map(a, a+a+a+a+a+a+a+a+a+a)[0].size() < 0`,
		"nested macros":            numbers(300) + `.map(a, ` + numbers(300) + `.map(b, ` + numbers(300) + `.map(c, text))) == []`,
		"texts in a list":          numbers(600) + `.map(a, ` + numbers(600) + `.map(b, text + text)).size() < 0`,
		"case and reverse":         numbers(600) + `.map(a, ` + numbers(600) + `.map(b, text.upperAscii().lowerAscii().reverse())).size() < 0`,
		"conversions":              numbers(600) + `.map(a, ` + numbers(600) + `.map(b, string(bytes(text)))).size() < 0`,
		"a pattern with repeats":   `text.matches("((x{100}){100}){50}")`,
		"a pattern of classes":     "[" + sequence(60) + `].exists(i, "a".matches("` + strings.Repeat(`\\pL`, 1300) + `" + string(i)))`,
		"a pattern out of a value": `text.matches(text.replace("x", "(x?){50}"))`,
		"optional values":          doubled("optional.of(value)", `[%[1]s].map(a%[2]d, optional.of([a%[2]d, a%[2]d, a%[2]d, a%[2]d, a%[2]d, a%[2]d, a%[2]d, a%[2]d]))[0]`, 7) + ` == optional.none()`,
	} {
		yes, why, allocated := measured(t, source, filter.Record{Value: value})
		if allocated > 512<<20 { // with what was garbage at once; the race detector doubles it
			t.Errorf("%s: it allocated %d MiB", name, allocated>>20)
		}
		if yes || why == "" && name != "case and reverse" {
			t.Errorf("%s: %v, and ended with %q", name, yes, why)
		}
	}
}

// Work that allocates little: what is looked for in a large message, compared,
// or matched again and again.
func TestNoExpressionTakesLong(t *testing.T) {
	large := []byte(strings.Repeat("x", 4<<20))
	for name, source := range map[string]string{
		"indexOf":            numbers(900) + `.all(a, ` + numbers(900) + `.all(b, text.indexOf(text.substring(2000000)) == 2000000))`,
		"matches":            numbers(900) + `.all(a, ` + numbers(900) + `.all(b, !text.matches("(x*x*x*x*)*y")))`,
		"a large pattern":    `text.matches("` + strings.Repeat("(x?x?)*", 200) + `y")`,
		"contains":           numbers(900) + `.all(a, ` + numbers(900) + `.all(b, !text.contains("xxxxxxxxxy")))`,
		"charAt":             numbers(900) + `.all(a, ` + numbers(900) + `.all(b, text.charAt(4000000) == "x"))`,
		"equal texts":        numbers(900) + `.map(a, text) == ` + numbers(900) + `.map(a, text)`,
		"in":                 numbers(900) + `.all(a, ` + numbers(900) + `.all(b, !(text + "y" in ` + numbers(50) + `.map(c, text))))`,
		"zones of time":      numbers(900) + `.all(a, ` + numbers(900) + `.all(b, timestamp.getHours("Europe/Berlin") > -1))`,
		"a product of loops": numbers(900) + `.all(a, ` + numbers(900) + `.all(b, ` + numbers(900) + `.all(c, true)))`,
	} {
		_, why, allocated := measured(t, source, filter.Record{Value: large})
		if !strings.Contains(why, "cost") {
			t.Errorf("%s: it ended with %q", name, why)
		}
		if allocated > 400<<20 {
			t.Errorf("%s: it allocated %d MiB", name, allocated>>20)
		}
	}
}

// What is nested in an expression costs time before it is evaluated: types are
// checked in time with the third power of nested lists.
func TestExpressionsAreBoundedBeforeTheirTypesAreChecked(t *testing.T) {
	nested := func(open, shut string, n int) string { return strings.Repeat(open, n) + "1" + strings.Repeat(shut, n) }
	chain := "optional.of(value)"
	for i := range 400 {
		chain += fmt.Sprintf(".optMap(a%d,a%d)", i, i)
	}
	for name, source := range map[string]string{
		"lists":         nested("[", "]", 90) + " == []",
		"maps":          nested("{1:", "}", 90) + " == {}",
		"lists in row":  strings.Repeat(nested("[", "]", 17)+" == [] || ", 200) + "true",
		"macros":        nested("[1].map(x, ", ")", 40) + " == []",
		"a chain":       chain + ".hasValue()",
		"fields":        "value" + strings.Repeat(".a", 5000) + " == 1",
		"brackets":      nested("(", ")", 5000),
		"conditions":    strings.Repeat("true ? true : ", 1000) + "true",
		"sums":          strings.Repeat("1+", 7000) + "1 > 0",
		"numbers":       numbers(7000) + " == []",
		"many mistakes": strings.Repeat("a==1||", 2000) + "b",
		"syntax":        strings.Repeat(") ] } ", 2000),
	} {
		_, err := filter.Compile(source)
		if err == nil {
			t.Errorf("%s: it is compiled", name)
			continue
		}
		if n := len(err.Error()); n > 20_000 {
			t.Errorf("%s: the error has %d bytes", name, n)
		}
	}
}

func TestOrCannotHideThatAnExpressionCostsTooMuch(t *testing.T) {
	yes, why, _ := measured(t, `text.replace("", text).replace("", text).size() < 0 || true`, filter.Record{Value: []byte(strings.Repeat("x", 1000))})
	if yes || !strings.Contains(why, "costs too much") {
		t.Errorf("it is %v, and ended with %q", yes, why)
	}
}

// The budget is of one evaluation: the next record has all of it.
func TestEachRecordHasTheWholeBudget(t *testing.T) {
	f, err := filter.Compile(`text.upperAscii().contains("X")`)
	if err != nil {
		t.Fatal(err)
	}
	r := filter.Record{Value: []byte(strings.Repeat("x", 3<<20))}
	for i := range 20 {
		if !match(t, f, r) {
			_, why := f.Undecided()
			t.Fatalf("record %d: %s", i, why)
		}
	}
}

func TestAnEvaluationEndsWithItsContext(t *testing.T) {
	f, err := filter.Compile(numbers(900) + `.all(a, ` + numbers(900) + `.all(b, !text.contains("xxxxy")))`)
	if err != nil {
		t.Fatal(err)
	}
	stopped := errors.New("the page was closed")
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(10*time.Millisecond, func() { cancel(stopped) })
	yes := false
	for err == nil { // each evaluation alone would end by its budget
		yes, err = f.Match(ctx, filter.Record{Value: []byte(strings.Repeat("x", 100_000))})
	}
	if yes || !errors.Is(err, stopped) {
		t.Errorf("%v, %v", yes, err)
	}
}

// The functions that take the place of CEL's answer as CEL's documentation says.
func TestFunctionsOverText(t *testing.T) {
	for source, want := range map[string]bool{
		`"tacocat".charAt(3) == "o" && "aé!".charAt(1) == "é" && "ab".charAt(2) == ""`:                       true,
		`"hello mellow".indexOf("ello") == 1 && "hello mellow".indexOf("ello", 2) == 7`:                      true,
		`"hello".indexOf("") == 0 && "hello".indexOf("", 9) == 5 && "hello".indexOf("z") == -1`:              true,
		`"éé!é".indexOf("!") == 2 && "éé!é".indexOf("é", 2) == 3`:                                            true,
		`"hello mellow".lastIndexOf("ello") == 7 && "hello mellow".lastIndexOf("ello", 6) == 1`:              true,
		`"hello".lastIndexOf("") == 5 && "hello".lastIndexOf("zz") == -1 && "éaéa".lastIndexOf("a", 2) == 1`: true,
		`"hello".lastIndexOf("hello world, hello") == -1`:                                                    true,
		`"tacocat".substring(4) == "cat" && "tacocat".substring(0, 4) == "taco" && "éa".substring(1) == "a"`: true,
		`"TacoCÆt Xii".lowerAscii() == "tacocÆt xii" && "tacocæt".upperAscii() == "TACOCæT"`:                 true,
		`"gums".reverse() == "smug" && "aé".reverse() == "éa"`:                                               true,
		`"a b c".split(" ") == ["a", "b", "c"] && "a b c".split(" ", 2) == ["a", "b c"]`:                     true,
		`"abab".replace("a", "x") == "xbxb" && "abab".replace("a", "x", 1) == "xbab"`:                        true,
		`["a", "b"].join("-") == "a-b" && "%s=%d".format(["n", 3]) == "n=3"`:                                 true,
		`"foobar".matches("^fo+b") && !matches("x", "y")`:                                                    true,
		`text.matches(key)`: true,
		`[1, 2] + [3] == [1, 2, 3] && {"a": 1} != {"a": 2} && b"a" + b"b" == b"ab"`: true,
		`"x" in ["x", "y"] && !("z" in {"x": 1})`:                                   true,
	} {
		yes, why, _ := measured(t, source, filter.Record{Key: []byte("^te"), Value: []byte("text")})
		if yes != want || why != "" {
			t.Errorf("%s is %v (%s)", source, yes, why)
		}
	}
	for _, source := range []string{`"a".charAt(2) == ""`, `"a".substring(-1) == ""`, `"a".substring(1, 0) == ""`, `"a".substring(0, 2) == ""`, `"a".indexOf("a", -1) == 0`, `"a".lastIndexOf("a", -1) == 0`, `text.matches("(")`} {
		if yes, why, _ := measured(t, source, filter.Record{Value: []byte("x")}); yes || why == "" {
			t.Errorf("%s is %v, without an error", source, yes)
		}
	}
}
