// Package h2 is the server's side of HTTP/2 (RFC 9113). It turns the bytes of a connection into requests and writes
// their responses; it knows no routing and no instances.
//
// One goroutine reads a connection (Conn.Serve). Each request is a Stream. The goroutine that answers a stream writes
// its frames into the connection's buffer. The first one that finds nobody writing sends the buffer, with what others
// add meanwhile: under load many responses leave with one system call.
//
// A request head becomes the text of an HTTP/1.1 head, which package h1 reads. So both protocols have one validation of
// methods, targets, authorities and fields, and what was validated is what an instance gets.
//
// Every queue is bounded: requests at a time, bytes of a head, bytes of bodies that nobody has read, bytes that wait to
// be written, frames that carry nothing, and requests that a client cancels.
package h2
