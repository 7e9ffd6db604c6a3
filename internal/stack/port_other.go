//go:build !linux

package stack

// PortOwner cannot tell here.
func PortOwner(int) (pid int, name string, ok bool) { return 0, "", false }
