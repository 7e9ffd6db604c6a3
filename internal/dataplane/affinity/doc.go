// Package affinity binds a client to one instance of a service with a cookie.
//
// The value of the cookie is a code of service and instance that only the holder of a key can make: an HMAC of both. It is
// the same for all clients of an instance, so all codes are computed when a configuration is loaded ([Keys.For]), and a
// request costs one look-up. The code does not show the id of the instance. Nodes with the same keys accept each other's
// cookies. All values are immutable and safe for concurrent use.
package affinity
