package report

import (
	"bytes"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Limits of a control group, version 2, as in the kernel's documentation (Documentation/admin-guide/cgroup-v2). A
// limit applies to all child groups, so the smallest limit between the group and the root is in effect.

const cgroupRoot = "sys/fs/cgroup"

// cgroupPath reads /proc/self/cgroup: the line of the unified hierarchy begins with "0::".
func cgroupPath(self []byte) string {
	for line := range bytes.Lines(self) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "0::"); ok {
			return p
		}
	}
	return "/"
}

// tightest returns the smallest limit that read finds in file, from the group up to the root.
func tightest(root fs.FS, group, file string, read func(string) (float64, bool)) (float64, bool) {
	least, found := 0.0, false
	for p := path.Clean("/" + group); ; p = path.Dir(p) {
		if b, err := fs.ReadFile(root, path.Join(cgroupRoot, p, file)); err == nil {
			if v, ok := read(strings.TrimSpace(string(b))); ok && (!found || v < least) {
				least, found = v, true
			}
		}
		if p == "/" {
			return least, found
		}
	}
}

// cpuLimit returns a number of cores: cpu.max is "quota period" in microseconds, or "max period".
func cpuLimit(root fs.FS, group string) (float64, bool) {
	return tightest(root, group, "cpu.max", func(s string) (float64, bool) {
		quota, period, _ := strings.Cut(s, " ")
		q, err1 := strconv.ParseFloat(quota, 64)
		p, err2 := strconv.ParseFloat(period, 64)
		return q / p, err1 == nil && err2 == nil && q > 0 && p > 0
	})
}

// memoryLimit returns bytes: memory.max is a number or "max".
func memoryLimit(root fs.FS, group string) (float64, bool) {
	return tightest(root, group, "memory.max", func(s string) (float64, bool) {
		v, err := strconv.ParseFloat(s, 64)
		return v, err == nil && v > 0
	})
}

// memoryTotal returns the machine's memory in bytes, or 0 if it is unknown.
func memoryTotal(root fs.FS) float64 {
	b, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) >= 2 && f[0] == "MemTotal:" {
			kb, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				return 0
			}
			return kb * 1024
		}
	}
	return 0
}

// residentPages reads the second number of /proc/self/statm.
func residentPages(statm []byte) (float64, bool) {
	f := strings.Fields(string(statm))
	if len(f) < 2 {
		return 0, false
	}
	v, err := strconv.ParseFloat(f[1], 64)
	return v, err == nil
}
