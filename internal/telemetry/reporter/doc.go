// Package reporter publishes the proxy's measurements to Kafka: per-instance service-metrics each second, the results
// of its own probes as health-status, and sampled routing-decisions.
//
// Reporting never blocks requests. Metrics are read from counters that requests update anyway, so a slow broker costs
// nothing and no report is queued twice. A decision is copied into a bounded ring of reused slots; when the ring is
// full or the rate is exceeded, it is dropped and counted. One goroutine does all other work.
package reporter
