// Package rule turns judgements into alerts: a state machine per alert (pending, firing, resolved) with a waiting
// time before firing, hysteresis, and the rule that silence never resolves anything.
//
// The package is pure: time is an argument and what is to be published comes out of a function. Only analysis uses
// it.
package rule
