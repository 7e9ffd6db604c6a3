package kafkacmd

import (
	"context"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/smartlb/smartlb/internal/base/screen"
)

// pipeLook is how often it is looked whether somebody still reads a pipe.
const pipeLook = 500 * time.Millisecond

// untilPipeClosed is ctx until nobody reads out any more, where that is a pipe: who
// follows a quiet topic would only notice with the next record. Call stop when
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

// unread tells of a pipe whose reader has closed it.
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
