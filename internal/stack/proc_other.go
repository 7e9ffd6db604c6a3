//go:build unix && !linux

package stack

import (
	"os/exec"
	"strconv"
	"strings"
)

// memory returns the resident memory of a process in bytes; 0 if unknown.
func memory(pid int) int64 {
	kib, err := strconv.ParseInt(ps(pid, "rss="), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}

// suspended reports whether a signal stopped the process and it waits for SIGCONT.
func suspended(pid int) bool { return strings.HasPrefix(ps(pid, "stat="), "T") }

func ps(pid int, column string) string {
	out, err := exec.Command("ps", "-o", column, "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
