// Package forwardauth asks an authentication service whether requests may go on, as auth_request of nginx and forwardAuth of
// Traefik do.
//
// A [Check] belongs to one route. [Check.Ask] sends a GET with fields of the request, never its body, and waits for the answer.
// The [Client] with the connections is the same for all routes.
package forwardauth
