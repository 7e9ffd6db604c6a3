package kafka_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

var users = [][3]string{{"PLAIN", "ann", "ann-pw"}, {"SCRAM-SHA-256", "bob", "bob-pw"}, {"SCRAM-SHA-512", "cy", "cy-pw"}}

func secured(addr string, s kafka.Security) kafka.Config {
	cfg := kafka.Default()
	cfg.Brokers, cfg.Security, cfg.DialTimeout, cfg.RequestTimeout = []string{addr}, s, time.Minute, time.Minute
	cfg.Getenv = func(name string) string {
		return map[string]string{"ANN": "ann-pw", "BOB": "bob-pw", "CY": "cy-pw", "WRONG": "x"}[name]
	}
	return cfg
}

func login(mechanism, user string, password secret.Ref) kafka.SASL {
	return kafka.SASL{Mechanism: mechanism, User: user, Password: password}
}

func TestClientsReachSecuredClustersAndTheReasonIsNamedWhereNot(t *testing.T) {
	ca, stranger := kafkatest.NewAuthority(t), kafkatest.NewAuthority(t)
	later := time.Now().Add(time.Hour)
	cert, key := ca.Issue("client", later)
	foreignCert, foreignKey := stranger.Issue("client", later)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("cy-pw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := kafkatest.NewSecure(t, nil, nil)
	onlyLogin := kafkatest.NewSecure(t, nil, users)
	onlyTLS := kafkatest.NewSecure(t, ca.Server("broker", later, false), nil)
	both := kafkatest.NewSecure(t, ca.Server("broker", later, false), users)
	mutual := kafkatest.NewSecure(t, ca.Server("broker", later, true), nil)
	expired := kafkatest.NewSecure(t, ca.Server("broker", time.Now().Add(-time.Hour), false), nil)
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	trust := kafka.TLS{CA: ca.File}
	for _, row := range []struct {
		name, addr string
		s          kafka.Security
		want       kafka.Cause // empty: it works
	}{
		{"open", open, kafka.Security{}, ""},
		{"PLAIN", onlyLogin, kafka.Security{SASL: login("PLAIN", "ann", "${env:ANN}")}, ""},
		{"SCRAM-SHA-256", onlyLogin, kafka.Security{SASL: login("SCRAM-SHA-256", "bob", "${env:BOB}")}, ""},
		{"SCRAM-SHA-512 by a file", onlyLogin, kafka.Security{SASL: login("SCRAM-SHA-512", "cy", secret.Ref("${file:"+password+"}"))}, ""},
		{"TLS", onlyTLS, kafka.Security{TLS: trust}, ""},
		{"TLS with another name", onlyTLS, kafka.Security{TLS: kafka.TLS{CA: ca.File, ServerName: "broker"}}, ""},
		{"TLS, insecure by an explicit word", onlyTLS, kafka.Security{TLS: kafka.TLS{Insecure: true}}, ""},
		{"TLS and SCRAM", both, kafka.Security{TLS: trust, SASL: login("SCRAM-SHA-512", "cy", "${env:CY}")}, ""},
		{"mutual TLS", mutual, kafka.Security{TLS: kafka.TLS{CA: ca.File, Cert: cert, Key: key}}, ""},

		{"wrong password", both, kafka.Security{TLS: trust, SASL: login("SCRAM-SHA-256", "bob", "${env:WRONG}")}, kafka.CauseLogin},
		{"wrong password, PLAIN", onlyLogin, kafka.Security{SASL: login("PLAIN", "ann", "${env:WRONG}")}, kafka.CauseLogin},
		{"unknown authority", onlyTLS, kafka.Security{TLS: kafka.TLS{CA: stranger.File}}, kafka.CauseUnknownCA},
		{"the system's authorities", onlyTLS, kafka.Security{TLS: kafka.TLS{Enabled: true}}, kafka.CauseUnknownCA},
		{"certificate for other names", onlyTLS, kafka.Security{TLS: kafka.TLS{CA: ca.File, ServerName: "other"}}, kafka.CauseCertName},
		{"expired certificate", expired, kafka.Security{TLS: trust}, kafka.CauseCertTime},
		{"TLS to a listener without", open, kafka.Security{TLS: trust}, kafka.CauseNotTLS},
		{"no TLS to a listener with it", onlyTLS, kafka.Security{}, kafka.CauseWantsTLS},
		{"no certificate", mutual, kafka.Security{TLS: trust}, kafka.CauseWantsCert},
		{"a stranger's certificate", mutual, kafka.Security{TLS: kafka.TLS{CA: ca.File, Cert: foreignCert, Key: foreignKey}}, kafka.CauseWantsCert},
		{"no login where one is wanted", onlyLogin, kafka.Security{}, kafka.CauseWantsLogin},
		{"no login over TLS", both, kafka.Security{TLS: trust}, kafka.CauseWantsLogin},
		{"a web server", web.Listener.Addr().String(), kafka.Security{}, kafka.CauseNotKafka},
		{"nobody", porttest.Refused(t), kafka.Security{}, kafka.CauseRefused},
		{"a name that is none", strings.Repeat("x", 64) + ".invalid:9092", kafka.Security{}, kafka.CauseUnresolved},
		{"a missing file", onlyTLS, kafka.Security{TLS: kafka.TLS{CA: "/nowhere/ca.pem"}}, kafka.CauseMissingFile},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := secured(row.addr, row.s)
			if row.want == kafka.CauseNotTLS || row.want == kafka.CauseNotKafka {
				cfg.DialTimeout = time.Second // who listens there waits as we do
			}
			began := time.Now()
			err := kafka.CheckConnection(t.Context(), cfg)
			if row.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if cause, text := kafka.Explain(err, cfg); err == nil || cause != row.want || text == "" {
				t.Errorf("%v is explained as %s: %s; want %s", err, cause, text, row.want)
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestRecordsTravelOverTLSAndSCRAM(t *testing.T) {
	ca := kafkatest.NewAuthority(t)
	addr := kafkatest.NewSecure(t, ca.Server("broker", time.Now().Add(time.Hour), false), users)
	cfg := secured(addr, kafka.Security{TLS: kafka.TLS{CA: ca.File}, SASL: login("SCRAM-SHA-512", "cy", "${env:CY}")})
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := admin.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSettingsThatCannotWorkAreAllNamed(t *testing.T) {
	cfg := kafka.Default()
	cfg.Security = kafka.Security{
		TLS:  kafka.TLS{Cert: "a.crt", CA: "ca.pem", Insecure: true},
		SASL: kafka.SASL{Mechanism: "PLAIN", Password: "hunter2"},
	}
	err := cfg.Validate()
	for _, want := range []string{"tls.cert", "tls.insecure", "sasl.user", "sasl.password: a secret is not written here"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("the error holds the secret")
	}
	for _, s := range []kafka.SASL{
		{Mechanism: "SCRAM"}, {User: "ann"}, {Mechanism: "OAUTHBEARER"},
		{Mechanism: "OAUTHBEARER", TokenURL: "http://auth.example.com/token", ClientID: "a", ClientSecret: "${env:S}"},
		{Mechanism: "OAUTHBEARER", TokenURL: "https://auth.example.com/token"},
	} {
		cfg.Security = kafka.Security{SASL: s}
		if cfg.Validate() == nil {
			t.Errorf("%+v is taken", s)
		}
	}
	cfg.Security = kafka.Security{SASL: kafka.SASL{Mechanism: "PLAIN", User: "ann", Password: "${env:NOT_SET_ANYWHERE}"}}
	if err := cfg.Ready(); err == nil || !strings.Contains(err.Error(), "NOT_SET_ANYWHERE") {
		t.Errorf("a variable that is not set gives %v", err)
	}
}

// Who has given up does not wait for an endpoint that hangs while another asks.
func TestNobodyWaitsForATokenBeyondTheirContext(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-answer
		json.NewEncoder(w).Encode(map[string]any{"access_token": "token", "expires_in": 100})
	}))
	defer server.Close()
	cfg := kafka.Default()
	cfg.DialTimeout = 10 * time.Minute
	cfg.Security.SASL = kafka.SASL{Mechanism: "OAUTHBEARER", TokenURL: server.URL, ClientID: "proxy", ClientSecret: "${env:SECRET}"}
	cfg.Getenv = func(string) string { return "s3cret" }
	ask := kafka.TokenSource(cfg)
	first := make(chan error, 1)
	go func() {
		_, err := ask(context.Background(), time.Now())
		first <- err
	}()
	<-asked
	gone, leave := context.WithCancel(context.Background())
	leave()
	second := make(chan error, 1)
	go func() {
		_, err := ask(gone, time.Now())
		second <- err
	}()
	select {
	case err := <-second:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("who has given up gets %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Error("who has given up waits on")
	}
	close(answer)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// A token is used until a tenth of its life is left, a refused client is told
// so without its secret, and a file is read again at each login.
func TestTokensAreAskedForOnceInTheirLife(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, pass, _ := r.BasicAuth()
		if err := r.ParseForm(); err != nil || r.Form.Get("grant_type") != "client_credentials" || r.Form.Get("scope") != "kafka logs" || user != "proxy" || pass != "s3cret" {
			w.WriteHeader(401)
			io.WriteString(w, `{"error":"invalid_client"}`)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"access_token": fmt.Sprintf("token-%d", asked.Add(1)), "expires_in": 100})
	}))
	defer server.Close()
	env := map[string]string{"SECRET": "s3cret"}
	cfg := kafka.Default()
	cfg.Getenv = func(n string) string { return env[n] }
	cfg.Security = kafka.Security{TLS: kafka.TLS{Insecure: true}, SASL: kafka.SASL{
		Mechanism: "OAUTHBEARER", TokenURL: server.URL, ClientID: "proxy", ClientSecret: "${env:SECRET}", Scopes: []string{"kafka", "logs"},
	}}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ask := kafka.TokenSource(cfg)
	for _, row := range []struct {
		after time.Duration
		want  string
	}{{0, "token-1"}, {89 * time.Second, "token-1"}, {91 * time.Second, "token-2"}} {
		got, err := ask(context.Background(), now.Add(row.after))
		if err != nil || got != row.want {
			t.Errorf("after %v the token is %q, %v; want %q", row.after, got, err, row.want)
		}
	}
	env["SECRET"] = "wrong"
	_, err := kafka.TokenSource(cfg)(context.Background(), now)
	if err == nil || !strings.Contains(err.Error(), "invalid_client") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a refused client gives %v", err)
	}
	var unverified *tls.CertificateVerificationError
	cfg.Security.TLS = kafka.TLS{}
	if _, err := kafka.TokenSource(cfg)(context.Background(), now); !errors.As(err, &unverified) {
		t.Errorf("an endpoint of an unknown authority gives %v", err)
	}
	file := filepath.Join(t.TempDir(), "token")
	cfg.Security.SASL = kafka.SASL{Mechanism: "OAUTHBEARER", TokenFile: file}
	for _, want := range []string{"one", "two"} { // somebody keeps it fresh
		if err := os.WriteFile(file, []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := kafka.TokenSource(cfg)(context.Background(), now); err != nil || got != want {
			t.Errorf("the file's token is %q, %v; want %q", got, err, want)
		}
	}
}
