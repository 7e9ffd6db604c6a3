// Package keeper is the only writer of every pool. It gathers what is known
// about each instance (configuration, probes, health-status messages,
// health-scores, operators' overrides) and builds the next pool of every
// service each 100 ms, at once after a change that cannot wait.
//
// The journey of a fact: a probe result, a Kafka message or an override comes in
// through one of the Observe and Set methods, is noted under the keeper's lock
// with the local time it arrived, and acts from the next tick on, through
// picker.Next. Requests never take that lock: they read the pool that the
// keeper swapped in.
package keeper
