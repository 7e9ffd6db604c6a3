//go:build unix

package proxy

import "syscall"

// descriptorLimit returns how many files this process may have open, 0 if that is unknown. Go's runtime has raised the
// soft limit to the hard limit at the start.
func descriptorLimit() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return int(min(uint64(l.Cur), 1<<30))
}
