// Package rule turns judgements into alerts. Each alert is a state machine (pending, firing, resolved) with a waiting
// time before firing and with hysteresis. Missing data never resolves an alert.
//
// The package is pure: time is an argument, and functions return what to publish. Only analysis uses it.
package rule
