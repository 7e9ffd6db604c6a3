// Package tracing sends spans of exchanges and the access log to an OpenTelemetry collector, by OTLP over HTTP or
// gRPC.
//
// Requests never wait for the collector. Record and Log copy an exchange into a bounded ring of reused slots; when the ring
// is full, the exchange is dropped and counted. One goroutine for each makes spans or records of the slots and sends them in
// batches. A batch that
// the collector does not accept within the timeout is dropped and counted.
package tracing
