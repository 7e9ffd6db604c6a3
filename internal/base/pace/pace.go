// Package pace computes how often the instances of a fleet are reported: the rounds of proxies and analyzers. It is
// pure; reporter, analysis and the estimate of ops use it.
package pace

import "time"

// PerSecond is how many instances are reported each second. Larger fleets are reported in rounds, so that up to ten
// times as many instances cost no more.
const PerSecond = 20

// Longest is the longest time between two rounds. It is a third of the span that scores cover, and a third of the time
// for which proxies trust a score.
const Longest = 10 * time.Second

// Rounds returns the time between rounds for a number of instances. It is shortest for up to PerSecond instances, then
// longer, at most Longest (or shortest, if that is longer).
func Rounds(instances int, shortest time.Duration) time.Duration {
	rounds := time.Duration(max(instances+PerSecond-1, 0) / PerSecond)
	return max(shortest, min(shortest*rounds, Longest))
}
