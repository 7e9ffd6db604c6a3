package stack

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// birth returns the start time of a living process as text. The text holds the boot id and the clock ticks since boot
// (proc(5), field 22 of /proc/PID/stat). It differs for any two processes with the same pid. Zombies do not count as
// living.
func birth(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	end := bytes.LastIndexByte(stat, ')') // the name before it may contain any character
	fields := strings.Fields(string(stat[end+1:]))
	if end < 0 || len(fields) < 20 {
		return "", fmt.Errorf("process %d: unexpected stat", pid)
	}
	// The first thread of a process may end before the others (field 20), which then still hold its files and ports.
	if fields[0] == "X" || fields[0] == "Z" && (fields[17] == "0" || fields[17] == "1") {
		return "", os.ErrProcessDone
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(boot)) + "/" + fields[19], nil
}
