// Package audit records who did what: starts and stops, configuration, drains,
// broken and healed demo instances. A record goes to the audit-logs topic in
// order; while Kafka is away it waits in a bounded queue, and what still waits
// when the process ends is kept in a file and sent by the next start.
package audit
