// Package analysis turns reports into windows, health scores and alerts.
//
// A Task owns the services of one partition. Apply takes one input; Punctuate takes the time, each second. Both append
// the records to write to Effects. A Task uses neither Kafka nor a clock: the same inputs and times always have the
// same effects.
//
// Apply decodes a report. If it belongs to another partition, Apply forwards it there. If it is late, a duplicate or
// non-conforming, Apply refuses it and counts it by reason in the instance's health score. Otherwise it adds the report
// to the series of its reporter. Punctuate folds the series into windows, rates the instances of each service against
// each other, and evaluates the alert rules.
//
// State is a function of the last 180 s of input. To take over a partition, make a Task and apply the input of the 180
// s before the committed position to it, marked as Replay. Then call GoLive; the task emits nothing before that.
//
// analyzer is the only caller; the package imports event, window, score and rule.
package analysis
