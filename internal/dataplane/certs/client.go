package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// ClientConfig says how connections to the instances of a service are secured. It is comparable.
type ClientConfig struct {
	CA         string // file with the certificates of the authorities of instances, in PEM; empty: those of the system
	Pair       Pair   // certificate of this proxy for the instances; zero: none
	ServerName string // name that the instances' certificates must have, and that is sent to them; empty: the host of the address
	Insecure   bool   // accept every certificate
	Protocol   string // the only one that is offered: h2 or http/1.1
}

// Client holds the files of a ClientConfig. Its methods are safe for concurrent use.
type Client struct {
	cfg     ClientConfig
	log     *slog.Logger
	current atomic.Pointer[tls.Config]

	mu    sync.Mutex
	parts []*part
	roots *x509.CertPool
	cert  *tls.Certificate
}

// LoadClient reads all files. The error names every file that cannot be used, with the reason.
func LoadClient(cfg ClientConfig, log *slog.Logger) (*Client, error) {
	c := &Client{cfg: cfg, log: log}
	if cfg.CA != "" {
		c.parts = append(c.parts, &part{kind: "authorities of instances", files: []string{cfg.CA}, read: c.takeAuthorities})
	}
	if cfg.Pair != (Pair{}) {
		c.parts = append(c.parts, &part{kind: "certificate for instances", files: []string{cfg.Pair.Cert, cfg.Pair.Key}, read: c.takePair})
	}
	var bad []error
	for _, p := range c.parts {
		p.refresh()
		bad = append(bad, p.bad)
	}
	if err := errors.Join(bad...); err != nil {
		return nil, err
	}
	c.renew()
	return c, nil
}

// Config returns what the client was loaded with.
func (c *Client) Config() ClientConfig { return c.cfg }

// TLS returns the configuration for a connection to an instance at host. The caller owns it.
func (c *Client) TLS(host string) *tls.Config {
	out := c.current.Load().Clone()
	if out.ServerName == "" {
		out.ServerName = host
	}
	return out
}

// Refresh reads files that have changed since they were read last, and uses them for the next connections. Files that
// cannot be used are reported once, and what was read before stays in use.
func (c *Client) Refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.parts {
		switch {
		case !p.refresh():
		case p.bad != nil:
			c.log.Error("changed TLS files cannot be used; the files before stay in use", "kind", p.kind, "file", p.files[0], "error", p.bad)
		default:
			c.log.Info("changed TLS files are in use", "kind", p.kind, "file", p.files[0])
			c.renew()
		}
	}
}

// Status returns the state of all files: the authorities, then the certificate of the proxy.
func (c *Client) Status() []Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return statusOf(c.parts)
}

// renew puts the files that were read to use. Sessions of before are forgotten: they would not be verified again.
func (c *Client) renew() {
	out := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{c.cfg.Protocol}, RootCAs: c.roots, ServerName: c.cfg.ServerName,
		InsecureSkipVerify: c.cfg.Insecure, ClientSessionCache: tls.NewLRUClientSessionCache(sessions),
	}
	if c.cert != nil {
		out.Certificates = []tls.Certificate{*c.cert}
	}
	c.current.Store(out)
}

const sessions = 256 // that are kept to resume them, of all instances of a service

func (c *Client) takeAuthorities(p *part) error {
	all, err := readAuthorities(c.cfg.CA, time.Now())
	if err != nil {
		return err
	}
	c.roots = x509.NewCertPool()
	p.begins, p.expires = time.Time{}, time.Time{}
	for _, a := range all {
		c.roots.AddCert(a)
		p.note(a)
	}
	return nil
}

func (c *Client) takePair(p *part) error {
	cert, err := readPair(c.cfg.Pair)
	if err == nil {
		c.cert = cert
		p.begins, p.expires = cert.Leaf.NotBefore, cert.Leaf.NotAfter
	}
	return err
}
