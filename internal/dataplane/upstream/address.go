package upstream

import "strings"

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
