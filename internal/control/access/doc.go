// Package access identifies the callers of the API and decides what they may do. There are three roles. Users with
// bcrypt hashes, or an OpenID Connect issuer, determine the role. A session cookie or HTTP Basic carries the identity
// from call to call.
//
// Package api uses Gate: Require runs before every call; Login and the two halves of the OpenID Connect code flow start
// sessions. Without users, issuer and token no login is required, and every caller is Local. Such a listener is on
// loopback or was opened on purpose.
package access
