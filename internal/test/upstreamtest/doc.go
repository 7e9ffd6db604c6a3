// Package upstreamtest provides instances for tests of the load balancer. One is a raw TCP server that records every
// byte and responds by script, also in ways that no correct server would. The other is a plain net/http server. They
// listen on loopback and end with their test.
package upstreamtest
