//go:build race

package upstream

func misuse(call string) { panic("upstream: second " + call + " of one ticket") }
