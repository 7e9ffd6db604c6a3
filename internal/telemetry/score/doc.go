// Package score computes a health score in 0..1 per instance, for people and alerts, and an estimate of each instance's
// capacity for the picker.
//
// An instance is compared with the other instances of its service. What all of them share (a slow database, a bad
// deployment) cancels, because it is no reason to prefer an instance. Rate computes the relative factors of a whole
// service. A Health per instance smooths them over time and stores what a recovery requires.
//
// The package is pure: time is an argument. Only analysis uses it.
package score
