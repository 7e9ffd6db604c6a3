// Package upstreamtest has the instances that tests put behind the load
// balancer: a raw TCP server that records every byte and answers by script,
// also in ways no proper server would, and a plain net/http one. They listen on
// loopback and end with their test.
package upstreamtest
