// Package proxy is the front end for HTTP/1.1 and HTTP/2, with its connections to instances.
//
// The path of a request: Proxy accepts the connection (proxy.go) and starts one goroutine per client connection
// (conn.go). The goroutine reads the PROXY header that some peers must send (proxyheader.go), then a head with
// internal/dataplane/h1 and asks the dispatcher for an instance. It writes the request on a kept or new connection
// (idle.go, try.go) and reads the response itself. relay.go passes the response on. If the request body is not
// complete in the buffer, a pump goroutine (pump.go) sends it while the response is read. The pump is joined before
// anything is reused. wire_*.go are the drivers of a connection, sweep.go its deadlines, accesslog.go the log.
//
// A connection of HTTP/2 is a session (session.go); each of its requests has a goroutine and passes through the same code.
// front.go is what the two protocols of clients do differently (http1.go, http2.go). mux.go holds connections of HTTP/2 to
// instances, grpc.go what gRPC adds.
//
// The package does not decide where requests go: that is the task of Dispatcher, in practice *dispatch.Dispatcher.
// Package app starts and stops it.
package proxy
