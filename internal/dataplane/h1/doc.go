// Package h1 is a strict HTTP/1.1 codec. It reads and writes bytes in the caller's buffers and does nothing else.
//
// A head is parsed to offsets (Request.Parse, Response.Parse), checked strictly against RFC 9110 and RFC 9112, and
// written again from those offsets (Request.AppendHead, Response.AppendHead). A byte that was not understood is
// therefore never passed on. A body is framed by length, by chunks (Chunked) or by the end of the connection. Only this
// package decides which framing applies. A message with two possible readings is refused, because a proxy that guesses
// makes request smuggling possible.
//
// The package has no I/O, no clock and no goroutines. In the steady state it does not allocate. The front end in
// internal/dataplane/proxy uses it. The router reads a Request through four methods.
package h1
