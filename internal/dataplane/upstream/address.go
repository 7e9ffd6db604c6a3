package upstream

import (
	"net"
	"strconv"
	"strings"
)

// unixPrefix begins the address of a Unix socket. With the slash it is no host and port.
const unixPrefix = "unix:/"

// SplitAddress returns what package net wants for an address of a listener or an instance: "unix" and the path of
// unix:/path, otherwise "tcp" and the address, which is host:port.
func SplitAddress(address string) (network, at string) {
	if IsUnix(address) {
		return "unix", address[len(unixPrefix)-1:]
	}
	return "tcp", address
}

// IsUnix reports whether address is that of a Unix socket, unix:/path.
func IsUnix(address string) bool { return strings.HasPrefix(address, unixPrefix) }

// Host returns the host of an address, as a certificate names it: localhost for a Unix socket.
func Host(address string) string {
	if IsUnix(address) {
		return "localhost"
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	host, _, _ = strings.Cut(host, "%") // a zone is not part of a name
	return host
}

// WithPort returns address, which is host:port, with another port.
func WithPort(address string, port int) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}
