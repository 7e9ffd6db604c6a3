// Package ratelimit holds rate limits: token buckets by client address, header or cookie, or one bucket for all requests of a
// route or service.
//
// A [Limit] is compiled with the routing table by [New]. [Take] asks all limits of a request for a token each, and gives the
// tokens back if one of them refuses. The buckets of a limit are in a table of fixed size ([table]). A limit whose settings
// do not change keeps its buckets when a configuration is loaded, see [New].
//
// The time is passed in, as nanoseconds of the clock of the process. Nothing here waits or allocates while requests run. All
// methods are safe for concurrent use.
package ratelimit
