// Package ops holds what an operator does to Kafka as plain functions: list,
// describe and create topics, produce and consume, look at consumer groups,
// make the catalog's topics exist, judge health.
//
// The command line, the API and the console all call these, so that they
// cannot disagree. Results are values with JSON names; they are what `-o json`
// prints. Every function is bounded by its context.
package ops
