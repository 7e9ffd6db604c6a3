package proxy

import (
	"net/http"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/action"
)

// front is a protocol of clients: how the response of an exchange is framed. The two protocols, h1Front and h2Front, have no
// state of their own; it is in conn and exchange.
//
// A response is head, then first, then flush; the rest of a long body is more. own replaces head in replies of the proxy
// itself.
type front interface {
	head(c *conn, e *exchange, keep bool) bool                       // writes the head for e.res to e.out. keep says whether the connection may stay open; so does the result
	own(c *conn, e *exchange, r own)                                 // writes the head of a reply of the proxy to e.out
	first(e *exchange, data []byte, last bool)                       // appends the first bytes of the body to e.out
	flush(c *conn, e *exchange, last bool) error                     // sends e.out
	more(c *conn, e *exchange, space []byte, n int, last bool) error // sends space[bodyRoom:][:n]; it may overwrite the rest of space
	plain(c *conn, data []byte, last bool) error                     // sends data of a body that is not framed in chunks. It does not change data
	switched(c *conn, e *exchange) (status int)                      // writes to e.out that the connection is a tunnel from here on
	interim(c *conn, e *exchange) error                              // sends e.res, a 1xx
	proceed(c *conn) error                                           // sends 100 Continue
	protocol(e *exchange) string                                     // of the request: HTTP/ and the version
}

// own is a reply of the proxy itself: a short text, a redirect, or the response of a route.
type own struct {
	status, length int
	code, text     string
	location       []byte          // of a redirect, which has no body
	fields         *action.Headers // of a route's response; nil: none
	keep           bool            // the connection may stay open
}

// writes reports whether the proxy writes its own field with that name, in lower case: neither the response of the route
// nor the route's edits of responses have another one.
func (r *own) writes(e *exchange, name string) bool {
	return !r.fields.Puts(name) && !e.edits().Drops(name)
}

const ownType = "text/plain; charset=utf-8"

// setDate puts the current time into e.date, as in a Date field. It formats once a second.
func (c *conn) setDate(e *exchange) {
	second := (c.now + c.p.wall.Load()) / 1e9
	if second != e.dateOf || len(e.date) == 0 {
		e.dateOf = second
		e.date = time.Unix(second, 0).UTC().AppendFormat(e.date[:0], http.TimeFormat)
	}
}
