package promtext

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const page = `# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{method="GET",code="200"} 1027 1395066363000
http_requests_total{method="GET",code="503"} 3
http_requests_total{ method = "POST" , code="500", } 4
busy_workers 6
max_workers 8
odd_total{path="C:\\DIR\\\"x\"\n"} 1.5e2
empty{} 1
none NaN
high +Inf
negative -2
twice{a="1"} NaN
twice{a="2"} 5
latency_bucket{le="+Inf"} 9
this line is { not a series
`

func TestValuesOfAPage(t *testing.T) {
	for text, want := range map[string]Value{
		`http_requests_total`:                            {1034, true},
		`http_requests_total{code=~"5.."}`:               {7, true},
		`http_requests_total{code!~"5.."}`:               {1027, true},
		`http_requests_total{code=~"5"}`:                 {}, // the whole value must match
		`http_requests_total{code!="200", method="GET"}`: {3, true},
		`http_requests_total{method="POST",}`:            {4, true},
		`http_requests_total{zone=""}`:                   {1034, true},
		`http_requests_total{zone="a"}`:                  {},
		`http_requests`:                                  {},
		`busy_workers / max_workers`:                     {.75, true},
		`busy_workers/4`:                                 {1.5, true},
		`busy_workers / missing`:                         {},
		`busy_workers / negative`:                        {},
		`missing / busy_workers`:                         {},
		`http_requests_total{code="503"} / http_requests_total{method="GET"}`: {3. / 1030, true},
		`odd_total{path="C:\\DIR\\\"x\"\n"}`:                                  {150, true},
		`empty`:                                                               {1, true},
		`none`:                                                                {},
		`high`:                                                                {},
		`negative`:                                                            {-2, true},
		`twice`:                                                               {5, true},
		`latency_bucket{le="+Inf"}`:                                           {9, true},
	} {
		e, err := ParseExpr(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := Read(strings.NewReader(page), []Expr{e})
		if err != nil || got[0] != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestMistakesInExpressionsAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "want the name of a metric",
		"5":                       "want the name of a metric",
		"{a=\"1\"}":               "want the name of a metric",
		"a b":                     "want the end, or / and a divisor",
		"a /":                     "want the name of a metric",
		"a / 0":                   "want a number above 0 after /",
		"a / -1":                  "want a number above 0 after /",
		"a / 1e99":                "want a number above 0 after /",
		"a / b / c":               "want the end",
		"a{":                      "want the name of a label",
		"a{b}":                    "want =, !=, =~ or !~ after the label b",
		"a{b==\"1\"}":             "want the value of the label b in quotes",
		"a{b=1}":                  "want the value of the label b in quotes",
		"a{b=`1`}":                "want the value of the label b in quotes",
		"a{b=\"1\" c=\"2\"}":      "want , or } after a label",
		"a{b=\"1\"":               "want , or } after a label",
		"a{b=~\"(\"}":             "missing closing )",
		"a{b=~\"x{900}y{900}\"}":  "is too large",
		strings.Repeat("a", 1025): "longer than 1024 bytes",
		"a{" + strings.Repeat("b=\"\",", 17) + "}": "more than 16 labels",
	} {
		if _, err := ParseExpr(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.50s: got %v, want %s", text, err, want)
		}
	}
}

func TestDottedNames(t *testing.T) {
	e, err := ParseDotted(`http.server.request-duration{http.response.status_code=~"5.."} / pool.size`)
	if err != nil {
		t.Fatal(err)
	}
	code := func(value string) func(string) string {
		return func(name string) string {
			if name == "http.response.status_code" {
				return value
			}
			return ""
		}
	}
	if e.Of.Name != "http.server.request-duration" || e.By.Name != "pool.size" || !e.Of.Matches(code("503")) || e.Of.Matches(code("200")) || e.Of.Matches(code("")) {
		t.Errorf("got %+v", e)
	}
	for _, text := range []string{".a", "a{.b=\"1\"}", "a{-b=\"1\"}", "a..b /"} {
		if _, err := ParseDotted(text); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
	if _, err := ParseExpr("a.b"); err == nil {
		t.Error("a page of Prometheus has no dots in names")
	}
}

// endless is a page without an end.
type endless struct {
	line string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.line[e.at]
		e.at = (e.at + 1) % len(e.line)
	}
	return len(p), nil
}

func TestHostilePagesEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		page io.Reader
		want error
	}{
		"no end":                {&endless{line: "other_metric 1\n"}, ErrLarge},
		"no end of a line":      {&endless{line: "x"}, ErrLine},
		"too many series":       {&endless{line: "a 1\n"}, ErrSeries},
		"no number":             {strings.NewReader("a\n"), errValue},
		"a word as number":      {strings.NewReader("b 1\na one\n"), errValue},
		"labels without an end": {strings.NewReader(`a{b="1`), errLabels},
		"too many labels":       {strings.NewReader("a{" + strings.Repeat(`b="1",`, 200) + "} 1\n"), errLabels},
		"a broken connection":   {io.MultiReader(strings.NewReader("a 1\n"), broken{}), io.ErrUnexpectedEOF},
	} {
		e, _ := ParseExpr(`a{b!="2"}`)
		if got, err := Read(tc.page, []Expr{e}); !errors.Is(err, tc.want) || got != nil {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// What client_golang writes is read as it is meant.
func TestPageOfClientGolang(t *testing.T) {
	r := prometheus.NewRegistry()
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total"}, []string{"path"})
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "took_seconds", Buckets: []float64{1}})
	r.MustRegister(c, h)
	c.WithLabelValues(`a"b\c` + "\n").Add(3)
	h.Observe(.5)
	h.Observe(2)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&out, f); err != nil {
			t.Fatal(err)
		}
	}
	var exprs []Expr
	for _, text := range []string{`requests_total{path="a\"b\\c\n"}`, `took_seconds_count`, `took_seconds_bucket{le="1"}`, `took_seconds_sum`} {
		e, err := ParseExpr(text)
		if err != nil {
			t.Fatal(err)
		}
		exprs = append(exprs, e)
	}
	got, err := Read(&out, exprs)
	if diff := cmp.Diff([]Value{{3, true}, {2, true}, {1, true}, {2.5, true}}, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// FuzzRead compares with the parser of Prometheus: what both accept has the same sum.
func FuzzRead(f *testing.F) {
	f.Add([]byte(page))
	f.Add([]byte("a{b=\"c\"} 1\na 2 3\n"))
	e, _ := ParseExpr(`a{b!="x"}`)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Read(bytes.NewReader(b), []Expr{e})
		if err != nil {
			return
		}
		if math.IsNaN(got[0].V) || math.IsInf(got[0].V, 0) {
			t.Fatalf("%v", got)
		}
		p := expfmt.NewTextParser(model.LegacyValidation)
		families, err := p.TextToMetricFamilies(bytes.NewReader(b))
		if err != nil || families["a"] == nil {
			return
		}
		want := Value{}
		for _, m := range families["a"].Metric {
			other := false
			for _, l := range m.Label {
				other = other || l.GetName() == "b" && l.GetValue() == "x"
			}
			var v float64
			switch {
			case m.Untyped != nil:
				v = m.Untyped.GetValue()
			case m.Gauge != nil:
				v = m.Gauge.GetValue()
			case m.Counter != nil:
				v = m.Counter.GetValue()
			default:
				return // a histogram or a summary has other names
			}
			if !other && math.Abs(v) <= maxValue {
				want.V, want.Known = want.V+v, true
			}
		}
		if want.Known != got[0].Known || math.Abs(want.V-got[0].V) > 1e-6*math.Abs(want.V)+1 {
			t.Fatalf("got %v, want %v", got[0], want)
		}
	})
}
