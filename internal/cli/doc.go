// Package cli is the frame of the command line: the code that all verbs share.
//
// A Verb declares its flags, runs a function that returns a value, and formats that value as a table. The frame does
// the rest: -o table|wide|json|yaml, data on stdout and messages on stderr, exit codes, help with examples, logs, and
// an orderly stop on Ctrl-C.
//
// Each noun (kafka, config, run ...) is a package below this package that offers a Group; cmd/smartlb passes the groups
// to Main.
package cli
