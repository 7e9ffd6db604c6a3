// Package picker decides which instance gets a request, and which instances may be picked at all.
//
// Each policy is a type: [Adaptive], [RoundRobin], [LeastRequest], [Random], [PeakEWMA], [RingHash], [Maglev]. A policy
// object belongs to one [upstream.Pool]. Its Choose is pure, allocates nothing, and runs for many requests at once.
// [Next] computes the next pool of a service from the previous pool and the current facts: which members are out and
// why, ejection and its limit, slow start, trust in facts from Kafka, and panic.
//
// Only the keeper calls Next. All functions take time and randomness as arguments.
package picker
