// Package broker is a Kafka broker inside this program, for development,
// demonstrations and small installations: one node, no replication, records
// as durable as the operating system's page cache.
//
// It wraps kfake, the in-process broker of franz-go, which speaks the real
// protocol but trusts its callers, because it was made for tests. On the way
// from a socket to kfake a request passes:
//
//	fanIn   merges the EXTERNAL and INTERNAL listeners into the one that kfake knows
//	guard   closes connections that would kill or bloat the process, refuses
//	        invalid topics and configurations with Kafka's error codes
//	conn    rewrites node addresses in replies to those of the listener that was used
//
// Before it starts, package salvage makes the data directory whole, because
// kfake believes what a kill left there, and starts remembers where logs begin.
//
// Around it, lock keeps a second process out of the data directory and
// retention deletes old records by wall-clock marks through DeleteRecords,
// because kfake's own cleaner can lose data when it is killed.
//
// Package app (and the command line) run a Broker; everybody else reaches it
// over TCP as they would reach any Kafka.
package broker
