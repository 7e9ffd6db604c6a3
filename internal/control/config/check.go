package config

import (
	"fmt"
	"net"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// checker checks the values of a document together. It runs after the walk, even if the walk found mistakes, so one run
// reports everything.
type checker struct {
	at       map[string]int
	mistakes Mistakes
	warned   Mistakes

	published bool // the document is in use already

	keys, fleets               int // of rate limits
	patterns, programs, ranges int // regular expressions, the steps of their programs, and the ranges of their character classes
}

// useless reports a setting without effect: a mistake, or a warning in a document that is in use.
func (c *checker) useless(path, format string, args ...any) {
	if c.published {
		c.warn(path, format, args...)
		return
	}
	c.fail(path, format, args...)
}

// line returns the line of a path. For a missing key it returns the line of its parent.
func (c *checker) line(path string) int {
	for path != "" {
		if l, ok := c.at[path]; ok {
			return l
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

func (c *checker) fail(path, format string, args ...any) {
	if c.mistakes.full() {
		return
	}
	for _, m := range c.mistakes {
		if m.Path == cut(path) {
			return // the walk already reported this value
		}
	}
	c.mistakes = append(c.mistakes, newMistake(c.line(path), path, format, args))
}

// maxDecisionRate is more than a node can publish in a second.
const maxDecisionRate = 1_000_000

// maxListeners limits the listeners of a document, because each listener is compared with every other listener.
const maxListeners = 1000

// idPattern accepts ids that are valid as Kafka keys, header values, labels and URL parts.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:\[\]-]{0,127}$`)

// hostPattern accepts a name (non-ASCII names as xn--...), an IPv4 address, or an IPv6 address with or without a zone.
// It does not accept brackets.
var hostPattern = regexp.MustCompile(`^([A-Za-z0-9._-]*|[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?)$`)

func (c *checker) id(path, id string) {
	switch {
	case id == "":
		c.fail(path, "missing")
	case !idPattern.MatchString(id):
		c.fail(path, "%q: want 1 to 128 letters, digits, dots, dashes, colons or underscores, beginning with a letter or digit", id)
	}
}

// maxLinger is the maximum of the Kafka client.
const maxLinger = time.Minute

var zonePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (c *checker) node(n Node) {
	if n.Identity.ID != "" {
		c.id("node.id", n.Identity.ID)
	}
	place := func(key, text string) {
		if text != "" && !zonePattern.MatchString(text) {
			c.fail(key, "want 1 to 64 letters, digits, dots, dashes and underscores, got %.80q", text)
		}
	}
	place("node.zone", n.Identity.Zone)
	place("node.region", n.Identity.Region)
	if t := n.Identity.UpgradeTimeout; t < time.Second || t > time.Hour {
		c.fail("node.upgradeTimeout", "want 1s to 1h, got %s", t)
	}
	if len(n.Kafka.Brokers) == 0 {
		c.fail("kafka.brokers", "missing: want at least one host:port")
	}
	for i, b := range n.Kafka.Brokers {
		c.address(fmt.Sprintf("kafka.brokers[%d]", i), b, false)
	}
	if !slices.Contains([]string{"none", "gzip", "snappy", "lz4", "zstd"}, n.Kafka.Compression) {
		c.fail("kafka.compression", "unknown compression %q, want one of none, gzip, snappy, lz4, zstd", n.Kafka.Compression)
	}
	if n.Kafka.Linger > maxLinger {
		c.fail("kafka.linger", "want 0s to %s, got %s", maxLinger, n.Kafka.Linger)
	}
	for _, m := range n.Kafka.Security().Check() {
		c.fail("kafka."+m.Path, "%s", m.Text)
	}
	if n.Kafka.BatchBytes < 1<<10 || n.Kafka.BatchBytes > 11534336 {
		c.fail("kafka.batchBytes", "want 1024 to 11534336, got %d", n.Kafka.BatchBytes)
	}
	if n.Proxy.ConnectTimeout <= 0 {
		c.fail("proxy.connectTimeout", "want more than 0")
	}
	c.address("admin.address", n.Admin.Address, true)
	if n.Admin.Token != "" {
		if err := n.Admin.Token.Check(); err != nil {
			c.fail("admin.token", "%v", err)
		}
	}
	c.frontEnd(n.Proxy)
	c.accessLog("proxy.accessLogOptions", n.Proxy.AccessLogOptions)
	c.sessionKeys("proxy.sessionKeys", n.Proxy.SessionKeyRefs)
	c.console(n.Console)
	c.scaler(n.Scaler)
	if err := n.Signing.Check(); err != nil {
		c.fail("signing", "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	c.discoveryNode(n.Discovery)
	c.alerting(n.Alerting)
	if s := n.Telemetry.DecisionSample; s < 0 || s > 1 {
		c.fail("telemetry.decisionSample", "want 0 to 1, got %v", s)
	}
	if r := n.Telemetry.DecisionRate; r < 0 || r > maxDecisionRate {
		c.fail("telemetry.decisionRate", "want 0 to %d, got %d", maxDecisionRate, r)
	}
	if r := n.Telemetry.SampleRate; r < 0 || r > maxDecisionRate {
		c.fail("telemetry.sampleRate", "want 0 to %d, got %d", maxDecisionRate, r)
	}
	if n.Telemetry.Interval < 100e6 || n.Telemetry.Interval > 60e9 {
		c.fail("telemetry.interval", "want 100ms to 60s, got %s", n.Telemetry.Interval)
	}
	c.tracing("telemetry.tracing", n.Telemetry.Tracing)
	c.otlpReceiver("telemetry.otlp", n.Telemetry.OTLP)
	c.reportLogins("telemetry.scrapeLogins", n.Telemetry.ScrapeLogins)
	c.reportLogins("telemetry.streamLogins", n.Telemetry.StreamLogins)
	c.collector("telemetry.logs", n.Telemetry.Logs)
}

// address checks host:port. An empty host is allowed for an address to listen on.
func (c *checker) address(path, address string, listen bool) {
	if address == "" {
		c.fail(path, "missing: want host:port")
		return
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		c.fail(path, "%q: want host:port", address)
		return
	}
	n, err := strconv.ParseUint(port, 10, 16) // accepts no sign
	if err != nil || (n == 0 && !listen) || len(port) > 1 && port[0] == '0' {
		c.fail(path, "%q: want a port from 1 to 65535", address)
	}
	if host == "" && !listen {
		c.fail(path, "%q: the host is missing", address)
	}
	if !hostPattern.MatchString(host) {
		c.fail(path, "%q: the host holds a character that no host has", address)
	}
}

// maxSocketPath is the limit of Linux for the path of a Unix socket, see unix(7).
const maxSocketPath = 107

// endpoint checks the address of a listener or an instance: host:port or unix:/path.
func (c *checker) endpoint(at, address string, listen bool) {
	if !upstream.IsUnix(address) {
		c.address(at, address, listen)
		return
	}
	_, socket := upstream.SplitAddress(address)
	switch {
	case path.Clean(socket) != socket || socket == "/" || strings.ContainsFunc(socket, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		c.fail(at, "%q: want unix: and the path of a socket, such as unix:/run/smartlb/web.sock", address)
	case len(socket) > maxSocketPath:
		c.fail(at, "the path of the socket has %d bytes, at most %d are possible", len(socket), maxSocketPath)
	}
}

// modePattern accepts the permissions of a file.
var modePattern = regexp.MustCompile(`^0?[0-7]{3}$`)

func (c *checker) mode(at string, l Listener) {
	switch {
	case l.Mode == "":
	case !upstream.IsUnix(l.Address):
		c.fail(at, "only a listener with an address such as unix:/run/smartlb/web.sock has a mode")
	case !modePattern.MatchString(l.Mode):
		c.fail(at, "%q: want three octal digits such as 660", l.Mode)
	}
}

// maxCertificates limits the certificates of a listener.
const maxCertificates = 1000

func (c *checker) traffic(t Traffic) {
	t.Listeners = bounded(c, "listeners", "listeners", t.Listeners, maxListeners)
	names := map[string]string{}
	for i, l := range t.Listeners {
		path := fmt.Sprintf("listeners[%d]", i)
		c.id(path+".name", l.Name)
		c.unique(path+".name", "listener", l.Name, names)
		c.endpoint(path+".address", l.Address, true)
		c.mode(path+".mode", l)
		c.listenerTLS(path+".tls", l.TLS)
		c.redirect(path, l)
		c.proxyFrom(path+".proxyProtocol", l.ProxyProtocol)
		c.listenerLimits(path, l)
		c.bind(path, l)
		c.oneOf(path+".encodedCharacters", l.EncodedCharacters, "keep", "reject")
		c.oneOf(path+".underscoreHeaders", l.UnderscoreHeaders, "drop", "keep", "reject")
		c.oneOf(path+".requestId", l.RequestID, "trusted", "keep", "overwrite")
		for j, other := range t.Listeners[:i] {
			if overlaps(l.Address, other.Address) {
				c.fail(path+".address", "%s conflicts with %s of listeners[%d].address", l.Address, other.Address, j)
			}
		}
	}
	services, policies := map[string]string{}, map[string]string{}
	for i, s := range t.Services {
		policies[s.ID] = s.Policy
		path := fmt.Sprintf("services[%d]", i)
		c.id(path+".id", s.ID)
		c.unique(path+".id", "service", s.ID, services)
		c.service(path, s)
		c.rateLimits(path+".rateLimits", s.RateLimits)
	}
	c.otlpNames(t.Services)
	routes, reserved := map[string]string{}, ReservedHeaders(t.Listeners)
	for i, r := range t.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		c.id(path+".name", r.Name)
		c.unique(path+".name", "route", r.Name, routes)
		c.route(path, r, services, names)
		c.actions(path, r, reserved)
		c.access(path, r, reserved)
		c.compression(path+".compression", r)
		c.hashing(path, r, policies)
		c.priority(path, r)
		c.mirror(path+".mirror", r, services)
		c.rateLimits(path+".rateLimits", r.RateLimits)
		c.grpcRetries(path, r, t.Services)
	}
	c.manyKeySets(t.Routes)
}

// oneOf checks that word is one of allowed. An empty word stands for the default.
func (c *checker) oneOf(path, word string, allowed ...string) {
	if word != "" && !slices.Contains(allowed, word) {
		c.fail(path, "unknown value %q, want %s", word, strings.Join(allowed, " or "))
	}
}

func (c *checker) unique(path, what, name string, seen map[string]string) {
	if name == "" {
		return
	}
	if before, dup := seen[name]; dup {
		c.fail(path, "%s %q is already at %s", what, name, before)
		return
	}
	seen[name] = path
}

// punycode returns a hint for names that cannot occur in a Host header.
func punycode(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r > 127 }) {
		return "; names beyond ASCII as xn--..."
	}
	return ""
}

// tokenPattern accepts a method or the name of a header (RFC 9110 §5.6.2).
var tokenPattern = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// minRouteTimeout is the shortest timeout that the clock of the proxy can distinguish from 0.
const minRouteTimeout = time.Millisecond

func (c *checker) route(path string, r Route, services, listeners map[string]string) {
	kinds := 0
	for _, p := range []string{r.Path.Prefix, r.Path.Exact, r.Path.Regex} {
		if p != "" {
			kinds++
		}
	}
	if kinds > 1 {
		c.fail(path+".path", "want one of prefix, exact, regex, not several")
	}
	for key, p := range map[string]string{"prefix": r.Path.Prefix, "exact": r.Path.Exact} {
		if p == "" {
			continue
		}
		if !strings.HasPrefix(p, "/") {
			c.fail(path+".path."+key, "%q: must start with /", p)
		} else if _, err := h1.RoutePath(p); err != nil {
			c.fail(path+".path."+key, "%q: %v", p, err)
		}
	}
	c.regex(path+".path.regex", r.Path.Regex)
	for i, h := range r.Hosts {
		name := strings.TrimPrefix(h, "*.")
		if name == "" || strings.Contains(name, ":") || !hostPattern.MatchString(name) {
			c.fail(fmt.Sprintf("%s.hosts[%d]", path, i), "%q: want a name like api.example.com or *.example.com, without port%s", h, punycode(name))
		}
	}
	for i, m := range r.Methods {
		if strings.ToUpper(m) != m || !tokenPattern.MatchString(m) {
			c.fail(fmt.Sprintf("%s.methods[%d]", path, i), "%q: want a method in capitals like GET", m)
		}
	}
	c.conditions(path, r, listeners)
	c.targets(path, r, services)
	if r.Retry != nil {
		c.retry(path+".retry", *r.Retry)
	}
	if r.Hedge != nil {
		c.hedge(path+".hedge", *r.Hedge, r)
	}
	if h, err := hashOn(r.HashOn); err != nil {
		c.fail(path+".hashOn", "%v", err)
	} else if h.Name != "" && h.Kind != dispatch.HashQuery && !tokenPattern.MatchString(h.Name) {
		c.fail(path+".hashOn", "%q: the name of a %s has no such character", h.Name, strings.Split(r.HashOn, ":")[0])
	}
	if r.Timeout > 0 && r.Timeout < minRouteTimeout {
		c.fail(path+".timeout", "want at least %s, got %s", minRouteTimeout, r.Timeout)
	}
	if r.StreamTimeout != nil {
		c.timeouts(path+".", true, []timeout{{"streamTimeout", *r.StreamTimeout}})
	}
}

func (c *checker) targets(path string, r Route, services map[string]string) {
	var given []string
	for _, key := range []struct {
		name string
		is   bool
	}{{"service", r.Service != ""}, {"split", len(r.Split) > 0}, {"redirect", r.Redirect != nil}, {"response", r.Response != nil}} {
		if key.is {
			given = append(given, key.name)
		}
	}
	switch {
	case len(given) > 1:
		c.fail(path+"."+given[len(given)-1], "%s exclude each other", strings.Join(given, " and "))
	case len(given) == 0:
		c.fail(path+".service", "missing: a route wants service, split, redirect or response")
	case r.Service != "":
		c.known(path+".service", r.Service, services)
	}
	total := 0
	for i, s := range r.Split {
		at := fmt.Sprintf("%s.split[%d]", path, i)
		c.known(at+".service", s.Service, services)
		if s.Weight < 0 || s.Weight > 1_000_000 {
			c.fail(at+".weight", "want 0 to 1000000, got %d", s.Weight)
		}
		total += max(s.Weight, 0)
	}
	if len(r.Split) > 0 && total == 0 {
		c.fail(path+".split", "the weights add up to 0")
	}
}

func (c *checker) known(path, service string, services map[string]string) {
	if _, ok := services[service]; ok {
		return
	}
	if service == "" {
		c.fail(path, "missing")
		return
	}
	names := make([]string, 0, len(services))
	for s := range services {
		names = append(names, s)
	}
	slices.Sort(names)
	if len(names) > 8 {
		names = append(names[:8], "...")
	}
	c.fail(path, "there is no service %q; services: %s", service, strings.Join(names, ", "))
}
