// Package compress decides whether and how a response is compressed for a client, and compresses it.
//
// Negotiate reads Accept-Encoding. A Policy, which a route has, says which responses are worth it. An Encoder, which a Pool
// lends, compresses the body piece by piece: what goes in comes out at once, so that a slow response is not delayed. Policy
// and Negotiate are pure and allocate nothing.
package compress
