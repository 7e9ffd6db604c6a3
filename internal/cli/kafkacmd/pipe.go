package kafkacmd

import (
	"context"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/smartlb/smartlb/internal/base/screen"
)

// pipeLook is the interval of the checks for a closed pipe.
const pipeLook = 500 * time.Millisecond

// untilPipeClosed returns a context that is cancelled when the reader of out closes the pipe; other kinds of out have
// no effect. Without it, a command that follows a quiet topic would notice only at the next record. Call stop when
// done.
func untilPipeClosed(ctx context.Context, out io.Writer) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	f, ok := screen.File(out)
	if !ok {
		return ctx, cancel
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(pipeLook)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if unread(f) {
					cancel()
				}
			}
		}
	}()
	return ctx, func() {
		cancel()
		<-done
	}
}

// unread reports whether the reader of a pipe has closed it.
func unread(f *os.File) bool {
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	_ = conn.Control(func(fd uintptr) {
		look := []unix.PollFd{{Fd: int32(fd)}}
		if n, err := unix.Poll(look, 0); err == nil && n == 1 {
			gone = look[0].Revents&unix.POLLERR != 0
		}
	})
	return gone
}
