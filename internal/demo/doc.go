// Package demo provides services to balance. Their instances are real HTTP server processes of different speed, with
// faults that can be set and removed while they run, and a gentle open-loop load. The rest of the program does not
// depend on it; `smartlb demo` and `smartlb up --demo` start it.
package demo
