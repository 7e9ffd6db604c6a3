// Package cli is the frame of the command line: what every verb shares.
//
// A Verb names its flags, runs a function that returns a value, and says how
// that value looks as a table. The frame does the rest once: -o
// table|wide|json|yaml, data on stdout and words on stderr, exit codes, help
// with examples, logs, and an orderly end on Ctrl-C.
//
// Each noun (kafka, config, run ...) is a package below this one that offers a
// Group; cmd/smartlb gives them to Main.
package cli
