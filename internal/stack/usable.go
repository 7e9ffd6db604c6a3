package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/internal/stack/holder"
)

// named is an address of a stack with the flag that sets it.
type named struct {
	flag, address string
	required      bool // the stack cannot be used without the service
}

func (a Addresses) named() []named {
	all := []named{
		{"--broker-listen", a.Kafka, true}, {"--broker-internal", a.Internal, true}, {"--zookeeper", a.Zookeeper, true},
		{"--controller", a.Controller, true}, {"--connect", a.Connect, false}, {"--console", a.UI, false},
	}
	return slices.DeleteFunc(all, func(n named) bool { return n.address == "" })
}

// Usable reports every address on which a service cannot listen. The reasons: it is not host:port, the host is not of
// this machine, two services would share it, or its port is out of range, in use or not permitted. held are addresses
// that this stack uses now; Usable does not test them. A port in use is no error for an optional service, because the
// stack starts without that service. linger is how long Usable waits for a port in use to become free, for example
// after its process was killed.
func (a Addresses) Usable(ctx context.Context, linger time.Duration, held ...Addresses) error {
	all := a.named()
	var own []named
	for _, h := range held {
		own = append(own, h.named()...)
	}
	var errs []error
	for i, n := range all {
		for _, other := range all[:i] {
			if collide(n.address, other.address) {
				errs = append(errs, fmt.Errorf("%s %s and %s %s are one address for two services", other.flag, other.address, n.flag, n.address))
			}
		}
		if slices.ContainsFunc(own, func(h named) bool { return h.address == n.address }) {
			continue
		}
		if err := n.try(ctx, linger); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// try listens on the address for a moment.
func (n named) try(ctx context.Context, linger time.Duration) error {
	const lookup = 5 * time.Second // limit for the lookup of a host name
	_, port, err := net.SplitHostPort(n.address)
	if err != nil {
		return fmt.Errorf("%s %s: host:port is expected", n.flag, n.address)
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%s %s: the port must be a number from 0 to 65535", n.flag, n.address)
	} else if number == 0 && port != "0" {
		return fmt.Errorf("%s %s: write port 0 as 0", n.flag, n.address)
	}
	for began := time.Now(); ; {
		limited, cancel := context.WithTimeout(ctx, lookup)
		var l net.Listener
		l, err = (&net.ListenConfig{}).Listen(limited, "tcp", n.address)
		cancel()
		if err == nil {
			return l.Close()
		}
		if !errors.Is(err, syscall.EADDRINUSE) || time.Since(began) >= linger {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		if !n.required {
			return nil
		}
		return fmt.Errorf("%s %s: the port is taken%s", n.flag, n.address, holder.At(n.address))
	}
	var inner *net.OpError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("%s %s: a service cannot listen there: %w", n.flag, n.address, err)
}

// collide reports whether two listeners exclude each other.
func collide(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || isEverywhere(hostA) || isEverywhere(hostB) || isLoopbackName(hostA, hostB) || isLoopbackName(hostB, hostA)
}

func isEverywhere(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// isLoopbackName reports whether a is the name of the address b.
func isLoopbackName(a, b string) bool { return a == "localhost" && b == "127.0.0.1" }
