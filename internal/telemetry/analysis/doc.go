// Package analysis turns reports into windows, health scores and alerts.
//
// A Task owns the services of one partition. It takes inputs one by one (Apply) and the time each second
// (Punctuate), and says what is to be written (Effects). It knows neither Kafka nor a clock: the same inputs and
// times always have the same effects.
//
// The journey of a report: Apply decodes it, sends it to the right partition if it is not this one, refuses it if
// it is late, a duplicate or non-conforming (counted by reason in the instance's health score), else puts it into
// the series of its reporter. Punctuate folds the series into windows, rates the instances of each service against
// each other, and judges the alert rules.
//
// State is a function of the last 180 s of input. To take over a partition, make a Task, apply the input of the 180 s
// before the committed position to it, marked as Replay, and call GoLive; it emits nothing before.
//
// analyzer is the only caller; the package imports event, window, score and rule.
package analysis
