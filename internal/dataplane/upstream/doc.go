// Package upstream holds the proxy's data about the instances behind it.
//
// There are three lifetimes, kept strictly apart:
//
//   - A [Live] outlives every snapshot. There is one Live per (service, instance, address, generation). It carries the
//     counters that requests write and that the reporter reads each second. Counts are never queued.
//   - A [Pool] is an immutable snapshot of one service: which members take requests, with which weights, and the tables
//     of its policy. The keeper builds a new pool every 100 ms and swaps it in.
//   - A [Service] is the destination of routes. It lives as long as its id is configured and holds the current Pool
//     behind one atomic pointer.
//
// The path of a request: [Service.Pick] loads the Pool once, gets a member from its [Policy] and fills a [Ticket].
// [Ticket.Observe] is called once, with the response head or the failure. [Ticket.Release] is called once, with the
// last byte. A retry picks again, from the Pool that is current then.
//
// Everything here is safe for concurrent use unless its comment says otherwise. The package does no I/O and reads no
// clock: `now` is an argument, in nanoseconds of one monotonic clock per process.
package upstream
