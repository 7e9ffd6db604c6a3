// Package broker is a Kafka broker inside this program, for development, demonstrations and small installations: one
// node, no replication, records as durable as the operating system's page cache.
//
// It wraps kfake, the in-process broker of franz-go, which uses the real protocol but trusts its clients, because it
// was made for tests. Between a socket and kfake a request passes:
//
//	fanIn   merges the EXTERNAL and INTERNAL listeners into the one that kfake knows
//	guard   closes connections that would end the process or exhaust its memory,
//	        refuses invalid topics and configurations with Kafka's error codes
//	conn    rewrites node addresses in replies to those of the listener that was used
//
// Before the start, package salvage repairs the data directory, because kfake trusts the files that a kill left there.
// starts stores where logs begin.
//
// lock prevents a second process from using the data directory. retention deletes old records through DeleteRecords, by
// marks of the wall clock, because kfake's own cleaner can lose data when it is killed.
//
// Package app (and the command line) run a Broker; all other packages connect to it over TCP as to any Kafka.
package broker
