// Package backoff computes how long to wait before trying again.
//
// It is pure: the attempt number and the randomness are arguments, and whoever
// waits owns the timer. Delays grow exponentially up to a ceiling and carry
// jitter over their upper half, so that many clients that lost one
// broker do not come back in step (Brooker, "Exponential Backoff And Jitter",
// AWS Architecture Blog, 2015: the "equal jitter" variant).
package backoff
