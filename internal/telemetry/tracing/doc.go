// Package tracing sends spans of exchanges to an OpenTelemetry collector, by OTLP over HTTP.
//
// Requests never wait for the collector. Record copies an exchange into a bounded ring of reused slots; when the ring is
// full, the exchange is dropped and counted. One goroutine makes spans of the slots and sends them in batches. A batch that
// the collector does not accept within the timeout is dropped and counted.
package tracing
