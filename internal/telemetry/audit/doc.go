// Package audit records actions and their actors: starts and stops, configuration, drains, broken and healed demo
// instances. Records go to the audit-logs topic in order. While Kafka is unavailable they wait in a bounded queue.
// Records that still wait when the process ends are saved in a file, and the next start sends them. Failed logins are
// counted and become one record per interval, because any client can cause them.
//
// The records of a node are a chain: each contains the SHA-256 of the one before it, so that a removed or changed
// record is detected ([Verifier]). The chain does not prove the writer. Any client that may write to the topic can
// begin its own chain. Any process that has the node's data directory can continue the node's chain.
package audit
