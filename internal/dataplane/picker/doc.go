// Package picker decides which instance gets a request, and which instances
// may be asked at all.
//
// Each policy is one file: [Adaptive], [RoundRobin], [LeastRequest], [Random],
// [PeakEWMA], [RingHash], [Maglev]. A policy object belongs to one
// [upstream.Pool]; its Choose is pure, allocates nothing, and is called by many
// requests at once. [Next] computes the following pool of a service from the
// last one and the facts of the moment: who is out and why, ejection and its
// cap, slow start, trust in facts that came through Kafka, panic.
//
// The keeper alone calls Next; everything here takes time and randomness as
// arguments.
package picker
