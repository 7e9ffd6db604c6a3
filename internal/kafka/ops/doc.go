// Package ops holds an operator's Kafka operations as plain functions. They list, describe and create topics, produce
// and consume, describe consumer groups, create the catalog's topics and check health.
//
// The command line, the API and the console all call these functions, so their results agree. Results are values with
// JSON names; `-o json` prints them. Every function is bounded by its context.
package ops
