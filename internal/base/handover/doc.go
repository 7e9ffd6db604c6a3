// Package handover passes the place of a process to a new process: its listening sockets and the lock of its data
// folder. Package app uses it for upgrades of the binary.
//
// The journey: Sockets opens every listening socket of a process. Start starts the new process with duplicates of these
// sockets; Inherit finds them there, or the sockets of systemd. Then both processes speak over two pipes:
//
//	new: ready   it has read its configuration and has its sockets
//	old: accept  the new process accepts connections; so does the old process
//	old: own     the old process has stopped everything that only one process of a node may do, and drains
//
// Until ready, the old process does not depend on the new process. The order of all steps is in docs/design/upgrade.md.
package handover
