// Package proxy is the HTTP/1.1 front end and its connections to instances.
//
// A request's way: Proxy accepts (proxy.go) and gives each client connection a
// goroutine (conn.go), which reads a head with internal/dataplane/h1, asks the dispatcher
// where to send it, writes the request on a kept or new connection (idle.go,
// try.go) and reads the reply itself; relay.go passes the reply on. Where a
// request body is not complete in the buffer, one pump goroutine (pump.go) sends
// it while the reply is read; it is joined before anything is reused. wire_*.go
// are the drivers of a TCP connection, sweep.go its deadlines, accesslog.go the
// log.
//
// The package decides nothing about where requests go: that is Dispatcher,
// in practice *dispatch.Dispatcher. It is started and stopped by app.
package proxy
