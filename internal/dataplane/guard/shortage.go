package guard

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// NameServer is what OwnShortage gives where the name of the peer could not be looked up.
const NameServer = "an answer of its name server"

// shortages are the errors that say that this process or machine ran out of something. They say nothing about the
// peer of the connection that was to be made (connect(2), socket(2), accept(2)).
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

// OwnShortage names what this process lacks where err is about that, else it gives "".
//
// A name server that is down or late is such a lack: it says nothing about the peer. A name that does not exist is
// none.
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
