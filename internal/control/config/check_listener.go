package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

func (c *checker) listenerTLS(path string, t *ListenerTLS) {
	if t == nil {
		return
	}
	c.oneOf(path+".minVersion", t.MinVersion, "1.2", "1.3")
	c.clientCertificates(path+".clientCertificates", t.Clients)
	if t.HSTS != nil && *t.HSTS%time.Second != 0 {
		c.fail(path+".hsts", "want whole seconds, got %s", *t.HSTS)
	}
	if t.HSTSSubDomains && t.HSTS == nil {
		c.fail(path+".hstsIncludeSubDomains", "has no effect without hsts: set hsts to a time like 8760h")
	}
	c.acme(path+".acme", t.ACME)
	if len(t.Certificates) == 0 && t.ACME == nil {
		c.fail(path+".certificates", "missing: want at least one {cert: FILE, key: FILE}, or acme")
	}
	for i, f := range bounded(c, path+".certificates", "certificates", t.Certificates, maxCertificates) {
		at := fmt.Sprintf("%s.certificates[%d]", path, i)
		if f.Cert == "" {
			c.fail(at+".cert", "missing: want a file with the certificate and its chain in PEM")
		}
		if f.Key == "" {
			c.fail(at+".key", "missing: want a file with the private key in PEM")
		}
	}
}

// maxNames limits the certificates that a listener obtains. A node orders one after another.
const maxNames = 100

// serverName accepts a name of DNS in lower case, for which an authority issues certificates.
var serverName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (c *checker) acme(path string, a *ACME) {
	if a == nil {
		return
	}
	if !a.TermsAgreed {
		c.fail(path+".termsAgreed", "want true: read the terms of service of the authority; without consent it creates no account")
	}
	if len(a.Names) == 0 {
		c.fail(path+".names", "missing: want the names for which to obtain certificates, such as [shop.example.com]")
	}
	for i, name := range bounded(c, path+".names", "names", a.Names, maxNames) {
		c.serverName(fmt.Sprintf("%s.names[%d]", path, i), name, a.Names[:i])
	}
	if local, domain, ok := strings.Cut(a.Email, "@"); a.Email != "" && (!ok || local == "" || domain == "" || strings.ContainsFunc(a.Email, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(",?&", r) })) {
		c.fail(path+".email", "%q: want one address, such as ops@example.com", a.Email)
	}
	if u, err := url.Parse(a.Directory); a.Directory != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil) {
		c.fail(path+".directory", "%q: want an https:// address", a.Directory)
	}
	c.oneOf(path+".keyType", a.KeyType, "p256", "rsa2048")
	c.oneOf(path+".challenge", a.Challenge, certs.TLSALPN01, certs.HTTP01)
	if e := a.ExternalAccount; e != nil {
		if e.ID == "" {
			c.fail(path+".externalAccount.id", "missing")
		}
		if e.Key == "" {
			c.fail(path+".externalAccount.key", "missing: want a reference such as ${file:/etc/smartlb/acme-key}")
		} else if err := e.Key.Check(); err != nil {
			c.fail(path+".externalAccount.key", "%v", err)
		}
	}
}

func (c *checker) serverName(path, name string, before []string) {
	switch {
	case strings.Contains(name, "*"):
		c.fail(path, "%q: certificates for wildcards need the challenge dns-01, which is not supported; write each name, or use certificates", name)
	case len(name) > 253 || !serverName.MatchString(name):
		c.fail(path, "%.300q: want a name such as shop.example.com, in lower case and without port%s", name, punycode(name))
	case slices.Contains(before, name):
		c.fail(path, "%q is there twice", name)
	}
}

func (c *checker) clientCertificates(path string, v ClientCertificates) {
	c.oneOf(path+".mode", v.Mode, "off", "request", "require")
	switch {
	case v.Mode == "" && v != ClientCertificates{}:
		c.fail(path+".mode", "missing: want request, require or off")
	case v.CA == "" && (v.Mode == "request" || v.Mode == "require"):
		c.fail(path+".ca", "missing: want a file with the certificates of the authorities of clients in PEM")
	}
	c.ownHeader(path+".subjectHeader", v.SubjectHeader)
	c.ownHeader(path+".fingerprintHeader", v.FingerprintHeader)
	if v.SubjectHeader != "" && sameHeader(v.SubjectHeader, v.FingerprintHeader) {
		c.fail(path+".fingerprintHeader", "%q: is the subjectHeader already", v.FingerprintHeader)
	}
}

// maxHeaderName limits the name of a header that the proxy adds, in bytes.
const maxHeaderName = 100

// ownHeader checks the name of a header that the proxy adds to requests, and removes from what clients send.
func (c *checker) ownHeader(path, name string) {
	lower := strings.ToLower(name)
	meaning := func(prefix string) bool { return strings.HasPrefix(lower, prefix) }
	switch {
	case name == "":
	case !tokenPattern.MatchString(name):
		c.fail(path, "%q: the name of a header has no such character", name)
	case len(name) > maxHeaderName:
		c.fail(path, "%q: longer than %d bytes", name, maxHeaderName)
	case h1.Special(name):
		c.fail(path, "%q: smartlb reads or writes this header itself; use a name like X-Client-Subject", name)
	case slices.ContainsFunc([]string{"accept", "content-", "if-", "sec-", "access-control-"}, meaning),
		slices.Contains([]string{"cache-control", "origin", "pragma", "range", "referer", "user-agent"}, lower):
		c.fail(path, "%q: this header has a meaning in HTTP; use a name like X-Client-Subject", name)
	}
}

// sameHeader reports whether two names are one header for programs that replace '-' by '_'.
func sameHeader(a, b string) bool {
	dashed := func(s string) string { return strings.ReplaceAll(s, "_", "-") }
	return strings.EqualFold(dashed(a), dashed(b))
}

func (c *checker) redirect(path string, l Listener) {
	if l.RedirectToHTTPS && l.TLS != nil {
		c.fail(path+".redirectToHttps", "the clients of this listener use HTTPS already: remove redirectToHttps or tls")
	}
	if l.HTTPSPort < 0 || l.HTTPSPort > 65535 {
		c.fail(path+".httpsPort", "want a port from 1 to 65535, got %d", l.HTTPSPort)
	}
	if l.HTTPSPort != 0 && !l.RedirectToHTTPS {
		c.fail(path+".httpsPort", "has no effect without redirectToHttps: true")
	}
}

// listenerLimits checks limits and waiting times of a listener. A key that is missing has the value of the proxy.
func (c *checker) listenerLimits(path string, l Listener) {
	if b := l.Limits.BodyBytes; b != nil && (*b < 0 || *b > 1<<50) {
		c.fail(path+".limits.bodyBytes", "want 0 to %d, got %d", 1<<50, *b)
	}
	if n := l.Limits.Connections; n < 0 || n > 10_000_000 {
		c.fail(path+".limits.connections", "want 0 to 10000000, got %d", n)
	}
	t := l.Timeouts
	path += ".timeouts."
	for _, one := range []timeout{{"idle", t.Idle}, {"head", t.Head}, {"body", t.Body}, {"halfClosed", t.HalfClosed}, {"tunnel", t.Tunnel}} {
		if _, given := c.at[path+one.key]; given || one.value != 0 {
			c.timeouts(path, false, []timeout{one})
		}
	}
	if t.Upload != nil {
		c.timeouts(path, true, []timeout{{"upload", *t.Upload}})
	}
}

// bind checks the options of the socket.
func (c *checker) bind(path string, l Listener) {
	if l.Backlog < 0 || l.Backlog > 65535 {
		c.fail(path+".backlog", "want 0 to 65535, got %d", l.Backlog)
	}
	if _, given := c.at[path+".keepAlive"]; (given || l.KeepAlive != 0) && (l.KeepAlive < 3*time.Second || l.KeepAlive > 24*time.Hour) {
		c.fail(path+".keepAlive", "want 3s to 24h, got %s", l.KeepAlive)
	}
	if upstream.IsUnix(l.Address) && l.ReusePort {
		c.fail(path+".reusePort", "a Unix socket belongs to one process: remove reusePort")
	}
	if upstream.IsUnix(l.Address) && l.KeepAlive != 0 {
		c.fail(path+".keepAlive", "has no effect: a Unix socket tells the proxy when a client ends")
	}
}

// maxProxyFrom limits the networks of a listener, because each connection is compared with all of them.
const maxProxyFrom = 1000

func (c *checker) proxyFrom(path string, p *ProxyProtocol) {
	switch {
	case p == nil:
	case len(p.From) == 0:
		c.fail(path+".from", "missing: want the networks of the balancers that send PROXY headers, such as [10.0.0.0/8]")
	case len(p.From) > maxProxyFrom:
		c.fail(path+".from", "%d networks are more than %d", len(p.From), maxProxyFrom)
	}
}
