// Package records reads and writes records of topics, for the command line, the API and the console.
//
// A Reader reads: Open finds the offsets, Next pulls the records of one fetch, Seek and Follow point it elsewhere.
// Latest puts what a Reader reads from the end in order, the newest first. Consume is both for a command: the last
// records of a topic, or all from a position. A Sender writes.
package records
