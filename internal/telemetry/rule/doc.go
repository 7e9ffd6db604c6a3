// Package rule turns judgements into alerts: a state machine per alert (pending, firing, resolved) with a waiting time
// before firing, hysteresis, and the rule that missing data never resolves an alert.
//
// The package is pure: time is an argument, and functions return what to publish. Only analysis uses it.
package rule
