// Package dispatch handles every request: it selects the route and the instance, decides about retries, and records the
// result. Every front end calls the same three functions around its own I/O:
//
//	v := d.Begin(x, head, now)          // route, limits, pick
//	for v.Action == Wait {
//		... wait for v.Waiter until v.Deadline
//		v = d.Admit(x, ended, now)
//	}
//	for v.Action == Forward {
//		... send to v.Live, read the response head, or fail
//		... if there is no head after v.Hedge: d.Hedge for a second try beside the first, then d.Drop for one of them
//		v = d.Settle(x, outcome, now)   // observe; elsewhere, or finish
//		for v.Action == Pause {
//			... wait for v.Wait
//			v = d.Resume(x, ended, now)
//		}
//	}
//	... relay the response, or answer v.Status
//	rec := d.End(x, now)                // exactly once
//
// Only this package does accounting, retries and decision records. It does no I/O, and does
// not allocate. Requests share a lock only at the gate of a service with limits, and in the check of passwords. `now` is in nanoseconds of the process's monotonic clock.
package dispatch
