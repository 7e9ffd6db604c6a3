//go:build !race

package upstream

// misuse is where a ticket's second Observe or Release ends up: nothing in
// production, a panic in race builds, so that tests find the caller.
func misuse(string) {}
