// Package audit records who did what: starts and stops, configuration, drains,
// broken and healed demo instances. A record goes to the audit-logs topic in
// order; while Kafka is away it waits in a bounded queue, and what still waits
// when the process ends is kept in a file and sent by the next start. Failed
// logins are counted and become one record per interval: anybody can cause them.
//
// The records of a node are a chain: each carries the SHA-256 of the one before
// it, so that what was taken out of the log or changed in it shows ([Verifier]).
// It does not show who wrote them: whoever may write to the topic can begin a
// chain of their own, and whoever holds the node's data directory can go on with
// the node's.
package audit
