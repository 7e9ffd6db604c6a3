package sign

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
)

func ring(t testing.TB, ids ...string) *Ring {
	t.Helper()
	var c Config
	for _, id := range ids {
		c.Keys = append(c.Keys, Key{id, "${env:" + "KEY}"})
	}
	r, err := c.Ring(func(string) string { return strings.Repeat("s", minSecret) }, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestASignatureHoldsForItsRecordAlone(t *testing.T) {
	r := ring(t, "a")
	h := r.Sign("config-updates", []byte("k"), []byte("v"), at)
	if v := r.Verify("config-updates", []byte("k"), []byte("v"), h); v.State != Signed || v.Key != "a" || !v.At.Equal(at) {
		t.Fatalf("%+v", v)
	}
	other := bytes.Replace(h, []byte(fmt.Sprint(at.UnixMilli())), []byte(fmt.Sprint(at.UnixMilli()+1)), 1)
	for name, v := range map[string]Verdict{
		"another topic": r.Verify("alerts", []byte("k"), []byte("v"), h),
		"another key":   r.Verify("config-updates", []byte("K"), []byte("v"), h),
		"another value": r.Verify("config-updates", []byte("k"), []byte("w"), h),
		"moved bytes":   r.Verify("config-updates", []byte("kv"), nil, h),
		"another time":  r.Verify("config-updates", []byte("k"), []byte("v"), other),
		"another id":    ring(t, "b").Verify("config-updates", []byte("k"), []byte("v"), h),
		"no text":       r.Verify("config-updates", []byte("k"), []byte("v"), []byte("x")),
		"cut":           r.Verify("config-updates", []byte("k"), []byte("v"), h[:len(h)-1]),
		"long":          r.Verify("config-updates", []byte("k"), []byte("v"), append(h, make([]byte, 1<<20)...)),
		"doubled":       r.Verify("config-updates", []byte("k"), []byte("v"), append(append(bytes.Clone(h), ' '), h...)),
	} {
		if v.State != Bad || !v.Refused() {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if v := r.Verify("config-updates", nil, nil, nil); v.State != Unsigned || !v.Refused() {
		t.Errorf("without a header: %+v", v)
	}
}

func TestTheFirstKeySignsAndBothVerify(t *testing.T) {
	old, both, next := ring(t, "old"), ring(t, "next", "old"), ring(t, "next")
	for _, c := range []struct {
		name     string
		by, for_ *Ring
		want     State
	}{
		{"old for both", old, both, Signed}, {"both for both", both, both, Signed}, {"both for next", both, next, Signed},
		{"both for old", both, old, Bad}, {"old for next", old, next, Bad}, {"nobody for nobody", nil, nil, Unchecked},
		{"nobody for both", nil, both, Unsigned}, {"both for nobody", both, nil, Unchecked},
	} {
		if v := c.for_.Verify("t", nil, nil, c.by.Sign("t", nil, nil, at)); v.State != c.want {
			t.Errorf("%s: %v", c.name, v.State)
		}
	}
}

func TestKeysAreCheckedAndNeverPrinted(t *testing.T) {
	env := func(v string) func(string) string { return func(string) string { return v } }
	for name, c := range map[string]Config{
		"three keys": {Keys: []Key{{"a", "${env:A}"}, {"b", "${env:A}"}, {"c", "${env:A}"}}},
		"one id":     {Keys: []Key{{"a", "${env:A}"}, {"a", "${env:A}"}}},
		"bad id":     {Keys: []Key{{"a b", "${env:A}"}}}, "no id": {Keys: []Key{{"", "${env:A}"}}},
		"literal": {Keys: []Key{{"a", "hunter2"}}}, "no secret": {Keys: []Key{{"a", ""}}},
	} {
		if _, err := c.Ring(env(NewSecret()), os.ReadFile); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (Config{Keys: []Key{{"a", "${env:A}"}}}).Ring(env("short"), os.ReadFile); err == nil || strings.Contains(err.Error(), "short") {
		t.Errorf("a short secret: %v", err)
	}
	secret := NewSecret()
	r, err := Config{Keys: []Key{{"a", "${file:/k}"}}}.Ring(env(""), func(string) ([]byte, error) { return []byte(secret + "\n"), nil })
	if err != nil || len(secret) != 44 {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "ring", r)
	if text := fmt.Sprintf("%v %+v %#v %s", r, r, r, r) + log.String(); strings.Contains(text, secret) || strings.Contains(text, fmt.Sprint([]byte(secret)[:4])) {
		t.Errorf("printed: %s", text)
	}
	if _, err := (Config{Keys: []Key{{"a", "${file:/k}"}}}).Ring(env(""), func(string) ([]byte, error) { return nil, errors.New("gone") }); err == nil {
		t.Error("a file that is not there")
	}
	c, err := ParseKeys("a=${file:/run/a}, b=${env:B}")
	if err != nil || len(c.Keys) != 2 || c.Keys[1] != (Key{"b", "${env:B}"}) {
		t.Errorf("%+v %v", c, err)
	}
	if _, err := ParseKeys("a"); err == nil {
		t.Error("no reference")
	}
}

func FuzzOnlySignedHeadersVerify(f *testing.F) {
	r := ring(f, "a")
	good := r.Sign("t", []byte("k"), []byte("v"), at)
	f.Add(good, []byte("k"), []byte("v"))
	f.Add([]byte("v1 a 0 00"), []byte{}, []byte{})
	f.Add([]byte("v1 a 9223372036854775808 zz"), []byte("k"), []byte("v"))
	f.Fuzz(func(t *testing.T, header, key, value []byte) {
		signed := bytes.Equal(header, good) && string(key) == "k" && string(value) == "v"
		v := r.Verify("t", key, value, header)
		upper := bytes.EqualFold(header, good) && string(key) == "k" && string(value) == "v" // hex in capitals
		if (v.State == Signed) != signed && !upper {
			t.Errorf("%q: %+v", header, v)
		}
	})
}
