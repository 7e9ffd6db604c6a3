package mask

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func topicOf(t testing.TB, rules ...Rule) Topic {
	t.Helper()
	for i := range rules {
		if rules[i].Topics == nil {
			rules[i].Topics = []string{"t*"}
		}
	}
	m, ok := Rules(rules).Of("topic")
	if !ok {
		t.Fatal("no rule applies")
	}
	return m
}

func TestFieldsAreHiddenAndTheRestStays(t *testing.T) {
	for _, c := range []struct{ fields, value, want string }{
		{"a", `{"a":1,"b":2}`, `{"a":"***","b":2}`},
		{"a", "{ \"b\" : 2 ,\n \"a\" :  [1, {}] }", "{ \"b\" : 2 ,\n \"a\" :  \"***\" }"},
		{"a.b", `{"a":{"b":"x","c":"y"},"b":"z"}`, `{"a":{"b":"***","c":"y"},"b":"z"}`},
		{"$.a.b", `{"a":{"b":"x"}}`, `{"a":{"b":"***"}}`},
		{"a.b", `{"a":[{"b":1},{"c":2},[{"b":3}]]}`, `{"a":[{"b":"***"},{"c":2},[{"b":"***"}]]}`},
		{"*.phone", `{"ann":{"phone":"1"},"bob":{"phone":"2","x":3}}`, `{"ann":{"phone":"***"},"bob":{"phone":"***","x":3}}`},
		{"a a.b", `{"a":{"b":1}}`, `{"a":"***"}`},
		{"a", `{"a":1,"a":2}`, `{"a":"***","a":"***"}`},
		{"a", `{"\u0061":1}`, `{"\u0061":"***"}`},
		{"a", `{"a":null}`, `{"a":null}`},
		{"a", `[{"a":1},{"a":2}]`, `[{"a":"***"},{"a":"***"}]`},
		{"a", `"text"`, `"text"`},
		{"a", `{"b":1e999}`, `{"b":1e999}`},
		{"a", `{"A":1}`, `{"A":"***"}`}, // Go's decoder, for one, takes it for a
		{"user.Email", `{"User":{"eMail":1,"name":2}}`, `{"User":{"eMail":"***","name":2}}`},
		{"a", `{" a ":1}`, `{" a ":"***"}`},
		{"a", `secret a=1`, `"***"`},
		{"a", `{"b":1} {"a":2}`, `"***"`},
		{"a", `{"b":1`, `"***"`},
		{"a", ``, ``},
	} {
		m := topicOf(t, Rule{Fields: strings.Fields(c.fields)})
		if got := string(m.Value([]byte(c.value))); got != c.want {
			t.Errorf("%s of %s: %s, want %s", c.fields, c.value, got, c.want)
		}
	}
}

func TestKeysAndHeaders(t *testing.T) {
	m := topicOf(t, Rule{Key: true, Headers: []string{"authorization"}})
	if got := m.Key([]byte("k")); string(got) != Hidden {
		t.Errorf("key %q", got)
	}
	if m.Key(nil) != nil || m.Header("authorization", nil) != nil {
		t.Error("something out of nothing")
	}
	if got := m.Header("authorization", []byte("x")); string(got) != Hidden {
		t.Errorf("header %q", got)
	}
	for _, name := range []string{"Authorization", "AUTHORIZATION", " authorization"} {
		if got := m.Header(name, []byte("x")); string(got) != Hidden {
			t.Errorf("header %s: %q", name, got)
		}
	}
	if got := m.Header("other", []byte("x")); string(got) != "x" {
		t.Errorf("other header %q", got)
	}
	if got := m.Value([]byte("not json")); string(got) != "not json" {
		t.Errorf("a value without hidden fields: %q", got)
	}
	if _, ok := (Rules{{Topics: []string{"a", "b?"}, Key: true}}).Of("bcd"); ok {
		t.Error("a rule of other topics applies")
	}
}

func TestMistakesOfRules(t *testing.T) {
	for text, r := range map[string]Rule{
		"topics: missing":   {Key: true},
		"topics[0]":         {Topics: []string{"[a"}, Key: true},
		"nothing is hidden": {Topics: []string{"a"}},
		`fields[1]: "b..c"`: {Topics: []string{"a"}, Fields: []string{"a", "b..c"}},
		`fields[0]: ""`:     {Topics: []string{"a"}, Fields: []string{""}},
	} {
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := (Rule{Topics: []string{"a-*"}, Fields: []string{"a.*.b"}}).Check(); err != nil {
		t.Error(err)
	}
}

// Whatever the value: it stays JSON if it was, and no hidden field is left.
func FuzzNothingHiddenIsLeft(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"b":{"a":[1,2]}}`, `[{"a":"x"}]`, `{"a":{"a":1}}`, `x`, `{"a" :"\u0000"}`, `{"b":"\ud800","a":1}`, `{"A":1,"B":{"A":2}}`} {
		f.Add([]byte(s))
	}
	m := topicOf(f, Rule{Fields: []string{"a", "b.a", "b.*.a"}})
	f.Fuzz(func(t *testing.T, value []byte) {
		before := bytes.Clone(value)
		got := m.Value(value)
		if !bytes.Equal(before, value) {
			t.Fatal("the message was changed")
		}
		if len(value) == 0 {
			return
		}
		var v any
		if err := json.Unmarshal(got, &v); err != nil {
			t.Fatalf("%q of %q is no JSON: %v", got, value, err)
		}
		var look func(v any, in string)
		look = func(v any, in string) {
			switch x := v.(type) {
			case []any:
				for _, e := range x {
					look(e, in)
				}
			case map[string]any:
				for k, e := range x {
					k = strings.ToLower(strings.TrimSpace(k))
					if k == "a" && (in == "" || in == "b") && e != Hidden && e != nil {
						t.Fatalf("%q of %q shows a", got, value)
					}
					if in == "" {
						look(e, k)
					}
				}
			}
		}
		look(v, "")
	})
}
