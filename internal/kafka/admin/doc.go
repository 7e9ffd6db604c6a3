// Package admin holds what an operator asks and changes in a cluster, as plain functions: topics, settings, partitions,
// plans, consumer groups, offsets, health. Records are read and written in package records.
//
// The command line, the API and the console all call these functions, so their results agree. Results are values with
// JSON names; `-o json` prints them. Every function is bounded by its context.
package admin
