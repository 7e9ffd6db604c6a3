// Package access says who calls the API and what they may do. Three roles;
// users with bcrypt hashes or an OpenID Connect issuer say who has which; a
// session cookie or HTTP Basic carries that from call to call.
//
// Gate is asked by package api: Require stands before every call, Login and
// the two halves of the OpenID Connect code flow make sessions. Without users
// and without an issuer nobody is asked, and everybody is Local: such a
// listener is on loopback or was opened on purpose.
package access
