// Package event holds the messages that travel on the topics: their types, their rules and their JSON form.
//
// Every message type has Validate, which names each field that breaks a rule, Encode, which refuses an invalid
// message, and a Decode function that is strict about every field it knows and ignores every field that it does
// not. What is read often (service-metrics, health-status) is decoded by hand-written code and what is written
// often (the same two and routing-decisions) has AppendJSON, which allocates nothing but the result.
//
// The contract in JSON Schema form is in api/schemas; a corpus of good and bad messages proves that it and the
// Decode functions agree.
//
// Conventions: names are camelCase, times RFC 3339 in UTC, latencies milliseconds, rates per second, ratios 0..1.
// A value that is not known is absent, never 0: see Optional.
//
// The package is pure. Everything may import it; it imports the standard library only.
package event
