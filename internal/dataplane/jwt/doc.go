// Package jwt verifies the JSON Web Tokens of requests (RFC 7519) with the keys of their issuer (RFC 7517).
//
// A [Verifier] is the check of one route. It reads the newest [Keys] of its [KeySet]; a [Fetcher] fetches them in the
// background, so that no request waits for an issuer. [Tokens] remembers which tokens were good, for all routes.
package jwt
