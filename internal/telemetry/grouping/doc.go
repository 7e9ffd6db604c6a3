// Package grouping decides which messages about alerts a receiver gets, and when. It has no clock, no network and no
// goroutines: alerts, silences and the time go in, messages come out.
//
// [Groups] is for receivers that people read: it collects alerts in groups, waits, repeats, and reports the end of
// alerts. [Feed] is for an Alertmanager, which does all that itself: it sends every alert again each minute. Both keep
// what the receiver acknowledged apart from what is true now. A message that was not delivered is therefore made again
// from the state at that time, and there is no queue of messages.
//
// [Mark] is what the next sender must know about a receiver, besides the alerts topic.
package grouping
