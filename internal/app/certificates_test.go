package app

import (
	crypto "crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/kafka/sign"
	"github.com/smartlb/smartlb/internal/test/certtest"
)

func TestHSTSInSeconds(t *testing.T) {
	year, end := 365*24*time.Hour, time.Duration(0)
	for want, tls := range map[string]config.ListenerTLS{
		"": {}, "max-age=31536000": {HSTS: &year}, "max-age=0": {HSTS: &end}, "max-age=31536000; includeSubDomains": {HSTS: &year, HSTSSubDomains: true},
	} {
		if got := listenerOf(config.Listener{TLS: &tls}).HSTS; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// An instance may get requests of every listener, so a name is reserved on all of them, also while a listener requests no
// certificates.
func TestNamesOfClientFieldsAreReservedOnEveryListener(t *testing.T) {
	tls := func(mode, subject, fingerprint string) *config.ListenerTLS {
		return &config.ListenerTLS{Clients: config.ClientCertificates{Mode: mode, CA: "ca", SubjectHeader: subject, FingerprintHeader: fingerprint}}
	}
	got := config.ReservedHeaders([]config.Listener{{Name: "plain"}, {TLS: tls("require", "X-A", "X-B")}, {TLS: tls("off", "X-A", "X-C")}, {TLS: tls("", "", "")}})
	if want := []string{"X-A", "X-B", "X-C"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for mode, want := range map[string]crypto.ClientAuthType{
		"": crypto.NoClientCert, "off": crypto.NoClientCert, "request": crypto.VerifyClientCertIfGiven, "require": crypto.RequireAndVerifyClientCert,
	} {
		l := config.Listener{TLS: tls(mode, "X-A", "X-B")}
		l.TLS.TicketKeys = "keys"
		if c := certsOf(l, slog.New(slog.DiscardHandler)); c.ClientAuth != want || (c.ClientCA != "") != (want != crypto.NoClientCert) || c.TicketKeys != "keys" {
			t.Errorf("%q: %v with %q and %q", mode, c.ClientAuth, c.ClientCA, c.TicketKeys)
		}
		if f := listenerOf(l).ClientFields; f.Subject != "X-A" || f.Fingerprint != "X-B" {
			t.Errorf("%q: %+v", mode, f)
		}
	}
}

func TestAStatusNamesCertificatesWithProblems(t *testing.T) {
	ca, dir := certtest.New(t, "ca"), t.TempDir()
	year := certtest.Options{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0)}
	soon := certtest.Options{NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(0, 0, 13)}
	files := func(name string, o certtest.Options) config.Files {
		cert, key := ca.IssuePEM(o, name)
		c, k := certtest.Files(t, dir, name, cert, key)
		return config.Files{Cert: c, Key: k}
	}
	good, expiring := files("good", year), files("soon", soon)
	listener := config.Listener{Name: "web", TLS: &config.ListenerTLS{Certificates: []config.Files{good, expiring, expiring}}}
	c := certificates{log: slog.New(slog.DiscardHandler)}
	sets, err := c.load([]config.Listener{listener})
	if err != nil {
		t.Fatal(err)
	}
	c.serve(sets)
	got := c.problems(time.Now())
	if len(got) != 1 || got[0].Listener != "web" || got[0].File != expiring.Cert || got[0].Expires.Sub(soon.NotAfter).Abs() > time.Second || got[0].Refused != "" {
		t.Errorf("got %+v", got)
	}
	if err := os.WriteFile(good.Cert, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	files("soon", year)
	sets["web"].Refresh()
	got = c.problems(time.Now())
	if len(got) != 1 || got[0].File != good.Cert || !strings.Contains(got[0].Refused, "the file is empty") || !got[0].Expires.IsZero() {
		t.Errorf("after the exchange of one and the loss of the other: %+v", got)
	}
	files("good", year)
	sets["web"].Refresh()
	if got = c.problems(time.Now()); len(got) != 0 {
		t.Errorf("after the correction: %+v", got)
	}
}

func TestAStatusNamesTheFilesForInstancesWithProblems(t *testing.T) {
	ca, dir := certtest.New(t, "ca"), t.TempDir()
	cert, key := ca.IssuePEM(certtest.Options{Client: true, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(0, 0, 13)}, "proxy")
	certFile, keyFile := certtest.Files(t, dir, "proxy", cert, key)
	caFile := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(caFile, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	c := certificates{log: slog.New(slog.DiscardHandler)}
	backends, err := c.loadServices([]config.Service{{ID: "shop", TLS: &config.ServiceTLS{CA: caFile, Cert: certFile, Key: keyFile}}})
	if err != nil {
		t.Fatal(err)
	}
	c.serveServices(backends)
	if err := os.WriteFile(caFile, []byte("no authority"), 0o600); err != nil {
		t.Fatal(err)
	}
	backends["shop"].files.Refresh()
	got := c.problems(time.Now())
	if len(got) != 3 || got[1].Service != "shop" || got[1].File != caFile || got[1].Refused == "" || got[2].File != certFile || got[2].Expires.IsZero() || got[2].Listener != "" {
		t.Errorf("%+v", got)
	}
}

// A configuration with automatic certificates needs a folder for them, and the files of its authority.
func TestAutomaticCertificatesNeedAFolder(t *testing.T) {
	dir := t.TempDir()
	listener := config.Listener{Name: "web", TLS: &config.ListenerTLS{ACME: &config.ACME{Names: []string{"a.example"}, TermsAgreed: true}}}
	none := certificates{log: slog.New(slog.DiscardHandler)}
	if _, err := none.load([]config.Listener{listener}); err == nil || !strings.Contains(err.Error(), "listener web: tls.acme: the node has no folder for certificates: start it with --data FOLDER") {
		t.Errorf("without a folder: %v", err)
	}
	node := certificates{log: none.log, acme: newAutomatic(&App{o: Options{DataDir: dir, Log: none.log}})}
	sets, err := node.load([]config.Listener{listener})
	if err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(dir, "acme", "acme-v02.api.letsencrypt.org-")
	awaited := sets["web"].Config().Awaited
	if len(awaited) != 1 || awaited[0].Name != "a.example" || !strings.HasPrefix(awaited[0].File, want) || !strings.HasSuffix(awaited[0].File, "/a.example-p256.pem") {
		t.Errorf("files: %+v, want below %s", awaited, want)
	}
	node.serve(sets)
	again, err := node.load([]config.Listener{listener})
	if err != nil || again["web"] != sets["web"] {
		t.Errorf("the same settings make another set, which forgets sessions: %v", err)
	}
	listener.TLS.ACME.CA = filepath.Join(dir, "none.pem")
	if _, err := node.load([]config.Listener{listener}); err == nil || !strings.Contains(err.Error(), "none.pem: no such file") {
		t.Errorf("without the file of the authority: %v", err)
	}
}

// A node without signing keys does not publish challenges: no node would answer them.
func TestChallengesArePublishedWithSigningKeysOnly(t *testing.T) {
	ring, err := sign.Config{Keys: []sign.Key{{ID: "k", Secret: "${env:K}"}}}.Ring(func(string) string { return strings.Repeat("s", 40) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		kafka bool
		ring  *sign.Ring
		want  bool
	}{"with keys": {true, ring, true}, "without keys": {true, nil, false}, "without Kafka": {false, ring, false}} {
		a := &App{o: Options{Kafka: tc.kafka, DataDir: t.TempDir()}}
		a.kafka.Signing = tc.ring
		if got := publisher(a) != nil; got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
