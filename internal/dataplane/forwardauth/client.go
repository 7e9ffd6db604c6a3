package forwardauth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/certs"
)

// Bounds of the connections to all services.
const (
	maxHead     = 32 << 10 // bytes of the head of an answer
	maxConns    = 1000     // to one address
	maxIdle     = 100      // kept, to one address
	keepTime    = 30 * time.Second
	connectTime = 5 * time.Second // also after the request has given up
	logPace     = 10 * time.Second
	maxPrivate  = 100 // files with authorities whose connections stay in use after the configuration changes
)

// Client has the connections to the authentication services of all routes. It is safe for concurrent use.
type Client struct {
	transport *http.Transport
	log       *slog.Logger

	mu      sync.Mutex
	private map[string]private // by the name of the file with the authorities
}

// private is a client that trusts the authorities of a file only.
type private struct {
	authorities *x509.CertPool
	client      *Client
}

// NewClient returns a client without connections, which trusts the certificate authorities of the system.
func NewClient(log *slog.Logger) *Client { return newClient(log, nil) }

func newClient(log *slog.Logger, authorities *x509.CertPool) *Client {
	return &Client{log: log, private: map[string]private{}, transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: connectTime}).DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities},
		TLSHandshakeTimeout: connectTime, MaxResponseHeaderBytes: maxHead, DisableCompression: true,
		MaxConnsPerHost: maxConns, MaxIdleConnsPerHost: maxIdle, MaxIdleConns: maxIdle, IdleConnTimeout: keepTime,
	}}
}

// Trusting reads the PEM file ca and returns a client that trusts the authorities in it only; c if ca is "". It returns the same
// client again as long as the file has the same authorities.
func (c *Client) Trusting(ca string) (*Client, error) {
	if ca == "" {
		return c, nil
	}
	authorities, err := certs.Roots(ca)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	had, ok := c.private[ca]
	if ok && had.authorities.Equal(authorities) {
		return had.client, nil
	}
	if ok {
		had.client.Close()
	} else if len(c.private) >= maxPrivate {
		clear(c.private) // checks that use them keep them
	}
	next := private{authorities, newClient(c.log, authorities)}
	c.private[ca] = next
	return next.client, nil
}

// Close closes the connections that no request uses; the others are closed after their requests.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.transport.CloseIdleConnections()
	for _, p := range c.private {
		p.client.Close()
	}
}

// CheckURL returns an error for a URL that no service can have.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("want http or https")
	case u.Hostname() == "":
		return errors.New("the host is missing")
	case u.User != nil || u.Fragment != "":
		return errors.New("want a URL without user and fragment")
	}
	return nil
}
