// Package journal reads what nodes wrote to Kafka about their own work, for display: routing decisions, access logs, audit
// records, and the log of configuration.
//
// Kafka is read only while there are users. The first user starts one reader, without a consumer group, that all users
// share ([watch]); it ends one minute after the last user left. The kept entries are bounded. Entries that arrive
// faster than they can be shown are counted.
package journal
