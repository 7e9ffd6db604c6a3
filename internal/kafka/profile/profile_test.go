package profile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/kafka"
)

func environment(t *testing.T, more ...string) func(string) string {
	t.Helper()
	env := map[string]string{"SMARTLB_CONFIG_DIR": t.TempDir()}
	for i := 0; i+1 < len(more); i += 2 {
		env[more[i]] = more[i+1]
	}
	return func(n string) string { return env[n] }
}

var prod = Profile{
	Brokers: []string{"kafka-1.example.com:9093"}, TLS: kafka.TLS{CA: "/etc/ssl/kafka.pem"},
	SASL: kafka.SASL{Mechanism: "SCRAM-SHA-512", User: "operator", Password: "${env:KAFKA_PASSWORD}"},
}

func TestProfilesAreKeptChosenAndRemoved(t *testing.T) {
	getenv := environment(t)
	if _, ok, err := Current(getenv, ""); ok || err != nil {
		t.Fatalf("without a file there is %v, %v", ok, err)
	}
	f, err := Load(getenv)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Add("prod", prod, false); err != nil {
		t.Fatal(err)
	}
	if err := f.Add("prod", prod, false); err == nil || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("adding it again gives %v", err)
	}
	if err := f.Select("prod"); err != nil {
		t.Fatal(err)
	}
	got, ok, err := Current(getenv, "")
	if !ok || err != nil || got.Name != "prod" {
		t.Fatalf("in use is %+v, %v, %v", got, ok, err)
	}
	if diff := cmp.Diff(prod, got.Profile); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if info, err := os.Stat(f.Where()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v; want it for its owner alone", info.Mode(), err)
	}
	if _, _, err := Named(getenv, "test"); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "prod") {
		t.Errorf("an unknown name gives %v, want the known ones", err)
	}
	if err := f.Remove("prod"); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := Current(getenv, ""); ok || err != nil {
		t.Errorf("after its removal there is %v, %v", ok, err)
	}
}

func TestANamedProfileOutranksTheOneInUse(t *testing.T) {
	dir := t.TempDir()
	env := map[string]string{"SMARTLB_CONFIG_DIR": dir}
	getenv := func(n string) string { return env[n] }
	f, err := Load(getenv)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"a", "b", "c"} {
		if err := f.Add(n, Profile{Brokers: []string{n + ":9092"}}, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Select("a"); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ env, flag, want, origin string }{
		{"", "", "a", "profile in use"}, {"b", "", "b", "SMARTLB_PROFILE"}, {"b", "c", "c", "--profile"},
	} {
		env["SMARTLB_PROFILE"] = row.env
		got, ok, err := Current(getenv, row.flag)
		if !ok || err != nil || got.Name != row.want || got.Origin != row.origin {
			t.Errorf("%+v gives %+v, %v, %v", row, got, ok, err)
		}
	}
}

func TestALiteralSecretIsRefusedAndNotRepeated(t *testing.T) {
	getenv := environment(t)
	f, err := Load(getenv)
	if err != nil {
		t.Fatal(err)
	}
	bad := prod
	bad.SASL.Password = "hunter2"
	err = f.Add("prod", bad, false)
	if err == nil || !strings.Contains(err.Error(), "${env:NAME}") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a literal secret gives %v", err)
	}
	path, _ := Path(getenv)
	for _, text := range []string{
		"profiles:\n  prod:\n    brokers: [a:1]\n    sasl: {mechanism: PLAIN, user: a, password: hunter2}\n",
		"profiles:\n  prod:\n    brokers: [a:1]\n    sasl: {mechanism: PLAIN, user: a, pasword: hunter2}\n",
		"profiles: [hunter2]\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(getenv)
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), path) {
			t.Errorf("%q gives %v", text, err)
		}
	}
}
