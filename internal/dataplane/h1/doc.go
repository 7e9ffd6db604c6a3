// Package h1 is a strict HTTP/1.1 codec that reads and writes bytes in the
// caller's buffers and does nothing else.
//
// A head is parsed to offsets (Request.Parse, Response.Parse), checked against
// RFC 9110 and RFC 9112 at their strictest, and written again from those
// offsets (Request.AppendHead, Response.AppendHead), so a byte that was not
// understood is never passed on. Bodies are framed by length, by chunks
// (Chunked) or by the end of the connection; which of them is decided here and
// nowhere else. Where two readings of a message exist it is refused: a proxy
// that guesses is the lever of request smuggling.
//
// The package has no I/O, no clock and no goroutines. In the steady state
// nothing allocates. The front end in internal/dataplane/proxy drives it; the router
// reads a Request through four methods.
package h1
