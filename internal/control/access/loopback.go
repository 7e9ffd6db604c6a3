package access

import "net"

// Loopback reports whether an address can be reached only from this machine.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return true // a bad address fails when the process listens on it
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
