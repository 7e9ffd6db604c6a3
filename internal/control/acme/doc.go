// Package acme obtains the certificates of TLS listeners from an ACME authority (RFC 8555), such as Let's Encrypt, and
// renews them.
//
// A [Manager] has the certificates that the configuration wants ([Want]). It orders one after another: schedule.go
// decides when, order.go talks to the authority with golang.org/x/crypto/acme, store.go keeps account keys and
// certificates below the data folder. Package certs serves these files and answers the challenges; a request or a
// handshake never waits for this package.
//
// In a fleet behind one name the authority may ask any node. The node that orders publishes its challenge on
// config-updates, and the other nodes pass it to their managers (Shared). Private keys never leave the node.
package acme
