// Package window turns reports into windows. A Series holds the recent reports of one reporter in the order of their
// timestamps, a Fold adds up the reports of a time span, and a Sketch merges latencies.
//
// A window's content is a pure function of the set of its reports and of the report before each. The order of arrival
// does not matter, so a restart, a rebalance or a detour through another topic changes nothing.
//
// The package is pure; analysis uses it, and reporters use Sketch to measure.
package window

import "time"

// Sizes of the tumbling windows.
const (
	Short = 10 * time.Second
	Long  = 60 * time.Second
)

// Start returns the start of the window of the given size that contains t. Windows are aligned to the Unix epoch.
func Start(t time.Time, size time.Duration) time.Time {
	ns := t.UnixNano()
	return time.Unix(0, ns-ns%int64(size)).UTC()
}
