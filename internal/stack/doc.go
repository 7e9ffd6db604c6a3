// Package stack runs the services that smartlb stands on, Kafka first, as
// processes that outlive the command that started them.
//
// A Runtime is a list of services in the order in which they start; Start goes
// through it and waits for each to be healthy before the next, Stop goes back.
// The embedded runtime has the broker of this program as its Kafka. Services
// that are processes share Process: own session, log file, and a pid file that
// also holds when the process began, so that no stranger with a recycled pid
// is ever signalled.
//
// All state lies in one folder, see Dir, whatever data folder a command was
// given, so that every command finds what runs here.
package stack
