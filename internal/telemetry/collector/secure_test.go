package collector

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/test/certtest"
)

// identities are the files of an authority, of another one, and of a collector.
type identities struct{ ca, other, cert, key string }

// secureServer returns the settings of a server that wants the certificate of a collector.
func secureServer(t *testing.T) (*tls.Config, identities) {
	t.Helper()
	dir, a := t.TempDir(), certtest.New(t, "right")
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ids := identities{ca: file("ca.pem", a.PEM()), other: file("other.pem", certtest.New(t, "other").PEM())}
	cert, key := a.IssuePEM(certtest.Options{Client: true}, "collector")
	ids.cert, ids.key = certtest.Files(t, dir, "collector", cert, key)
	server := a.Issue(certtest.Options{}, "metrics.example")
	return &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: a.Pool(), ClientAuth: tls.RequireAndVerifyClientCert}, ids
}

// Pages and streams are read with TLS, a certificate and a login; without one of them, nothing is published, and no other
// instance is held up.
func TestPagesAndStreamsAreReadWithTLS(t *testing.T) {
	t.Parallel()
	server, ids := secureServer(t)
	pages := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if r.Header.Get("Authorization") != "Bearer secret-token" && (user != "smartlb" || password != "secret-token") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "busy 1\n")
	}))
	pages.TLS = server.Clone()
	pages.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	pages.StartTLS()
	t.Cleanup(pages.Close)
	page := pages.Listener.Addr().String()
	stream := reporting(t, func(send func(message) error, _ <-chan struct{}) error { return send(cpu(.25)) }, grpc.Creds(credentials.NewTLS(server)))

	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	right := config.ServiceTLS{CA: ids.ca, ServerName: "metrics.example", Cert: ids.cert, Key: ids.key}
	other, name, anonymous, missing, open := right, right, right, right, right
	other.CA, name.ServerName, anonymous.Cert, anonymous.Key, missing.CA = ids.other, "", "", "", ids.ca+".none"
	open.CA, open.Insecure = "", true
	own := func(s config.ServiceTLS) *config.ReportTLS { return &config.ReportTLS{Enabled: true, ServiceTLS: s} }
	cases := []struct {
		id        string
		service   *config.ServiceTLS
		own       *config.ReportTLS
		anonymous bool // without a login
		published bool // the page; streams need no login
	}{
		{id: "service", service: &right, published: true}, {id: "own", own: own(right), published: true}, {id: "basic", service: &missing, own: own(right), published: true},
		{id: "insecure", own: own(open), published: true}, {id: "other-authority", own: own(other)}, {id: "other-name", own: own(name)},
		{id: "no-certificate", own: own(anonymous)}, {id: "no-file", own: own(missing)}, {id: "off", service: &right, own: &config.ReportTLS{}},
		{id: "no-login", own: own(right), anonymous: true}, {id: "no-secret", own: own(right)},
	}
	var services []config.Service
	var logins []config.ReportLogin
	for _, tc := range cases {
		scrape := scraped(100 * time.Millisecond)
		scrape.Timeout, scrape.TLS = time.Minute, tc.own
		services = append(services,
			config.Service{ID: tc.id, TLS: tc.service, LoadReports: &config.LoadReports{Scrape: scrape}, Instances: []config.Instance{{ID: tc.id, Address: page}}},
			config.Service{ID: "stream-" + tc.id, TLS: tc.service, LoadReports: &config.LoadReports{ORCA: &config.ORCA{OutOfBand: &config.OutOfBand{Interval: 25 * time.Millisecond, TLS: tc.own}}}, Instances: []config.Instance{{ID: "stream-" + tc.id, Address: stream}}})
		l := config.ReportLogin{Service: tc.id, BearerToken: secret.Ref("${file:" + token + "}")}
		switch {
		case tc.anonymous:
			continue
		case tc.id == "basic":
			l.User, l.Password, l.BearerToken = "smartlb", l.BearerToken, ""
		case tc.id == "no-secret":
			l.BearerToken = "${file:/none}"
		}
		logins = append(logins, l)
	}
	log := &topicLog{}
	c, stop := start(t, Config{Node: "n", Sender: log, Services: func() []config.Service { return services }, Nodes: func() []string { return []string{"n"} }})
	c.SetLogins(logins, nil)
	eventually(t, "all are asked twice", func() bool {
		s := c.Stats()
		for _, tc := range cases {
			if tc.published && len(log.of(event.TopicServiceMetrics, tc.id)) < 2 || (tc.published || tc.anonymous) && len(log.of(event.TopicServiceMetrics, "stream-"+tc.id)) < 2 {
				return false
			}
		}
		return s.Results[Scrape][Unreachable] >= 10 && s.Results[Scrape][Invalid] >= 3 && s.Results[Stream][Unreachable] >= 20
	}, func() { t.Logf("%+v", c.Stats()) })
	stop()
	for _, tc := range cases {
		if n := len(log.of(event.TopicServiceMetrics, tc.id)); n > 0 != tc.published {
			t.Errorf("%s: %d messages of pages", tc.id, n)
		}
		if n := len(log.of(event.TopicServiceMetrics, "stream-"+tc.id)); n > 0 != (tc.published || tc.anonymous || tc.id == "no-secret") {
			t.Errorf("%s: %d messages of streams", tc.id, n)
		}
	}
	if len(c.secure.all) != 0 {
		t.Errorf("%d settings are left after the end", len(c.secure.all))
	}
}

// Files that appear or change are used without a restart, and settings that no target has are forgotten.
func TestChangedFilesOfTLSAreUsed(t *testing.T) {
	now, dir := time.Unix(1, 0), t.TempDir()
	s := secured{now: func() time.Time { return now }, log: slog.New(slog.DiscardHandler), all: map[certs.ClientConfig]*securedBy{}}
	cfg := certs.ClientConfig{CA: filepath.Join(dir, "ca.pem"), Protocol: "h2"}
	if _, err := s.by(cfg); err == nil || !strings.Contains(err.Error(), "ca.pem") {
		t.Fatalf("without the file: %v", err)
	}
	authority := func() *certtest.Authority {
		a := certtest.New(t, "a")
		if err := os.WriteFile(cfg.CA, a.PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(cfg.CA, now, now); err != nil { // a file system may have coarse times
			t.Fatal(err)
		}
		now = now.Add(filesFor)
		return a
	}
	for range 2 {
		a := authority()
		b, err := s.by(cfg)
		if err != nil || !b.files.TLS("h").RootCAs.Equal(a.Pool()) {
			t.Fatalf("the file of now is not in use: %v", err)
		}
	}
	other := cfg
	other.Protocol = "http/1.1"
	_, _ = s.by(other)
	if s.keep(map[target]bool{{secure: true, tls: cfg}: true, {}: true}); len(s.all) != 1 || s.all[cfg] == nil {
		t.Errorf("%d settings are kept", len(s.all))
	}
}

// A login leaves the machine inside TLS with a verified certificate only.
func TestLoginsAreNotSentToUnknownServers(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	login := config.ReportLogin{Service: "s", BearerToken: secret.Ref("${file:" + token + "}")}
	for address, local := range map[string]bool{"10.0.0.1:80": false, "shop:80": false, "localhost.example:80": false, "127.0.0.1:80": true, "[::1]:80": true, "localhost:80": true} {
		for _, tc := range []struct {
			secure, insecure bool
			want             string // beginning of the error for instances on other machines
		}{
			{false, false, "telemetry.streamLogins: the login is not sent without TLS"}, {true, false, ""},
			{true, true, "telemetry.streamLogins: the login is not sent with insecure: true"},
		} {
			got, err := target{service: "s", kind: Stream, address: address, secure: tc.secure, tls: certs.ClientConfig{Insecure: tc.insecure}, login: login}.authorization()
			sent := got == "Bearer secret-token"
			if want := local || tc.want == ""; sent != want || !want && (got != "" || err == nil || !strings.HasPrefix(err.Error(), tc.want)) {
				t.Errorf("%s, %+v: %q, %v", address, tc, got, err)
			}
		}
	}
	if got, err := (target{service: "s", address: "10.0.0.1:80"}).authorization(); err != nil || got != "" {
		t.Errorf("without a login: %q, %v", got, err)
	}
}

// Logins that change are used without a restart, at pages and at streams.
func TestChangedLoginsAreUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	login := func(token string) []config.ReportLogin {
		path := filepath.Join(dir, token)
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		return []config.ReportLogin{{Service: "s", BearerToken: secret.Ref("${file:" + path + "}")}}
	}
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer page-2" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "busy 1\n")
	}))
	t.Cleanup(pages.Close)
	stream := reporting(t, func(send func(message) error, _ <-chan struct{}) error { return send(cpu(.25)) }, grpc.StreamInterceptor(
		func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if md, _ := metadata.FromIncomingContext(s.Context()); strings.Join(md.Get("authorization"), ",") != "Bearer stream-2" {
				return status.Error(codes.Unauthenticated, "log in")
			}
			return next(srv, s)
		}))
	port := func(address string) int { _, p, _ := net.SplitHostPort(address); n, _ := strconv.Atoi(p); return n }
	scrape := scraped(100 * time.Millisecond)
	scrape.Timeout = time.Minute
	services := []config.Service{{ID: "s", Instances: []config.Instance{{ID: "i", Address: pages.Listener.Addr().String()}}, LoadReports: &config.LoadReports{
		Scrape: scrape, ORCA: &config.ORCA{OutOfBand: &config.OutOfBand{Interval: 25 * time.Millisecond, Port: port(stream)}},
	}}}
	log := &topicLog{}
	c, stop := start(t, Config{Node: "n", Sender: log, Services: func() []config.Service { return services }, Nodes: func() []string { return []string{"n"} }})
	defer stop()
	c.SetLogins(login("page-1"), login("stream-1"))
	eventually(t, "refused logins", func() bool {
		s := c.Stats()
		return s.Results[Scrape][Invalid] >= 2 && s.Results[Stream][Unreachable] >= 2
	}, func() { t.Logf("%+v", c.Stats()) })
	if n := len(log.of(event.TopicServiceMetrics, "i")); n > 0 {
		t.Errorf("%d messages with the wrong logins", n)
	}
	c.SetLogins(login("page-2"), login("stream-2"))
	eventually(t, "reports after the logins changed", func() bool {
		s := c.Stats()
		return s.Results[Scrape][Published] >= 2 && s.Results[Stream][Published] >= 2
	}, func() { t.Logf("%+v", c.Stats()) })
}
