// Package probe runs active health checks: HTTP or TCP, each with its own interval, jitter, and thresholds for both
// directions.
//
// [Prober.Set] sets the targets. [Prober.Run] runs one goroutine per target. The [Result] of each check goes to the
// consumer in [Config]. After a broken connection, [Prober.Check] requests one immediate check. If it fails, the
// instance is down without waiting for its threshold, provided that the consumer allows it.
package probe
