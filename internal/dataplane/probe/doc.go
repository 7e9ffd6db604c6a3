// Package probe checks instances actively: HTTP or TCP, each on its own
// interval with jitter, with thresholds for both directions.
//
// [Prober.Set] gives the targets; [Prober.Run] owns one goroutine per target;
// each check's [Result] goes to the one consumer named in [Config]. After a
// broken connection [Prober.Check] asks for one check at once: if that fails,
// the instance is down without waiting for its threshold, where the consumer
// allows it.
package probe
