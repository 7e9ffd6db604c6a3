// Package analyzer runs analysis.Task on Kafka: one task per partition that its consumer group assigns to it.
//
// It reads service-metrics, health-status and smartlb-rekey, whose partitions of equal number are assigned to the same
// member. It writes metrics-aggregated, health-scores, alerts, smartlb-rekey and the dead-letter topics.
//
// When a partition is assigned, its task replays the input of the 180 s before the committed position and emits
// nothing. After that position the task goes live. Each second the analyzer passes the time to the tasks and delivers
// what they emit. Then it commits the positions, with the data that the next owner needs (mark). A crash at any moment
// repeats output but loses none: windows carry revisions, scores carry sequence numbers.
//
// Only app uses this package.
package analyzer
