package filter_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/kafka/filter"
)

func TestTermsChoose(t *testing.T) {
	r := record()
	r.Headers = append(r.Headers, filter.Header{Key: "trace", Value: []byte("A1")}, filter.Header{Key: "trace", Value: []byte("b2")}, filter.Header{Key: "none"})
	for _, c := range []struct {
		terms filter.Terms
		want  bool
	}{
		{filter.Terms{}, true},
		{filter.Terms{Text: "US-EAST rps"}, true},
		{filter.Terms{Text: "us-west"}, false},
		{filter.Terms{Text: `"us east"`}, false},   // together, and there is a dash between them
		{filter.Terms{Text: "proxy/a USER"}, true}, // a header and the key
		{filter.Terms{Text: "smartlb-rep"}, true},  // the name of a header
		{filter.Terms{Key: "USER"}, true},
		{filter.Terms{Key: `"user"`}, false},
		{filter.Terms{Key: `"user-service"`}, true},
		{filter.Terms{Header: "trace"}, true},
		{filter.Terms{Header: "trace: B2"}, true}, // any of two headers of one name
		{filter.Terms{Header: "trace:c"}, false},
		{filter.Terms{Header: "none"}, true},
		{filter.Terms{Header: "Trace"}, false}, // names of headers are exact
		{filter.Terms{Path: "metrics.rps > 150"}, true},
		{filter.Terms{Path: "metrics.rps > 150", Text: "eu-west"}, false},
		{filter.Terms{Where: "size > 10", Path: "tags.region ~ EAST"}, true},
	} {
		m, err := c.terms.Compile()
		if err != nil {
			t.Errorf("%+v: %v", c.terms, err)
			continue
		}
		if got := match(t, m, r); got != c.want {
			t.Errorf("%+v is %v", c.terms, got)
		}
	}
}

func TestNoKeyIsNotAnEmptyOne(t *testing.T) {
	m, err := filter.Terms{Key: `""`}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if !match(t, m, filter.Record{Key: []byte{}}) || match(t, m, filter.Record{}) {
		t.Error(`"" is the empty key and nothing else`)
	}
}

func TestEveryMistakeOfTheTermsIsNamed(t *testing.T) {
	_, err := filter.Terms{Text: `"open`, Header: ":x", Path: "a[", Where: "key == 1 +"}.Compile()
	for _, term := range []string{"text", "header", "json", "where"} {
		if err == nil || !strings.Contains(err.Error(), term+": ") {
			t.Errorf("%s is not in %v", term, err)
		}
	}
	var m *filter.Mistake
	_, err = filter.Compile("key == 'a' &&\n  valeu.x > 1")
	if !errors.As(err, &m) || m.Line != 2 || m.Column != 3 {
		t.Errorf("the mistake is at %+v", m)
	}
}

func TestPathsInJSON(t *testing.T) {
	const doc = `{"metrics":{"cpu":0.95,"n":5,"none":null,"odd name":{"x":true}},"tags":{"region":"us-east-1","five":"5"},"list":[{"id":"Order-1"},{"id":"b"}],"reasons":["late","slow"]}`
	for path, want := range map[string]bool{
		"":                               true,
		"$":                              true,
		"metrics.cpu":                    true,
		"$.metrics.cpu > 0.9":            true,
		"metrics.cpu>0.95":               false,
		"metrics.cpu >= 0.95":            true,
		"metrics.gone":                   false,
		"metrics.gone == 1":              false,
		"metrics.gone != 1":              true,
		"metrics.n != 4":                 true,
		"metrics.n == 5":                 true,
		`metrics.n == "5"`:               false,
		`tags.five == "5"`:               true,
		"tags.five == 5":                 false,
		"tags.region == us-east-1":       true,
		`tags.region == "us-east-1"`:     true,
		"tags.region ~ EAST":             true,
		"tags.region > us":               true,
		"metrics['odd name'].x == true":  true,
		`metrics["odd name"].x == false`: false,
		"metrics.none == null":           true,
		"metrics.n == null":              false,
		"list[0].id == Order-1":          true,
		"list[-1].id == b":               true,
		"list[9].id == b":                false,
		"list[*].id ~ order":             true,
		"list[*].id ~ nobody":            false,
		"reasons[*] == slow":             true,
		"metrics[0]":                     false,
		"list.id":                        false,
	} {
		m, err := filter.Terms{Path: path + " "}.Compile()
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if got := match(t, m, filter.Record{Value: []byte(doc)}); got != want {
			t.Errorf("%s is %v", path, got)
		}
	}
	for path, want := range map[string]string{"a..b": "a name", "a[": "not closed", "a[x]": "no index", "a ==": "nothing to compare", "a b": "is expected", "a > true": "no order", "['x": "not closed"} {
		if _, err := filter.ParsePath(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q", path, err, want)
		}
	}
}

// Finding words without a copy is the same as finding them in a copy in lower case.
func TestWordsAreFoundInAnyCase(t *testing.T) {
	letters := rapid.StringOfN(rapid.RuneFrom([]rune("aAbBzZ [é")), 0, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		text, word := letters.Draw(t, "text"), rapid.StringOfN(rapid.RuneFrom([]rune("aAbBzZ[é")), 1, 3, -1).Draw(t, "word")
		m, err := filter.Terms{Text: word}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Contains(strings.ToLower(text), strings.ToLower(word))
		if got := match(t, m, filter.Record{Value: []byte(text)}); got != want {
			t.Fatalf("%q in %q: %v", word, text, got)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"$.a.b[0]", "a[*].b ~ x", "['a b'] != null", "a >= 1e5"} {
		f.Add(s, []byte(`{"a":[{"b":1}]}`))
	}
	f.Fuzz(func(t *testing.T, source string, value []byte) {
		if m, err := (filter.Terms{Path: source}).Compile(); err == nil {
			match(t, m, filter.Record{Value: value})
		}
	})
}
