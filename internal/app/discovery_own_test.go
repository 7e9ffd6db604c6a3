package app

import (
	"net"
	"testing"
)

// Another process may listen at the port of a node, at another address of the machine. It was taken for the node.
func TestAConnectionReachesAListener(t *testing.T) {
	isLocal := func(ip net.IP) bool { return ip.String() == "192.0.2.2" || ip.String() == "2001:db8::2" }
	for _, tc := range []struct {
		host, at string
		want     bool
	}{
		{"127.0.0.1", "127.0.0.1", true},
		{"::ffff:127.0.0.1", "127.0.0.1", true},
		{"localhost", "127.0.0.1", true},
		{"LOCALHOST", "::1", true},
		{"0.0.0.0", "127.0.0.1", true},
		{"::", "::1", true},
		{"192.0.2.2", "127.0.0.1", false},
		{"127.0.0.2", "127.0.0.1", false},
		{"192.0.2.2", "192.0.2.2", true},
		{"127.0.0.1", "192.0.2.2", false},
		{"localhost", "192.0.2.2", false},
		{"0.0.0.0", "192.0.2.2", false},
		{"127.0.0.1", "::", true},
		{"127.0.0.9", "0.0.0.0", true},
		{"localhost", "::", true},
		{"::", "0.0.0.0", true},
		{"192.0.2.2", "::", true},
		{"2001:db8::2", "::", true},
		{"192.0.2.3", "::", false},
		{"shop.example", "::", false},
		{"192.0.2.2", "", false},
	} {
		if got := reaches(tc.host, net.ParseIP(tc.at), isLocal); got != tc.want {
			t.Errorf("%s reaches a listener at %s: %v", tc.host, tc.at, got)
		}
	}
}
