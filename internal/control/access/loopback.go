package access

import "net"

// Loopback reports whether only this machine reaches an address.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return true // a bad address fails where it is listened on
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
