package rig

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Tree gives pid and all its descendants.
func Tree(pid int) []int {
	out := []int{pid}
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, c := range children {
		b, err := os.ReadFile(c)
		if err != nil {
			continue
		}
		for _, f := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(f); err == nil {
				out = append(out, Tree(n)...)
			}
		}
	}
	return out
}

// CPU gives the CPU time that the running threads of all pids have used, in
// nanoseconds, as the scheduler counts it (schedstat; utime has ticks of 10 ms).
func CPU(pids ...int) time.Duration {
	var sum time.Duration
	for _, pid := range pids {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, t := range tasks {
			b, err := os.ReadFile(t)
			if err != nil {
				continue // the thread ended
			}
			if f := strings.Fields(string(b)); len(f) > 0 {
				n, _ := strconv.ParseInt(f[0], 10, 64)
				sum += time.Duration(n)
			}
		}
	}
	return sum
}

// Busy gives the CPU time that the whole machine was not idle.
func Busy() (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	ticks := int64(0)
	for i, f := range strings.Fields(line)[1:] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		if i != 3 && i != 4 && i < 8 { // idle, iowait; guest is within user
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// Switches returns the voluntary and involuntary context switches of all threads.
func Switches(pids ...int) (n int64) {
	for _, pid := range pids {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		for _, t := range tasks {
			fields(t, func(key, value string) {
				if strings.HasSuffix(key, "_ctxt_switches") {
					x, _ := strconv.ParseInt(value, 10, 64)
					n += x
				}
			})
		}
	}
	return n
}

// PSS gives the proportional set size in bytes: pages shared by n processes
// count 1/n for each.
func PSS(pid int) (bytes int64, err error) {
	path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	if _, err := os.Stat(path); err != nil {
		return 0, err
	}
	fields(path, func(key, value string) {
		if key == "Pss" {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
			bytes = kb << 10
		}
	})
	return bytes, nil
}

// Cmdline gives a process's arguments.
func Cmdline(pid int) []string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
}

func fields(path string, each func(key, value string)) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if key, value, ok := strings.Cut(s.Text(), ":"); ok {
			each(key, strings.TrimSpace(value))
		}
	}
}

// Scheduling names the scheduling policy that our children inherit.
func Scheduling() string {
	b, _ := os.ReadFile("/proc/self/stat")
	_, rest, _ := strings.Cut(string(b), ") ") // the name before may hold anything
	f := strings.Fields(rest)
	if len(f) < 39 {
		return "an unknown scheduling policy"
	}
	switch f[38] { // policy is field 41, proc(5)
	case "0":
		return "SCHED_OTHER, nice " + f[16]
	case "1", "2":
		return "SCHED_RR or SCHED_FIFO: other work on the machine waits for them"
	}
	return "scheduling policy " + f[38]
}
