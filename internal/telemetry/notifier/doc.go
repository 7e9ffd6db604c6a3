// Package notifier sends alerts to the receivers of the configuration. Every node with the role analyzer and with
// receivers is a member of one consumer group of the topic alerts. The member that has the partition sends; the others
// wait.
//
// The journey: [Notifier] follows the silences on config-updates and joins the group. Its shell reads the alerts of the
// last 30 days into a grouping.Machine for each receiver, those before the commit as known, and commits the position
// together with a mark for each receiver. One worker for each receiver takes messages from its machine, so that a
// receiver that is slow or down delays no other. When the sender dies, the next member builds the same state from the
// log and the marks. A message whose delivery was not committed is sent again: delivery is at least once.
package notifier
