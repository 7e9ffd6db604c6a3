// Package score judges instances by numbers: a health score in 0..1 for people and alerts, and an estimate of each
// instance's capacity for the picker.
//
// An instance is compared with its peers of the same service: what all of them share (a slow database, a bad
// deployment) is no reason to prefer one, so it cancels. Rate computes the relative factors of a whole service, and
// a Health per instance smooths them over time and remembers what is needed to believe in a recovery.
//
// The package is pure: time is an argument. Only analysis uses it.
package score
