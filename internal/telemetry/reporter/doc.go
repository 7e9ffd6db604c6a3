// Package reporter tells Kafka what the proxy sees: per-instance
// service-metrics each second, its own probes' results as health-status, and
// sampled routing-decisions.
//
// Nothing here can hurt traffic. Metrics are read from counters that requests
// write anyway, so a slow broker costs nothing and no report is ever queued
// twice. A decision is copied into a bounded ring of reused slots; when the
// ring or the rate is full it is dropped and counted. One goroutine owns the
// rest.
package reporter
