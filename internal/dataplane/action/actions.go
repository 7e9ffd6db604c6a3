package action

import (
	"github.com/smartlb/smartlb/internal/dataplane/compress"
	"github.com/smartlb/smartlb/internal/dataplane/forwardauth"
)

// Actions are what a route does to its requests and responses. The zero value does nothing.
type Actions struct {
	CORS        *CORS              // answers preflights; its other headers are in Response
	Networks    *Networks          // refuses clients
	Basic       *Basic             // requires a password
	JWT         *JWT               // requires a token
	ForwardAuth *forwardauth.Check // asks an authentication service
	Fault       *Fault             // of requests for an instance
	Request     *Headers           // edits of the request for the instance
	Response    *Headers           // edits of every final response, those of the proxy included
	Rewrite     *Rewrite           // of host and path for the instance
	Redirect    *Redirect          // answers instead of an instance
	Answer      *Response          // answers instead of an instance

	Compression *compress.Policy // of responses of instances
}

// Empty reports whether the actions do nothing.
func (a Actions) Empty() bool { return a == Actions{} }

// Rewrite changes where a request points, for the instance only: routing, the access log and X-Forwarded-Host keep what
// the client sent.
type Rewrite struct {
	Host string // with its port, if it has one; empty: that of the client
	Path *Path  // nil: that of the client
}
