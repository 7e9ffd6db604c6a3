// Package stack runs the services on which smartlb depends, Kafka first, as processes that outlive the command that
// started them.
//
// A Runtime is a list of services in start order. Start waits for each service to be healthy before it starts the next;
// Stop uses the reverse order. The Kafka of the embedded runtime is the broker of this program. Services that are
// processes share Process: its own session, a log file and a pid file. The pid file holds the start time of the
// process, so that no unrelated process with a recycled pid receives a signal.
//
// All state is in one folder, see Dir, independent of a command's data folder, so that every command finds the
// processes of this machine.
package stack
