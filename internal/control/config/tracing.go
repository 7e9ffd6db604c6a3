package config

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/dataplane/action"
)

// Tracing configures traces.
type Tracing struct {
	// URL of a collector that takes traces by OTLP, at most 2048 characters. Without a path it is `/v1/traces`. The
	// key switches tracing on; default none, `traceparent` and `tracestate` pass unchanged
	Endpoint string `yaml:"endpoint"`
	Protocol string `yaml:"protocol"` // one of `http`, `grpc`: OTLP over HTTP or over gRPC. With `grpc`, the URL has no path; default http
	// share of requests whose spans are sent, 0 to 1. Requests from `proxy.trustedProxies` with a valid `traceparent` follow
	// its sampled flag instead; default 0.01
	Sample  float64               `yaml:"sample"`
	Headers map[string]secret.Ref `yaml:"headers"` // secret of each header that the collector wants, such as `Authorization`, at most 16. They need https, or a collector on localhost; default none
	CA      string                `yaml:"ca"`      // file with the certificate authorities of the collector in PEM, for https; default those of the system
	Timeout time.Duration         `yaml:"timeout"` // longest time to send a batch, with its retries, 100ms to 60s. Then the batch is dropped and counted; default 5s
}

// Logs configures the access log that a collector gets.
type Logs struct {
	// URL of a collector that takes logs by OTLP, at most 2048 characters. Without a path it is `/v1/logs`. It gets what
	// the access log has, also without `proxy.accessLog`. `proxy.accessLogOptions.sample` and `proxy.accessLogOptions.errorsOnly`
	// apply. The records hold addresses of clients and queries; default none
	Endpoint string                `yaml:"endpoint"`
	Protocol string                `yaml:"protocol"` // one of `http`, `grpc`: OTLP over HTTP or over gRPC. With `grpc`, the URL has no path; default http
	Headers  map[string]secret.Ref `yaml:"headers"`  // as `telemetry.tracing.headers`; default none
	CA       string                `yaml:"ca"`       // file with the certificate authorities of the collector in PEM, for https; default those of the system
	Timeout  time.Duration         `yaml:"timeout"`  // longest time to send a batch, with its retries, 100ms to 60s. Then the batch is dropped and counted; default 5s
}

// On reports whether requests are traced.
func (t Tracing) On() bool { return t.Endpoint != "" }

// GRPC reports whether spans are sent by OTLP over gRPC.
func (t Tracing) GRPC() bool { return t.Protocol == "grpc" }

// URL returns the endpoint, with its path for OTLP over HTTP.
func (t Tracing) URL() string {
	if t.GRPC() {
		return t.Endpoint
	}
	return withPath(t.Endpoint, "/v1/traces")
}

// On reports whether a collector gets the access log.
func (l Logs) On() bool { return l.Endpoint != "" }

// GRPC reports whether records are sent by OTLP over gRPC.
func (l Logs) GRPC() bool { return l.Protocol == "grpc" }

// URL returns the endpoint, with its path for OTLP over HTTP.
func (l Logs) URL() string {
	if l.GRPC() {
		return l.Endpoint
	}
	return withPath(l.Endpoint, "/v1/logs")
}

func withPath(endpoint, path string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return endpoint
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = path
	}
	return u.String()
}

const (
	maxCollectorHeaders = 16
	maxEndpoint         = 2048
)

// DefaultTracing returns the settings of tracing that an empty file has.
func DefaultTracing() Tracing {
	return Tracing{Protocol: "http", Sample: .01, Timeout: 5 * time.Second}
}

// DefaultLogs returns the settings of logs that an empty file has.
func DefaultLogs() Logs { return Logs{Protocol: "http", Timeout: 5 * time.Second} }

func (c *checker) tracing(path string, t Tracing) {
	if t.Sample < 0 || t.Sample > 1 {
		c.fail(path+".sample", "want 0 to 1, got %v", t.Sample)
	}
	c.collector(path, Logs{t.Endpoint, t.Protocol, t.Headers, t.CA, t.Timeout})
}

// collector checks how a collector is reached.
func (c *checker) collector(path string, t Logs) {
	if t.Protocol != "http" && t.Protocol != "grpc" {
		c.fail(path+".protocol", "unknown protocol %.100q, want one of http, grpc", t.Protocol)
	}
	if u, err := url.Parse(t.Endpoint); t.GRPC() && err == nil && u.Path != "" && u.Path != "/" {
		c.fail(path+".endpoint", "the URL of gRPC has no path: remove %.100q", u.Path)
	}
	if t.Timeout < 100*time.Millisecond || t.Timeout > time.Minute {
		c.fail(path+".timeout", "want 100ms to 60s, got %s", t.Timeout)
	}
	secure := c.collectorEndpoint(path+".endpoint", t)
	if !secure && t.CA != "" && t.On() {
		c.useless(path+".ca", "has no effect: the endpoint is not https")
	}
	if len(t.Headers) > maxCollectorHeaders {
		c.fail(path+".headers", "%d headers are more than %d", len(t.Headers), maxCollectorHeaders)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		at := path + ".headers." + name
		switch err := action.CheckName(name); {
		case err != nil:
			c.fail(at, "%v", err)
		case strings.HasPrefix(strings.ToLower(name), "content-"):
			c.fail(at, "%s: smartlb writes this header itself", name)
		}
		if ref := t.Headers[name]; ref == "" {
			c.fail(at, "missing")
		} else if err := ref.Check(); err != nil {
			c.fail(at, "%v", err)
		}
	}
}

// collectorEndpoint reports whether the endpoint is https.
func (c *checker) collectorEndpoint(path string, t Logs) (secure bool) {
	if !t.On() {
		return false
	}
	u, err := url.Parse(t.Endpoint)
	switch {
	case len(t.Endpoint) > maxEndpoint:
		c.fail(path, "the URL has %d characters, at most %d are possible", len(t.Endpoint), maxEndpoint)
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		c.fail(path, "want a URL like http://localhost:4318 or https://collector.example.com/v1/traces")
	case u.User != nil:
		c.fail(path, "a URL cannot hold a password here: use headers")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		c.fail(path, "the URL cannot have a query or a fragment")
	case u.Scheme == "http" && len(t.Headers) > 0 && !isLocal(u.Hostname()):
		c.fail(path, "want https: headers hold secrets, which must not be sent in plain text")
	}
	return err == nil && u.Scheme == "https"
}

func isLocal(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }
