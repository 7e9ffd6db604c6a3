// Package demo provides services to balance. Their instances are real HTTP server processes of different speed, with
// faults that can be set and removed while they run. A gentle open-loop load sends requests to them. The rest of the
// program does not depend on it; `smartlb demo` and `smartlb up --demo` start it.
package demo
