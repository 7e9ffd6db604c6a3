package app

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
)

func TestAScalerForEveryClientNeedsCredentials(t *testing.T) {
	cert, key := writeCertificate(t, t.TempDir(), 1)
	missing := filepath.Join(t.TempDir(), "none.pem")
	for _, c := range []struct {
		what   string
		scaler config.Scaler
		want   string
	}{
		{"plain, for every client", config.Scaler{Address: "0.0.0.0:0"}, "scaler: 0.0.0.0:0 is reachable from other machines without credentials"},
		{"TLS, for every client", config.Scaler{Address: ":0", TLS: config.ScalerTLS{Cert: cert, Key: key}}, "without credentials"},
		{"certificates of clients", config.Scaler{Address: "0.0.0.0:0", TLS: config.ScalerTLS{Cert: cert, Key: key, ClientCA: cert}}, ""},
		{"on loopback", config.Scaler{Address: "127.0.0.1:0"}, ""},
		{"no authorities", config.Scaler{Address: "127.0.0.1:0", TLS: config.ScalerTLS{Cert: cert, Key: key, ClientCA: missing}}, "scaler.tls.clientCa: open "},
		{"a key as authorities", config.Scaler{Address: "127.0.0.1:0", TLS: config.ScalerTLS{Cert: cert, Key: key, ClientCA: key}}, "has no certificate in PEM"},
		{"no key", config.Scaler{Address: "127.0.0.1:0", TLS: config.ScalerTLS{Cert: cert, Key: missing}}, "scaler: certificate: open "},
	} {
		o := withoutKafka(t, event.RoleProxy)
		o.Document.Scaler = c.scaler
		a, err := New(o)
		if err == nil {
			runApp(t, a)
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.what, err, c.want)
		}
	}
	o := withoutKafka(t, event.RoleProxy)
	o.Document.Scaler, o.Insecure = config.Scaler{Address: "0.0.0.0:0"}, true
	if a := run(t, o); a.Addr("scaler") == "" {
		t.Error("--insecure-listen does not permit it")
	}
}
