package config

import "time"

// Limits bound the resources that clients and instances can use in the proxy.
type Limits struct {
	HeadBytes       int `yaml:"headBytes"`       // of a request or response head, 1024 to 65535; default 16384. Requests above: 431
	Headers         int `yaml:"headers"`         // lines of a head, 1 to 1000; default 100. Requests above: 431
	TargetBytes     int `yaml:"targetBytes"`     // of a request-target, 64 to headBytes; default 8192. Above: 414
	BodyBytes       int `yaml:"bodyBytes"`       // of a request body; default 0: unlimited. Above: 413
	Connections     int `yaml:"connections"`     // of clients, all listeners together; default 0: what the descriptor limit allows. Above: 503
	IdlePerInstance int `yaml:"idlePerInstance"` // kept connections to an instance, 2 to 65536; default 512
}

// Timeouts limit how long the proxy waits. The sweeper checks them every 100 ms.
type Timeouts struct {
	Idle       time.Duration `yaml:"idle"`       // of a client connection between requests; default 60s
	Head       time.Duration `yaml:"head"`       // from the first byte of a request head to its last; default 10s. After it: 408
	Body       time.Duration `yaml:"body"`       // without progress in a request body, or while a client does not read the response; default 60s. After it: 408
	Stream     time.Duration `yaml:"stream"`     // without bytes of a response body; default 1h
	HalfClosed time.Duration `yaml:"halfClosed"` // time to answer a client that closed its sending side; default 30s
	Tunnel     time.Duration `yaml:"tunnel"`     // of a tunnel without bytes in both directions; default 1h
	Keep       time.Duration `yaml:"keep"`       // of a kept connection to an instance; default 55s, below the usual 60 s of instances
}

// DefaultLimits returns the limits that apply to an empty file.
func DefaultLimits() Limits {
	return Limits{HeadBytes: 16384, Headers: 100, TargetBytes: 8192, IdlePerInstance: 512}
}

// DefaultTimeouts returns the timeouts that apply to an empty file.
func DefaultTimeouts() Timeouts {
	return Timeouts{
		Idle: time.Minute, Head: 10 * time.Second, Body: time.Minute, Stream: time.Hour,
		HalfClosed: 30 * time.Second, Tunnel: time.Hour, Keep: 55 * time.Second,
	}
}

// Bounds of Timeouts.
const (
	minTimeout = 100 * time.Millisecond
	maxTimeout = 30 * 24 * time.Hour
)

func (c *checker) frontEnd(p Proxy) {
	l := p.Limits
	for _, b := range []struct {
		key              string
		value, low, high int
	}{
		{"headBytes", l.HeadBytes, 1024, 65535},
		{"headers", l.Headers, 1, 1000},
		{"targetBytes", l.TargetBytes, 64, min(max(l.HeadBytes, 1024), 65535)},
		{"bodyBytes", l.BodyBytes, 0, 1 << 50},
		{"connections", l.Connections, 0, 10_000_000},
		{"idlePerInstance", l.IdlePerInstance, 2, 65536},
	} {
		if b.value < b.low || b.value > b.high {
			c.fail("proxy.limits."+b.key, "want %d to %d, got %d", b.low, b.high, b.value)
		}
	}
	t := p.Timeouts
	for _, b := range []struct {
		key   string
		value time.Duration
	}{
		{"idle", t.Idle}, {"head", t.Head}, {"body", t.Body}, {"stream", t.Stream}, {"halfClosed", t.HalfClosed}, {"tunnel", t.Tunnel}, {"keep", t.Keep},
	} {
		if b.value < minTimeout || b.value > maxTimeout {
			c.fail("proxy.timeouts."+b.key, "want %s to %s, got %s", minTimeout, maxTimeout, b.value)
		}
	}
}
