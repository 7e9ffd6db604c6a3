package guard

import (
	"errors"
	"sync/atomic"
	"syscall"
	"time"
)

// shortages are the errors that say that this process or machine ran out of something. They say nothing about the
// peer of the connection that was to be made (connect(2), socket(2), accept(2)).
var shortages = [...]struct {
	errno syscall.Errno
	what  string
}{
	{syscall.EMFILE, "open files of this process"},
	{syscall.ENFILE, "open files of this machine"},
	{syscall.ENOMEM, "kernel memory"},
	{syscall.ENOBUFS, "socket buffers"},
	{syscall.EADDRNOTAVAIL, "local ports"},
}

// OwnShortage names what this process lacks where err is about that, else it gives "".
func OwnShortage(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return ""
	}
	for _, s := range shortages {
		if errno == s.errno {
			return s.what
		}
	}
	return ""
}

// ShortageLasts is how long a shortage counts after it was last seen.
const ShortageLasts = 30 * time.Second

// Shortage remembers that this process ran out of something of its own. The zero value is ready; it is safe for
// concurrent use. Times are nanoseconds of one monotonic clock above 0.
type Shortage struct {
	count atomic.Uint64
	last  atomic.Int64
	what  atomic.Pointer[string]
}

// Note records a shortage. It reports whether this one begins a new shortage: those are worth a line in the log.
func (s *Shortage) Note(what string, now int64) (begins bool) {
	s.count.Add(1)
	s.what.Store(&what)
	before := s.last.Swap(now)
	return before == 0 || now-before > int64(ShortageLasts)
}

// Current names what is lacking: "" where nothing was for ShortageLasts.
func (s *Shortage) Current(now int64) string {
	last := s.last.Load()
	if last == 0 || now-last > int64(ShortageLasts) {
		return ""
	}
	return *s.what.Load()
}

// Count gives how often something was lacking since the start.
func (s *Shortage) Count() uint64 { return s.count.Load() }
