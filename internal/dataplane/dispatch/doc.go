// Package dispatch is the one path of every request: which route, which
// instance, whether to try again, and what is told about it afterwards. Every
// front end calls the same three functions around its own I/O:
//
//	v := d.Begin(x, head, now)          // route, guard, pick
//	for v.Action == Forward {
//		... send to v.Live, read the response head, or fail
//		v = d.Settle(x, outcome, now)   // observe; elsewhere, or finish
//	}
//	... relay the response, or answer v.Status
//	rec := d.End(x, now)                // exactly once
//
// Accounting, retries and decision records live only here. Nothing here does
// I/O, takes a lock shared by requests, or allocates; `now` is in nanoseconds
// of the process's monotonic clock.
package dispatch
