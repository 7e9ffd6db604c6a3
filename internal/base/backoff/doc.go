// Package backoff computes the delay before a retry.
//
// It is pure: the attempt number and the randomness are arguments, and the caller owns the timer. Delays grow
// exponentially up to a limit and have jitter over their upper half. Many clients that lost one broker therefore do not
// return at the same time (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: the "equal jitter"
// variant).
package backoff
