package ratelimit

// advance takes a token from a bucket by the generic cell rate algorithm (ITU-T I.371), which needs one number for a bucket:
// the time at which the bucket is full again. A state at or before now is a full bucket.
//
// A token costs the time in which one comes back. A request is refused if the bucket would need more than depth to be full
// again after it. With cost 10 ms and depth 50 ms, a full bucket has 5 tokens, and one comes back every 10 ms.
//
// cost may change between calls. A bucket that got its state at a higher cost is at most empty at the new cost. If cost is
// above depth, a bucket holds one token.
//
// advance returns the next state, and how long to wait for a token, 0 if it was taken. A refused request changes the state only
// if the cost fell.
func advance(state, now, cost, depth int64) (next, wait int64) {
	depth = max(depth, cost)
	state = min(state, now+depth)
	next = max(state, now) + cost
	if wait = next - now - depth; wait > 0 {
		return state, wait
	}
	return next, 0
}
