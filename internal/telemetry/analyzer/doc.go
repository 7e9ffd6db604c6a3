// Package analyzer runs analysis.Task on Kafka: one task per partition that its consumer group assigns to it.
//
// It reads service-metrics, health-status and smartlb-rekey, whose equal partitions meet in one member, and writes
// metrics-aggregated, health-scores, alerts, smartlb-rekey and the dead-letter topics.
//
// The journey of a partition: assigned, its task replays the input of the 180 s before the committed position and
// emits nothing; once past it, the task goes live. Each second the time is told to the tasks, what they emit is
// delivered, and then the positions are committed, with what the next owner needs to know beside them (mark). A crash
// at any moment repeats output, it loses none: windows carry revisions and scores sequence numbers.
//
// Only app uses this package.
package analyzer
