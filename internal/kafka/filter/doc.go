// Package filter decides by an expression which records somebody wants to see.
//
// Expressions are CEL (https://cel.dev): value.metrics.errorRate > 0.1 &&
// headers["smartlb-reporter"].startsWith("proxy/"). They see topic, partition,
// offset, timestamp, key, value (parsed where it is JSON), text (the value as it
// is), size (of the value) and headers. Evaluation is bounded: an expression
// cannot loop, and one that costs too much ends with an error for that record.
//
// Terms are simpler ways to say it, for people who do not want to write an
// expression: words, a key, a header, a place in the JSON.
package filter
