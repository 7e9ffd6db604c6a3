// Package access says who calls the API and what they may do: three roles, and
// the identity that travels with a request.
package access
