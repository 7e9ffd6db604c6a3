// Package journal is what nodes wrote to Kafka about their own work, for people
// who look: routing decisions, audit records, and the log of configuration.
//
// Nothing is read while nobody looks. The first who asks starts one reader,
// without a consumer group, that all share ([watch]); a minute after the last
// has gone it ends. What is kept is bounded, and what comes faster than it can
// be shown is counted.
package journal
