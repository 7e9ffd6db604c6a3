package acme

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	protocol "golang.org/x/crypto/acme"

	"github.com/smartlb/smartlb/internal/base/secret"
)

// LetsEncrypt is the directory of Let's Encrypt.
const LetsEncrypt = protocol.LetsEncryptURL

// Authority is an ACME authority, and the account to use there. Values are comparable.
type Authority struct {
	Directory   string     // https URL
	Email       string     // for the authority; may be empty
	CA          string     // PEM file with the authorities that sign the directory's own certificate; empty: those of the system
	ExternalID  string     // of the account at the authority to which the ACME account is bound; empty: none
	ExternalKey secret.Ref // of that account, base64url
}

// Check returns an error if a file or secret of the authority cannot be read.
func (a Authority) Check() error {
	if _, err := a.roots(); err != nil {
		return err
	}
	_, err := a.external()
	return err
}

// roots returns the authorities that sign the directory's certificate; nil: those of the system.
func (a Authority) roots() (*x509.CertPool, error) {
	if a.CA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(a.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: the file holds no certificate in PEM", a.CA)
	}
	return pool, nil
}

// external returns the binding to an account that exists at the authority (RFC 8555 §7.3.4); nil: none.
func (a Authority) external() (*protocol.ExternalAccountBinding, error) {
	if a.ExternalID == "" {
		return nil, nil
	}
	text, err := a.ExternalKey.Resolve(os.Getenv, os.ReadFile)
	if err != nil {
		return nil, fmt.Errorf("key of the external account: %w", err)
	}
	key, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil, errors.New("key of the external account: not base64url")
	}
	return &protocol.ExternalAccountBinding{KID: a.ExternalID, Key: key}, nil
}

// Bounds of what an authority can cost. The library bounds the chain of a certificate only.
const (
	requestTimeout = 30 * time.Second
	maxResponse    = 1 << 20     // bytes of a body
	maxHeader      = 64 << 10    // bytes
	maxRequests    = 200         // for one order, also if the authority requests no pause between two
	maxRetries     = 3           // of one request
	retryPause     = time.Second // before the first retry; one more for each
)

// client returns a client for one order. Only one goroutine may use it.
func (a Authority) client() (*protocol.Client, error) {
	roots, err := a.roots()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxHeader,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}
	return &protocol.Client{
		DirectoryURL: a.Directory, UserAgent: "smartlb", RetryBackoff: retryDelay,
		HTTPClient: &http.Client{
			Transport: &bounded{Transport: transport, left: maxRequests}, Timeout: requestTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// retryDelay returns the wait before retry n of a request; 0: none. A redirect is not followed, and a rate limit is no
// reason to wait here: the schedule has longer waits.
func retryDelay(n int, _ *http.Request, resp *http.Response) time.Duration {
	if n > maxRetries || resp.StatusCode < 400 || resp.StatusCode == http.StatusTooManyRequests {
		return 0
	}
	return time.Duration(n) * retryPause
}

// bounded refuses requests without TLS, too many requests, and responses that are too large.
type bounded struct {
	*http.Transport
	left int
}

func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return nil, fmt.Errorf("the authority names %.200q: want an https URL", r.URL)
	}
	if b.left--; b.left < 0 {
		return nil, fmt.Errorf("the order needs more than %d requests", maxRequests)
	}
	resp, err := b.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxResponse)
	}
	return resp, err
}
