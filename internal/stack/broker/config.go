package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// Config configures a Broker. Start from Default.
type Config struct {
	Dir      string        // data directory, created if missing; required
	External string        // listen address for clients; default 127.0.0.1:9092, port 0 picks a free one
	Internal string        // second listen address, for containers and Connect; empty for none, default 127.0.0.1:29092
	Bytes    int64         // limit of the records in all topics together; default 1 GiB, at least 16 MiB
	Sweep    time.Duration // interval of the search for old records; default 1 m
	Reserve  int64         // bytes of the disk that stay free: with less the broker accepts no records; default 32 MiB

	// AdvertisedExternal and AdvertisedInternal are the advertised addresses. Empty: localhost and, for internal, kafka
	// if that name resolves, with the port in use.
	AdvertisedExternal string
	AdvertisedInternal string

	// Listen opens the listeners, and Dial connects to them; default: TCP.
	Listen func(network, address string) (net.Listener, error)
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// Default returns the configuration of a broker on Kafka's usual ports.
func Default() Config {
	return Config{
		External: "127.0.0.1:9092",
		Internal: "127.0.0.1:29092",
		Bytes:    1 << 30,
		Sweep:    time.Minute,
		Reserve:  32 << 20,
		Listen:   net.Listen,
		Dial:     new(net.Dialer).DialContext,
	}
}

// Validate reports every mistake at once, each with its field.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("dir: a data directory is needed"))
	}
	for _, a := range []struct {
		field, addr string
		optional    bool
	}{
		{"external", c.External, false},
		{"internal", c.Internal, true},
		{"advertisedExternal", c.AdvertisedExternal, true},
		{"advertisedInternal", c.AdvertisedInternal, true},
	} {
		if a.addr == "" && a.optional {
			continue
		}
		if _, _, err := splitHostPort(a.addr); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", a.field, err))
		}
	}
	if c.Bytes < 16<<20 {
		errs = append(errs, fmt.Errorf("bytes: %d is less than 16 MiB", c.Bytes))
	}
	if c.Reserve < 0 {
		errs = append(errs, fmt.Errorf("reserve: %d is negative", c.Reserve))
	}
	if c.Sweep <= 0 {
		errs = append(errs, fmt.Errorf("sweep: %v is not positive", c.Sweep))
	}
	return errors.Join(errs...)
}

func splitHostPort(addr string) (string, int32, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port", addr)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q has no port between 0 and 65535", addr)
	}
	return host, int32(n), nil
}
