// Package shares divides rate limits with the scope fleet among the nodes. Each process that serves sends a record every
// second to smartlb-rate-limits: its demand of each limit, and the share that it wants. [Book] computes from these records,
// without I/O and clock, which share each process gets; [Sharer] sends and reads them, and sets the shares.
//
// The topic has one partition, so all processes read the records in the same order. A record grants its process what it
// wants, at most what the others leave. A process uses its grant when it has read its own record, and a lower share as soon as
// it sends the record that asks for it. So the shares in use add up to at most the limit, however far each process has read:
// a share grows only after the log shows that another one shrank.
//
// A process that has not read a record of its own for 3 s uses the limit divided by the number of processes that it knew. The
// others divide what it had after 5 s without a record of it. docs/design/rate-limits.md describes what that means for the sum.
package shares
