package collector

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/certs"
)

// encrypt sets how connections to the target are encrypted, and what is spoken inside.
func (t *target) encrypt(s *config.ServiceTLS, protocol string) {
	if s == nil {
		return
	}
	t.secure = true
	t.tls = certs.ClientConfig{CA: s.CA, Pair: certs.Pair{Cert: s.Cert, Key: s.Key}, ServerName: s.ServerName, Insecure: s.Insecure, Protocol: protocol}
}

// newClient returns a client for pages. Connections are encrypted with what secure returns for a host, if it is not nil.
func newClient(secure func(host string) *tls.Config) *http.Client {
	dial := func(ctx context.Context, _, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	t := &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 1, IdleConnTimeout: 2 * time.Minute, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10}
	if secure != nil {
		t.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			raw, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			conn := tls.Client(raw, secure(host))
			if err := conn.HandshakeContext(ctx); err != nil {
				_ = raw.Close()
				return nil, err
			}
			return conn, nil
		}
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a target must not choose another
	}
}

// secured holds the TLS files that targets use, and the connections that were opened with them: a connection of one service
// is never used for another one whose settings differ. Its methods are safe for concurrent use.
type secured struct {
	now func() time.Time
	log *slog.Logger

	mu  sync.Mutex
	all map[certs.ClientConfig]*securedBy
}

// securedBy is TLS with one setting.
type securedBy struct {
	files  *certs.Client
	client *http.Client // of pages
	err    error        // the files cannot be used
	read   time.Time
}

// filesFor is how long files are used before they are compared with those on the disk.
const filesFor = 2 * time.Second

// by returns the TLS with a setting.
func (s *secured) by(cfg certs.ClientConfig) (*securedBy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, now := s.all[cfg], s.now()
	if b == nil {
		b = &securedBy{}
		s.all[cfg] = b
		if cfg.Insecure {
			s.log.Warn("the certificates of the instances are not verified (insecure: true)", "reader", "collector")
		}
	}
	if age := now.Sub(b.read); !b.read.IsZero() && age >= 0 && age < filesFor {
		return b, b.err
	}
	b.read = now
	if b.files != nil {
		b.files.Refresh()
		return b, nil
	}
	var files *certs.Client
	if files, b.err = certs.LoadClient(cfg, s.log); b.err != nil {
		b.err = fmt.Errorf("tls: %w", b.err)
		return b, b.err
	}
	b.files, b.client = files, newClient(files.TLS)
	return b, nil
}

// keep forgets the settings that no target has, and closes their connections.
func (s *secured) keep(own map[target]bool) {
	used := map[certs.ClientConfig]bool{}
	for t := range own {
		if t.secure {
			used[t.tls] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for cfg, b := range s.all {
		if !used[cfg] {
			delete(s.all, cfg)
			if b.client != nil {
				b.client.CloseIdleConnections()
			}
		}
	}
}

// authorization returns the value of the Authorization field for a target, "" if it has no login. The secret is read each
// time, so that it can be rotated. Without a verified certificate, any server could take the login.
func (t target) authorization() (string, error) {
	l := t.login
	if l == (config.ReportLogin{}) {
		return "", nil
	}
	switch {
	case thisMachine(t.address):
	case !t.secure:
		return "", fmt.Errorf("%s: the login is not sent without TLS", t.loginKey())
	case t.tls.Insecure:
		return "", fmt.Errorf("%s: the login is not sent with insecure: true, because any server could take it; name the authority of the instances (ca)", t.loginKey())
	}
	ref := l.BearerToken
	if ref == "" {
		ref = l.Password
	}
	value, err := ref.Resolve(os.Getenv, os.ReadFile)
	if err != nil {
		return "", fmt.Errorf("%s: %w", t.loginKey(), err)
	}
	if l.BearerToken != "" {
		return "Bearer " + value, nil
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(l.User+":"+value)), nil
}

// loginKey names the setting that has the login.
func (t target) loginKey() string {
	if t.kind == Stream {
		return "telemetry.streamLogins"
	}
	return "telemetry.scrapeLogins"
}

// thisMachine reports whether an address with a port is loopback.
func thisMachine(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}
