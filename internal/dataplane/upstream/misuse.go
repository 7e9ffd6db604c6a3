//go:build !race

package upstream

// misuse reports the second Observe or Release of a ticket. It does nothing in production. In race builds it panics, so
// tests find the caller.
func misuse(string) {}
