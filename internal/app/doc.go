// Package app starts and stops the parts of one process, in an order that avoids the loss of data.
//
// New binds every listener and checks every input, but opens no connection and starts no goroutine. Run starts the
// actors of the configured roles. When its context ends, it stops them in reverse order: listeners and requests first,
// Kafka clients last. End-to-end tests start the real program through this package on port 0.
package app
