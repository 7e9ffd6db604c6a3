package report

import (
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"time"
)

// usage measures the CPU and memory of the process as a share of its limits.
type usage struct {
	cores  float64 // CPU that the process may use
	limit  float64 // bytes of memory that the process may use; 0: unknown
	at     time.Time
	used   time.Duration
	primed bool
}

func newUsage() usage {
	u := usage{cores: float64(runtime.NumCPU())}
	root := os.DirFS("/")
	self, _ := fs.ReadFile(root, "proc/self/cgroup")
	path := cgroupPath(self)
	if c, ok := cpuLimit(root, path); ok {
		u.cores = min(u.cores, c)
	}
	u.limit = memoryTotal(root)
	if m, ok := memoryLimit(root, path); ok && (u.limit == 0 || m < u.limit) {
		u.limit = m
	}
	return u
}

// cpu returns the share of the CPU used since the previous call, 0..1, or nil at the first call.
func (u *usage) cpu(now time.Time) *float64 {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return nil
	}
	used := time.Duration(r.Utime.Nano() + r.Stime.Nano())
	before, at, primed := u.used, u.at, u.primed
	u.used, u.at, u.primed = used, now, true
	span := now.Sub(at)
	if !primed || span <= 0 || u.cores <= 0 {
		return nil
	}
	share := min((used-before).Seconds()/span.Seconds()/u.cores, 1)
	return &share
}

// memory returns the share of the memory used, 0..1, or nil if it is unknown.
func (u *usage) memory() *float64 {
	if u.limit <= 0 {
		return nil
	}
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return nil
	}
	pages, ok := residentPages(b)
	if !ok {
		return nil
	}
	share := min(pages*float64(os.Getpagesize())/u.limit, 1)
	return &share
}
