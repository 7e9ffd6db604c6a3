// Package keeper is the only writer of every pool. It collects the facts about each instance: configuration, probes,
// health-status messages, health-scores and operators' overrides. It builds the next pool of every service each 100 ms
// (for more than 1,000 instances: each 100 µs per instance, at most 1 s), and immediately after urgent changes.
//
// The path of a fact: a probe result, a Kafka message or an override enters through one of the Observe and Set methods.
// The keeper records it under its lock with the local time of arrival. From the next tick on it takes effect, through
// picker.Next. Requests never take that lock: they read the pool that the keeper swapped in.
package keeper
