package guard

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// NameServer is the result of OwnShortage if the look-up of the peer's name failed.
const NameServer = "an answer of its name server"

// shortages are the errors that report an exhausted resource of this process or machine. They say nothing about the
// peer of the connection (connect(2), socket(2), accept(2)).
var shortages = [...]struct {
	errno syscall.Errno
	what  string
}{
	{syscall.EMFILE, "file descriptors of the process"},
	{syscall.ENFILE, "file descriptors of the machine"},
	{syscall.ENOMEM, "kernel memory"},
	{syscall.ENOBUFS, "socket buffers"},
	{syscall.EADDRNOTAVAIL, "local ports"},
}

// OwnShortage returns the resource that this process lacks if err reports such a shortage, otherwise "".
//
// A name server that is down or late counts as a shortage: it says nothing about the peer. A name that does not exist
// does not count.
func OwnShortage(err error) string {
	var lookup *net.DNSError
	if errors.As(err, &lookup) && !lookup.IsNotFound {
		return NameServer
	}
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

// Shortage records that this process ran out of a resource. The zero value is ready to use. It is safe for concurrent
// use. Times are nanoseconds of one monotonic clock, above 0.
type Shortage struct {
	count atomic.Uint64
	last  atomic.Int64
	what  atomic.Pointer[string]
}

// Note records a shortage. It reports whether a new shortage begins, so that the caller can log only its beginning.
func (s *Shortage) Note(what string, now int64) (begins bool) {
	s.count.Add(1)
	s.what.Store(&what)
	before := s.last.Swap(now)
	return before == 0 || now-before > int64(ShortageLasts)
}

// Current returns the missing resource, "" if no shortage was noted for ShortageLasts.
func (s *Shortage) Current(now int64) string {
	last := s.last.Load()
	if last == 0 || now-last > int64(ShortageLasts) {
		return ""
	}
	return *s.what.Load()
}

// Count returns how many shortages were noted since the start.
func (s *Shortage) Count() uint64 { return s.count.Load() }
