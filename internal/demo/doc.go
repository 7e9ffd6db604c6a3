// Package demo is something to balance: services whose instances are real HTTP
// server processes of different speed, faults that can be switched on and off
// while they run, and a gentle open-loop load. Nothing else in the program
// knows it; `smartlb demo` and `smartlb up --demo` assemble it.
package demo
