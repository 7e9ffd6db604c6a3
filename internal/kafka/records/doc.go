// Package records reads and writes records of topics, for the command line, the API and the console. It asks package
// admin which offsets a topic has.
package records
