// Package app starts and stops everything, in one process, in an order that
// never loses what can be kept.
//
// New binds every listener and checks every input, but dials nothing and starts
// no goroutine; Run starts the actors of the chosen roles and, when its context
// ends, stops them in the reverse order: listeners and requests first, Kafka
// clients last. End-to-end tests start the real program through this package on
// port 0.
package app
