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
		name             string
		signer, verifier *Ring
		want             State
	}{
		{"old for both", old, both, Signed}, {"both for both", both, both, Signed}, {"both for next", both, next, Signed},
		{"both for old", both, old, Bad}, {"old for next", old, next, Bad}, {"nobody for nobody", nil, nil, Unchecked},
		{"nobody for both", nil, both, Unsigned}, {"both for nobody", both, nil, Unchecked},
	} {
		if v := c.verifier.Verify("t", nil, nil, c.signer.Sign("t", nil, nil, at)); v.State != c.want {
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

// A key of a deployment tool speaks for its services, and changes no routing.
func TestReportersSpeakForTheirServicesAlone(t *testing.T) {
	secret := func(c string) func(string) string {
		return func(string) string { return strings.Repeat(c, minSecret) }
	}
	team, err := Config{Keys: []Key{{"shop-team", "${env:T}"}}}.Ring(secret("t"), os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	node, err := Config{
		Keys:      []Key{{"k1", "${env:N}"}},
		Reporters: []Reporter{{Key{"shop-team", "${env:T}"}, []string{"shop"}}},
	}.Ring(func(name string) string { return secret(strings.ToLower(name))("") }, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range append(Topics(), "service-metrics") {
		v := node.Verify(topic, []byte("k"), []byte("v"), team.Sign(topic, []byte("k"), []byte("v"), at))
		if want := topic == "health-status" || topic == "service-metrics"; (v.State == Signed) != want || v.SpeaksFor("shop") != want || v.SpeaksFor("bank") {
			t.Errorf("%s: %+v", topic, v)
		}
	}
	if v := node.Verify("health-status", nil, nil, node.Sign("health-status", nil, nil, at)); !v.SpeaksFor("bank") {
		t.Errorf("a node's key speaks for every service: %+v", v)
	}
	if (Verdict{}).SpeaksFor("shop") {
		t.Error("a record without keys speaks for a service")
	}
	if team.Verify("health-status", nil, nil, node.Sign("health-status", nil, nil, at)).State != Bad {
		t.Error("a reporter verifies with the key of nodes")
	}
}

func TestReportersAreChecked(t *testing.T) {
	key := Key{"a", "${env:A}"}
	for want, c := range map[string]Config{
		"reporters[0].id: a is there twice":                                   {Keys: []Key{key}, Reporters: []Reporter{{key, []string{"s"}}}},
		"reporters[0].services: want the ids of 1 to":                         {Keys: []Key{key}, Reporters: []Reporter{{Key{"b", "${env:B}"}, nil}}},
		"reporters: no keys are configured":                                   {Reporters: []Reporter{{key, []string{"s"}}}},
		"257 reporters, at most 256":                                          {Keys: []Key{key}, Reporters: make([]Reporter, 257)},
		"reporters[0].secret: missing":                                        {Keys: []Key{key}, Reporters: []Reporter{{Key{"b", ""}, []string{"s"}}}},
		"reporters[0].services: want the ids of 1 to 1000 services, got 1001": {Keys: []Key{key}, Reporters: []Reporter{{Key{"b", "${env:B}"}, make([]string, 1001)}}},
	} {
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// A signed record that a stranger appends again does not count, whenever that is.
func TestASignatureIsAcceptedOnce(t *testing.T) {
	var o Once
	accept := func(name string, made, now time.Time, fresh, copied bool) {
		t.Helper()
		if f, c := o.Accept([]byte(name), made, now); f != fresh || c != copied {
			t.Errorf("%s at %s: %v, %v", name, now.Format(time.TimeOnly), f, c)
		}
	}
	accept("a", at, at.Add(30*time.Second), true, false)
	accept("a", at, at.Add(59*time.Second), false, true)
	accept("a", at, at.Add(61*time.Second), false, false)
	accept("b", at, at.Add(-61*time.Second), false, false)
	accept("b", at, at.Add(-59*time.Second), true, false)
	for i := range maxOnce + 10 {
		o.Accept(fmt.Append(nil, i), at, at)
	}
	if len(o.seen) > maxOnce {
		t.Errorf("%d signatures are remembered", len(o.seen))
	}
	accept("one too many", at, at, false, false)
	accept("later", at.Add(2*time.Minute), at.Add(2*time.Minute), true, false)
	if len(o.seen) != 1 {
		t.Errorf("%d signatures are remembered after their minute", len(o.seen))
	}
}
