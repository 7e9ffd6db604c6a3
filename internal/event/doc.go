// Package event defines the messages on the topics: their types, their rules and their JSON form.
//
// Every message type has three functions. Validate names each field that breaks a rule. Encode refuses an invalid
// message. A Decode function is strict about every known field and ignores unknown fields. Frequently read messages
// (service-metrics, health-status) have hand-written decoders. Frequently written messages (the same two and
// routing-decisions) have an AppendJSON that allocates only the result.
//
// The contract in JSON Schema form is in api/schemas. A corpus of good and bad messages proves that the schemas and the
// Decode functions agree.
//
// Conventions: names are camelCase, times RFC 3339 in UTC, latencies milliseconds, rates per second, ratios 0..1. An
// unknown value is absent, never 0: see Optional.
//
// The package is pure. Every package may import it; it imports the standard library and base/readable only.
package event
