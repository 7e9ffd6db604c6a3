package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/smartlb/smartlb/internal/base/secret"
)

// TLS configures the encryption of connections to brokers. It is on when any field is set. Files are PEM; they are read
// again for each connection, so that certificates can be replaced.
type TLS struct {
	Enabled    bool   `yaml:"enabled,omitempty" json:"enabled,omitempty"`       // encrypt, with the certificate authorities of the system and without a client certificate; default false
	CA         string `yaml:"ca,omitempty" json:"ca,omitempty"`                 // file with the certificate authorities of the brokers in PEM. It excludes `insecure`; default those of the system
	Cert       string `yaml:"cert,omitempty" json:"cert,omitempty"`             // file with the client certificate in PEM, for mutual TLS. It needs `key`; default none
	Key        string `yaml:"key,omitempty" json:"key,omitempty"`               // file with the private key of the client certificate in PEM. It needs `cert`; default none
	ServerName string `yaml:"serverName,omitempty" json:"serverName,omitempty"` // name in the certificates of the brokers; default the host of each broker's address
	Insecure   bool   `yaml:"insecure,omitempty" json:"insecure,omitempty"`     // accept every certificate. An attacker in the network can then read passwords and records; default false
}

// On reports whether connections are encrypted.
func (t TLS) On() bool { return t != TLS{} }

// SASL configures the login at brokers. It holds references to secrets, not the secrets; see package secret.
type SASL struct {
	Mechanism string     `yaml:"mechanism,omitempty" json:"mechanism,omitempty"` // one of `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`, `OAUTHBEARER`. The other keys of this section need it; default no login
	User      string     `yaml:"user,omitempty" json:"user,omitempty"`           // user name. PLAIN and SCRAM need it; default none
	Password  secret.Ref `yaml:"password,omitempty" json:"password,omitempty"`   // password. PLAIN and SCRAM need it; default none

	// token endpoint for OAUTHBEARER with client credentials (RFC 6749 §4.4), an https:// address. http:// is allowed for
	// localhost, and with `tls.insecure`. OAUTHBEARER needs either `tokenUrl` or `tokenFile`; default none
	TokenURL     string     `yaml:"tokenUrl,omitempty" json:"tokenUrl,omitempty"`
	ClientID     string     `yaml:"clientId,omitempty" json:"clientId,omitempty"`         // client id at the token endpoint. `tokenUrl` needs it; default none
	ClientSecret secret.Ref `yaml:"clientSecret,omitempty" json:"clientSecret,omitempty"` // client secret at the token endpoint. `tokenUrl` needs it; default none
	Scopes       []string   `yaml:"scopes,omitempty" json:"scopes,omitempty"`             // scopes to request at the token endpoint; default none
	TokenFile    string     `yaml:"tokenFile,omitempty" json:"tokenFile,omitempty"`       // file with a token for OAUTHBEARER. Another program must refresh the file; default none
}

// On reports whether the client logs in.
func (s SASL) On() bool { return s.Mechanism != "" }

// Mechanisms lists the accepted names of SASL.Mechanism.
func Mechanisms() []string {
	return []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"}
}

// Security configures encryption and login for a secured cluster.
type Security struct {
	TLS  TLS
	SASL SASL
}

// LogValue shows which fields are set, never a secret.
func (s Security) LogValue() slog.Value {
	return slog.GroupValue(slog.Bool("tls", s.TLS.On()), slog.Bool("tls_insecure", s.TLS.Insecure),
		slog.String("sasl", s.SASL.Mechanism), slog.String("user", s.SASL.User))
}

// Check reports every mistake at once, each with its path. It reads neither files nor environment variables; Ready
// does.
func (s Security) Check() []Mistake {
	var all []Mistake
	bad := func(path, format string, args ...any) {
		all = append(all, Mistake{path, fmt.Sprintf(format, args...)})
	}
	if (s.TLS.Cert == "") != (s.TLS.Key == "") {
		bad("tls.cert", "cert and key are wanted both, or neither")
	}
	if s.TLS.Insecure && s.TLS.CA != "" {
		bad("tls.insecure", "with a ca there is nothing to be insecure about; leave one of them out")
	}
	for path, ref := range map[string]secret.Ref{"sasl.password": s.SASL.Password, "sasl.clientSecret": s.SASL.ClientSecret} {
		if err := ref.Check(); err != nil {
			bad(path, "%v", err)
		}
	}
	m := s.SASL.Mechanism
	switch {
	case m == "" && !s.SASL.empty():
		bad("sasl.mechanism", "missing: want one of %s", strings.Join(Mechanisms(), ", "))
	case m == "":
	case !slices.Contains(Mechanisms(), m):
		bad("sasl.mechanism", "unknown mechanism %q, want one of %s", m, strings.Join(Mechanisms(), ", "))
	case m == "OAUTHBEARER":
		s.SASL.checkOAuth(s.TLS.Insecure, bad)
	default:
		if s.SASL.User == "" {
			bad("sasl.user", "missing: %s wants it", m)
		}
		if s.SASL.Password == "" {
			bad("sasl.password", "missing: %s wants it, as ${env:NAME} or ${file:/path}", m)
		}
	}
	slices.SortFunc(all, func(a, b Mistake) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// Unused lists the keys that are set but have no effect with the mechanism.
func (s SASL) Unused() []string {
	byPassword := s.Mechanism != "OAUTHBEARER"
	var keys []string
	for _, k := range []struct {
		key    string
		set    bool
		unused bool
	}{
		{"user", s.User != "", !byPassword},
		{"password", s.Password != "", !byPassword},
		{"tokenUrl", s.TokenURL != "", byPassword},
		{"clientId", s.ClientID != "", byPassword || s.TokenURL == ""},
		{"clientSecret", s.ClientSecret != "", byPassword || s.TokenURL == ""},
		{"scopes", len(s.Scopes) > 0, byPassword || s.TokenURL == ""},
		{"tokenFile", s.TokenFile != "", byPassword},
	} {
		if k.set && k.unused {
			keys = append(keys, k.key)
		}
	}
	return keys
}

func (s SASL) empty() bool {
	return s.User == "" && s.Password == "" && s.TokenURL == "" && s.ClientID == "" && s.ClientSecret == "" && len(s.Scopes) == 0 && s.TokenFile == ""
}

func (s SASL) checkOAuth(insecure bool, bad func(path, format string, args ...any)) {
	if (s.TokenURL == "") == (s.TokenFile == "") {
		bad("sasl.tokenUrl", "OAUTHBEARER wants tokenUrl or tokenFile, one of them")
		return
	}
	if s.TokenURL == "" {
		return
	}
	u, err := url.Parse(s.TokenURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		bad("sasl.tokenUrl", "want an https:// address")
		return
	}
	if u.Scheme == "http" && !insecure && !loopback(u.Hostname()) {
		bad("sasl.tokenUrl", "the client secret would be sent in plain text; want https://")
	}
	if s.ClientID == "" || s.ClientSecret == "" {
		bad("sasl.clientId", "clientId and clientSecret are wanted with tokenUrl")
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Mistake is one invalid setting of a Security.
type Mistake struct{ Path, Text string }

// config makes the TLS settings of one connection.
func (t TLS) config(host string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, InsecureSkipVerify: t.Insecure}
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("tls.ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: %s holds no certificate in PEM form", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("tls.cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Ready reads the files and variables that Security names, so that a missing one is reported before anything is
// dialled.
func (c Config) Ready() error {
	var errs []error
	if _, err := c.Security.TLS.config(""); err != nil {
		errs = append(errs, err)
	}
	s := c.Security.SASL
	for _, one := range []struct {
		path string
		ref  secret.Ref
	}{{"sasl.password", s.Password}, {"sasl.clientSecret", s.ClientSecret}} {
		if one.ref == "" {
			continue
		}
		if _, err := c.resolve(one.ref); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", one.path, err))
		}
	}
	if s.TokenFile != "" {
		if _, err := os.Stat(s.TokenFile); err != nil {
			errs = append(errs, fmt.Errorf("sasl.tokenFile: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (c Config) resolve(ref secret.Ref) (string, error) {
	getenv := c.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	return ref.Resolve(getenv, os.ReadFile)
}

// dial opens one connection to a broker.
func (c Config) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: c.DialTimeout, KeepAlive: 30 * time.Second}).DialContext
	}
	if !c.Security.TLS.On() {
		return dial(ctx, network, address)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	settings, err := c.Security.TLS.config(host)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.DialTimeout) // of connection and handshake together
	defer cancel()
	raw, err := dial(ctx, network, address)
	if err != nil {
		return nil, &TLSError{Address: address, Err: err}
	}
	conn := tls.Client(raw, settings)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, &TLSError{Address: address, Err: err}
	}
	return conn, nil
}

// TLSError is a failed handshake, or the failed connection before it.
type TLSError struct {
	Address string
	Err     error
}

func (e *TLSError) Error() string { return fmt.Sprintf("TLS to %s: %v", e.Address, e.Err) }
func (e *TLSError) Unwrap() error { return e.Err }

// securityOptions are the client options that Security determines.
func (c Config) securityOptions() []kgo.Opt {
	opts := []kgo.Opt{kgo.Dialer(c.dial)}
	if m := c.mechanism(); m != nil {
		opts = append(opts, kgo.SASL(m))
	}
	return opts
}

// mechanism reads its secrets at each login.
func (c Config) mechanism() sasl.Mechanism {
	s := c.Security.SASL
	switch s.Mechanism {
	case "PLAIN":
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			password, err := c.resolve(s.Password)
			return plain.Auth{User: s.User, Pass: password}, wrap(err, "sasl.password")
		})
	case "SCRAM-SHA-256", "SCRAM-SHA-512":
		login := func(context.Context) (scram.Auth, error) {
			password, err := c.resolve(s.Password)
			return scram.Auth{User: s.User, Pass: password}, wrap(err, "sasl.password")
		}
		if s.Mechanism == "SCRAM-SHA-256" {
			return scram.Sha256(login)
		}
		return scram.Sha512(login)
	case "OAUTHBEARER":
		source := newTokens(c)
		return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
			token, err := source.token(ctx, time.Now())
			return oauth.Auth{Token: token}, err
		})
	}
	return nil
}

func wrap(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
