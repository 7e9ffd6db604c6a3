// Package upstream holds what the proxy knows about the instances behind it.
//
// There are three lifetimes, and they never mix:
//
//   - A [Live] outlasts every snapshot. There is one per (service, instance,
//     address, generation); it carries the counters that requests write and
//     that the reporter reads each second. Nothing counted is ever queued.
//   - A [Pool] is an immutable snapshot of one service: which members take
//     requests, with which weights, and the tables of its policy. The keeper
//     builds a new one every 100 ms and swaps it in.
//   - A [Service] is what routes point to; it lives as long as its id is
//     configured and holds the current Pool behind one atomic pointer.
//
// The journey of a request: [Service.Pick] loads the Pool once, asks its
// [Policy] for a member and fills a [Ticket]; [Ticket.Observe] is called once
// with the response head or the failure; [Ticket.Release] once with the last
// byte. Retries pick again, from the Pool of that moment.
//
// Everything here is safe for concurrent use unless its comment says
// otherwise. The package does no I/O and reads no clock: `now` is an argument,
// in nanoseconds of one monotonic clock per process.
package upstream
