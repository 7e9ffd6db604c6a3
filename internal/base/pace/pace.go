// Package pace says how often a fleet is reported on: the rounds of proxies and
// analyzers. It is pure; reporter, analysis and the estimate of ops use it.
package pace

import "time"

// PerSecond is how many instances are reported on each second. Larger fleets
// are reported on in rounds, so that up to ten times as many instances cost no
// more.
const PerSecond = 20

// Longest is the longest time between two rounds: a third of the span that
// scores look at and of the time that proxies trust a score.
const Longest = 10 * time.Second

// Rounds gives the time between rounds for a number of instances: shortest up
// to PerSecond instances, then longer, at most Longest (or shortest, if that is
// longer).
func Rounds(instances int, shortest time.Duration) time.Duration {
	rounds := time.Duration(max(instances+PerSecond-1, 0) / PerSecond)
	return max(shortest, min(shortest*rounds, Longest))
}
