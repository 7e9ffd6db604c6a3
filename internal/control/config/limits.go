package config

import "time"

// Limits bound the resources that clients and instances can use in the proxy.
type Limits struct {
	HeadBytes            int `yaml:"headBytes"`            // bytes of a request or response head, 1024 to 65535. A larger request gets 431, a larger response becomes 502; default 16384
	Headers              int `yaml:"headers"`              // lines of a head, 1 to 1000. A request with more gets 431, a response with more becomes 502; default 100
	TargetBytes          int `yaml:"targetBytes"`          // bytes of a request-target, 64 to 65535 and at most `headBytes`. A longer one gets 414; default 8192
	BodyBytes            int `yaml:"bodyBytes"`            // bytes of a request body, 0 to 1125899906842624. A larger one gets 413. 0: unlimited; default 0
	BodyRate             int `yaml:"bodyRate"`             // bytes that a client must send each second of a request body, 0 to 1073741824. `proxy.timeouts.body` is how long it may be behind. After that time it gets 408. Time in which the instance takes no bytes does not count, and gRPC has no minimum. 0: no minimum; default 0
	ResponseRate         int `yaml:"responseRate"`         // bytes that a client must take each second of a response, 0 to 1073741824. `proxy.timeouts.body` is how long it may be behind. After that time its request ends. Time in which the instance sends nothing does not count, and tunnels have no minimum. 0: no minimum; default 0
	Connections          int `yaml:"connections"`          // connections of clients, all listeners together, 0 to 10000000. A connection above the limit gets 503, with TLS it is closed. 0: (file descriptors - 256) / 2, at most 1048576; default 0
	ConnectionsPerClient int `yaml:"connectionsPerClient"` // connections of one client address, or of one /64 network of IPv6, 0 to 10000000. A connection above the limit gets 503, with TLS it is closed. `proxy.trustedProxies` and Unix sockets have no such limit. 0: no limit; default 0
	MemoryBytes          int `yaml:"memoryBytes"`          // memory of the process in bytes, 67108864 to 1125899906842624. Above 85 % of it, requests of low priority (`routes[].priority`) get 503. Above 95 %, all new requests and connections do. 0: the limit of the container, or all memory of the machine; default 0
	IdlePerInstance      int `yaml:"idlePerInstance"`      // idle connections kept to one instance, 2 to 65536; default 512
}

// Timeouts limit how long the proxy waits. The sweeper checks them every 100 ms.
type Timeouts struct {
	Idle       time.Duration `yaml:"idle"`       // client connection between two requests; default 60s
	Head       time.Duration `yaml:"head"`       // from the first byte of a request head to its last. After that time the client gets 408. Also from the connection to the end of its PROXY header; default 10s
	Body       time.Duration `yaml:"body"`       // no progress in a request body (the client gets 408), or a client that does not read the response; default 60s
	Upload     time.Duration `yaml:"upload"`     // whole request body, from the end of its head. After that time the client gets 408. Streams of requests such as those of gRPC end too. 0s: no limit; default 0s
	Stream     time.Duration `yaml:"stream"`     // no bytes of a response body from the instance, see also `routes[].streamTimeout`; default 1h
	HalfClosed time.Duration `yaml:"halfClosed"` // time to send the response to a client that closed its sending side; default 30s
	Tunnel     time.Duration `yaml:"tunnel"`     // no bytes in either direction of a WebSocket or another tunnel; default 1h
	Keep       time.Duration `yaml:"keep"`       // idle connection to an instance. It must be shorter than the instance's own timeout, which is often 60 s; default 55s
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
		{"bodyRate", l.BodyRate, 0, 1 << 30},
		{"responseRate", l.ResponseRate, 0, 1 << 30},
		{"connections", l.Connections, 0, 10_000_000},
		{"connectionsPerClient", l.ConnectionsPerClient, 0, 10_000_000},
		{"idlePerInstance", l.IdlePerInstance, 2, 65536},
	} {
		if b.value < b.low || b.value > b.high {
			c.fail("proxy.limits."+b.key, "want %d to %d, got %d", b.low, b.high, b.value)
		}
	}
	if m := l.MemoryBytes; m != 0 && (m < 64<<20 || m > 1<<50) {
		c.fail("proxy.limits.memoryBytes", "want 0, or %d to %d, got %d", 64<<20, 1<<50, m)
	}
	t := p.Timeouts
	c.timeouts("proxy.timeouts.", false, []timeout{
		{"idle", t.Idle}, {"head", t.Head}, {"body", t.Body}, {"stream", t.Stream}, {"halfClosed", t.HalfClosed}, {"tunnel", t.Tunnel}, {"keep", t.Keep},
	})
	c.timeouts("proxy.timeouts.", true, []timeout{{"upload", t.Upload}})
}

type timeout struct {
	key   string
	value time.Duration
}

// timeouts checks waiting times below path. zero says that they may be 0.
func (c *checker) timeouts(path string, zero bool, all []timeout) {
	for _, t := range all {
		if zero && t.value == 0 {
			continue
		}
		if t.value < minTimeout || t.value > maxTimeout {
			either := ""
			if zero {
				either = "0s, or "
			}
			c.fail(path+t.key, "want %s%s to %s, got %s", either, minTimeout, maxTimeout, t.value)
		}
	}
}
