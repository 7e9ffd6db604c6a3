// Package filter selects records by an expression or by simple terms.
//
// Expressions are CEL (https://cel.dev): value.metrics.errorRate > 0.1 &&
// headers["smartlb-reporter"].startsWith("proxy/"). They can use topic, partition, offset, timestamp, key, value
// (parsed if it is JSON), text (the unparsed value), size (of the value) and headers. Evaluation is bounded: an
// expression cannot loop, and an expression that costs too much ends with an error for that record.
//
// Terms are a simpler form for users who do not write expressions: words, a key, a header, a path in the JSON.
package filter
