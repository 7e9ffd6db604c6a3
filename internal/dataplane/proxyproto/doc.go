// Package proxyproto reads and writes the header of the PROXY protocol, versions 1 and 2, by which a balancer of TCP
// connections names the client of a connection.
//
// [Parse] takes the first bytes of a connection and returns a [Header]. [Header.Append] writes one. The package does no
// I/O and allocates nothing but errors. The source is haproxy.org/download/3.0/doc/proxy-protocol.txt.
//
// Package proxy reads headers of clients; package probe and package proxy write headers to instances.
package proxyproto
