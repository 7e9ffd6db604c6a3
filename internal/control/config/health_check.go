package config

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// HealthCheck is the active probe of a service's instances.
type HealthCheck struct {
	Type     string `yaml:"type"`     // one of `http`, `tcp` (connect only), `grpc` (grpc.health.v1, with the protocol h2c or h2); default http
	Port     int    `yaml:"port"`     // port of the checks, 1 to 65535. A check of another port begins without a PROXY header; default `services[].instances[].address`
	Protocol string `yaml:"protocol"` // one of `http1`, `h2c`, `h2`: what http and grpc checks speak; default `services[].protocol`
	TLS      *bool  `yaml:"tls"`      // encrypt the checks with the settings of `services[].tls`. Set it to false if `port` has no TLS; default `services[].tls`: true if the service has it
	Method   string `yaml:"method"`   // method of an http check, in capitals. The request has no body; default GET
	Path     string `yaml:"path"`     // path of an http check, with a query if it needs one; default /health
	Service  string `yaml:"service"`  // name of the gRPC service that a grpc check asks for; default the server as a whole
	Host     string `yaml:"host"`     // Host header of an http check; default the instance's address, localhost for a Unix socket
	// headers of an http or grpc check, without variables. Every reader of the configuration can read them, so they must not
	// hold secrets; default none
	Headers            map[string]string `yaml:"headers"`
	Interval           time.Duration     `yaml:"interval"`           // time between two checks of an instance, at least 100ms; default 2s
	Timeout            time.Duration     `yaml:"timeout"`            // longest time of a check, more than 0s, at most the interval. With an interval below 1s the default is the interval; default 1s
	HealthyThreshold   int               `yaml:"healthyThreshold"`   // successful checks in a row that make an instance healthy, 1 to 100; default 2
	UnhealthyThreshold int               `yaml:"unhealthyThreshold"` // failed checks in a row that make an instance unhealthy, 1 to 100; default 3
	Statuses           []string          `yaml:"statuses"`           // statuses of a successful http check: at most 100 of a status such as 204 or a range such as 200-299, from 200 to 599; default 200-299
	Body               BodyMatch         `yaml:"body"`               // condition on the body of a successful http check, in its first 32768 bytes. One key at most; default every body
}

// BodyMatch is a condition on the body of a response.
type BodyMatch struct {
	Contains string `yaml:"contains"` // text that the body must contain, with regard to case, at most 4096 bytes; default none
	Regex    string `yaml:"regex"`    // regular expression (RE2) that must match a part of the body, at most 4096 bytes; default none
}

func (h *HealthCheck) fill(path string, given func(string) bool) {
	if h.Type == "" {
		h.Type = "http"
	}
	if h.Type == "http" && h.Path == "" {
		h.Path = "/health"
	}
	orDefault(&h.Interval, 2*time.Second, given(path+".interval"))
	orDefault(&h.Timeout, min(time.Second, h.Interval), given(path+".timeout"))
	orDefault(&h.HealthyThreshold, 2, given(path+".healthyThreshold"))
	orDefault(&h.UnhealthyThreshold, 3, given(path+".unhealthyThreshold"))
}

// CheckProtocol returns what the checks of a service with a healthCheck speak.
func (s Service) CheckProtocol() (http2, secure bool) {
	http2, secure = s.HTTP2(), s.TLS != nil
	if p := s.HealthCheck.Protocol; p != "" {
		http2 = p != "http1"
	}
	if t := s.HealthCheck.TLS; t != nil {
		secure = *t
	}
	return http2, secure
}

// StatusSet returns the statuses of a successful check, none if the default applies.
func (h HealthCheck) StatusSet() (set upstream.StatusSet) {
	for _, s := range h.Statuses {
		if low, high, ok := statusRange(s); ok {
			set.Add(low, high)
		}
	}
	return set
}

// statusRange parses a status such as 204, or a range such as 200-299.
func statusRange(s string) (low, high int, ok bool) {
	first, last, ranged := strings.Cut(s, "-")
	if !ranged {
		last = first
	}
	if len(first) != 3 || len(last) != 3 {
		return 0, 0, false
	}
	from, errLow := strconv.ParseUint(first, 10, 16) // accepts no sign
	to, errHigh := strconv.ParseUint(last, 10, 16)
	return int(from), int(to), errLow == nil && errHigh == nil && from <= to
}

// maxStatuses limits the statuses of a check: a document may have many checks.
const maxStatuses = 100

func (c *checker) healthCheck(path string, s Service) {
	h := *s.HealthCheck
	if h.Type != "grpc" && h.Service != "" {
		c.fail(path+".service", "only a grpc check has a service")
	}
	c.checkConnection(path, s)
	switch h.Type {
	case "http":
		c.checkRequest(path, h)
	case "tcp":
		c.notFor(path, "a tcp check only connects", "protocol", "method", "path", "host", "headers", "statuses", "body")
	case "grpc":
		if http2, _ := s.CheckProtocol(); !http2 {
			c.fail(path+".type", "a grpc check needs instances that speak HTTP/2; set protocol: h2c, or h2 with tls")
		}
		c.notFor(path, "a grpc check calls grpc.health.v1 and gets a status of gRPC", "method", "path", "statuses", "body")
		if len(h.Service) > 256 || strings.ContainsFunc(h.Service, func(r rune) bool { return r <= ' ' || r > '~' }) {
			c.fail(path+".service", "%.300q: want at most 256 printable characters without blanks", h.Service)
		}
	default:
		c.fail(path+".type", "unknown type %q, want http, tcp or grpc", h.Type)
	}
	c.checkHeaders(path+".headers", h.Headers)
	c.checkHost(path+".host", h.Host)
	if h.Interval < 100e6 {
		c.fail(path+".interval", "want at least 100ms, got %s", h.Interval)
	}
	if h.Timeout <= 0 {
		c.fail(path+".timeout", "want more than 0")
	}
	if h.Timeout > h.Interval {
		c.fail(path+".timeout", "%s is longer than the interval of %s", h.Timeout, h.Interval)
	}
	for key, n := range map[string]int{"healthyThreshold": h.HealthyThreshold, "unhealthyThreshold": h.UnhealthyThreshold} {
		if n < 1 || n > 100 {
			c.fail(path+"."+key, "want 1 to 100, got %d", n)
		}
	}
}

// notFor refuses keys that have no effect with the type of a check.
func (c *checker) notFor(path, reason string, keys ...string) {
	for _, key := range keys {
		if _, given := c.at[path+"."+key]; given {
			c.fail(path+"."+key, "has no effect: %s", reason)
		}
	}
}

// checkConnection checks how the checks of a service connect.
func (c *checker) checkConnection(path string, s Service) {
	h := s.HealthCheck
	c.oneOf(path+".protocol", h.Protocol, "http1", "h2c", "h2")
	switch _, secure := s.CheckProtocol(); {
	case secure && s.TLS == nil:
		c.fail(path+".tls", "the service has no tls, whose settings the checks would use")
	case h.Protocol == "h2" && !secure:
		c.fail(path+".protocol", "h2 is HTTP/2 with TLS, and the checks have none: use h2c")
	case h.Protocol == "h2c" && secure:
		c.fail(path+".protocol", "h2c is HTTP/2 without TLS, and the checks have TLS: use h2, or set tls: false")
	}
	if _, given := c.at[path+".port"]; !given && h.Port == 0 {
		return
	}
	if h.Port < 1 || h.Port > 65535 {
		c.fail(path+".port", "want 1 to 65535, got %d", h.Port)
	}
	for _, in := range s.Instances {
		if upstream.IsUnix(in.Address) {
			c.fail(path+".port", "the instance %s has a Unix socket, which has no port", in.ID)
			return
		}
	}
}

// checkRequest checks the request of an http check, and what its response must be.
func (c *checker) checkRequest(path string, h HealthCheck) {
	if !strings.HasPrefix(h.Path, "/") || strings.ContainsAny(h.Path, " \t\r\n#") {
		c.fail(path+".path", "%q: want a path that starts with / and has no blanks", h.Path)
	} else if _, err := url.ParseRequestURI(h.Path); err != nil {
		c.fail(path+".path", "%q: no request can have this path, so every check would fail", h.Path)
	}
	switch m := h.Method; {
	case m == "":
	case len(m) > 32 || strings.ToUpper(m) != m || !tokenPattern.MatchString(m):
		c.fail(path+".method", "%.50q: want a method in capitals like GET", m)
	case m == http.MethodConnect:
		c.fail(path+".method", "CONNECT asks for a tunnel, which no check can use")
	}
	for i, s := range bounded(c, path+".statuses", "statuses", h.Statuses, maxStatuses) {
		if low, high, ok := statusRange(s); !ok || low < 200 || high > 599 {
			c.fail(fmt.Sprintf("%s.statuses[%d]", path, i), "%.50q: want a status from 200 to 599, or a range such as 200-299", s)
		}
	}
	c.checkBody(path+".body", h)
}

// maxBodyProgram limits the steps of an expression for bodies: a check may take one for each byte and step, about .3 s.
const maxBodyProgram = 1000

func (c *checker) checkBody(path string, h HealthCheck) {
	b := h.Body
	ok := c.regexWithin(path+".regex", b.Regex, maxBodyProgram)
	switch {
	case b.Contains != "" && b.Regex != "":
		c.fail(path, "want one of contains, regex, not both")
	case len(b.Contains) > maxPatternBytes:
		c.fail(path+".contains", "longer than %d bytes", maxPatternBytes)
	case ok && b != (BodyMatch{}) && h.Method == http.MethodHead:
		c.fail(path, "a response to HEAD has no body")
	}
}

// checkHeaders checks the headers of a check. They follow the rules of those that a route writes.
func (c *checker) checkHeaders(path string, headers map[string]string) {
	for name, value := range headers {
		switch at := path + "." + name; {
		case strings.EqualFold(name, "host"):
			c.fail(at, "%s: use the key host of the check", name)
		case strings.Contains(value, "${"):
			c.fail(at, "%q: a check has no request whose variables could be written", value)
		}
	}
	c.headerEdits(path, "", HeaderEdits{Set: headers}, nil)
}

func (c *checker) checkHost(path, host string) {
	if name, port, err := net.SplitHostPort(host); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil || !hostPattern.MatchString(name) {
			c.fail(path, "%q: want a name, or a name with a port", host)
		}
	} else if !hostPattern.MatchString(strings.Trim(host, "[]")) {
		c.fail(path, "%q: want a name, or a name with a port", host)
	}
}

// HeaderLines returns the headers of a check as lines "Name: value", sorted by name.
func (h HealthCheck) HeaderLines() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		b.WriteString(name + ": " + h.Headers[name] + "\n")
	}
	return b.String()
}
