//go:build unix && !linux

package stack

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// birth returns the start time of a living process as ps(1) prints it. Zombies do not count as living.
func birth(pid int) (string, error) {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return "", fmt.Errorf("process %d: %w", pid, os.ErrProcessDone)
	}
	state, began, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if began == "" || strings.HasPrefix(state, "Z") {
		return "", os.ErrProcessDone
	}
	return strings.TrimSpace(began), nil
}
