package config

import (
	"os"
	"strings"
	"testing"
)

func TestMistakesInScalerAreNamed(t *testing.T) {
	for _, tc := range []struct{ scaler, want string }{
		{"{}", ""},
		{"{address: '127.0.0.1:8085'}", ""},
		{"{address: ':8085', tls: {cert: a, key: b, clientCa: c}}", ""},
		{"{address: nowhere}", "line 1: scaler.address: "},
		{"{address: '127.0.0.1:99999'}", "line 1: scaler.address: "},
		{"{address: '127.0.0.1:8085', tls: {cert: a}}", "line 1: scaler.tls: want cert and key, both"},
		{"{address: '127.0.0.1:8085', tls: {key: a}}", "line 1: scaler.tls: want cert and key, both"},
		{"{address: '127.0.0.1:8085', tls: {clientCa: a}}", "line 1: scaler.tls.clientCa: has no effect without cert and key"},
		{"{tls: {cert: a, key: b}}", "line 1: scaler.tls: has no effect without scaler.address"},
		{"{adress: ''}", "line 1: scaler.adress: unknown key (did you mean address?)"},
	} {
		_, err := Parse([]byte("scaler: " + tc.scaler + "\n"))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.scaler, err, tc.want)
		}
	}
}

func TestTheExampleOfCapacityIsAccepted(t *testing.T) {
	page, err := os.ReadFile("../../../docs/capacity.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	if d, err := Parse([]byte(text)); err != nil || d.Scaler.Address != ":8085" || d.Scaler.TLS.ClientCA == "" {
		t.Errorf("%+v, %v", d.Scaler, err)
	}
}
