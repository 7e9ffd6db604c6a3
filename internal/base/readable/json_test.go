package readable

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestJSONKeepsEverythingButLongNumbers(t *testing.T) {
	for in, want := range map[string]string{
		`{"rps":242.2894312639593,"n":3}`:                       `{"rps":242.289,"n":3}`,
		`[2.000000100000005,-0.30000000000000004]`:              `[2,-0.3]`,
		`{"text":"242.2894312639593 \" 2.000000100000005"}`:     `{"text":"242.2894312639593 \" 2.000000100000005"}`,
		`{"a\\":"\\","b":1.23456789}`:                           `{"a\\":"\\","b":1.235}`,
		`12345678901234567890`:                                  `12345678901234567890`,
		`{"big":9007199254740993,"exact":1.5,"zero":0.0}`:       `{"big":9007199254740993,"exact":1.5,"zero":0.0}`,
		`1.23456789e-9`:                                         `1.23e-09`,
		`[1.00049,0.00012345]`:                                  `[1,0.000123]`,
		`{"at":"2026-11-28T14:03:07.123456789Z","x":[],"y":{}}`: `{"at":"2026-11-28T14:03:07.123456789Z","x":[],"y":{}}`,
	} {
		if got := string(JSON([]byte(in))); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

// Whatever comes: valid JSON stays valid and of the same shape, its numbers close to what they were, and its input is not written to.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1.23456789,"1.23456789",null,true]}`, `"\\\""`, `-1.5e-300`, `{"":{"":0.1234567}}`, `[`, `"`, `1.`, `-`, `1e999`, `"\`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		got := JSON(in)
		if !bytes.Equal(in, before) {
			t.Fatal("the input was written to")
		}
		if !json.Valid(in) {
			return
		}
		if !json.Valid(got) {
			t.Fatalf("%s became %s", in, got)
		}
		if again := JSON(got); !bytes.Equal(got, again) {
			t.Fatalf("%s became %s, then %s", in, got, again)
		}
		var a, b any
		if json.Unmarshal(in, &a) == nil && json.Unmarshal(got, &b) == nil && !same(a, b) {
			t.Fatalf("%s became %s", in, got)
		}
	})
}

func same(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && (a == b || math.Abs(b/a-1) <= .051)
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k := range a {
			if !same(a[k], b[k]) {
				return false
			}
		}
		return true
	case string:
		b, ok := b.(string)
		return ok && strings.Compare(a, b) == 0
	}
	return a == b
}
