// Package proxyproto reads and writes the header of the PROXY protocol, versions 1 and 2, by which a balancer of TCP
// connections names the client of a connection.
//
// [Parse] takes the first bytes of a connection and returns a [Header]. [Header.Append] writes one; only tests send
// headers so far. The package does no I/O. The source is haproxy.org/download/3.0/doc/proxy-protocol.txt.
//
// Package proxy reads the headers of client connections.
package proxyproto
