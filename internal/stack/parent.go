//go:build unix

package stack

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
)

// FollowParent returns a context that also ends when the pipe whose reading
// end this process inherited as descriptor fd closes, that is, when the parent
// that holds the other end is gone, however it ended. Call stop to release it.
func FollowParent(ctx context.Context, fd int) (_ context.Context, stop func(), err error) {
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, nil, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	pipe := os.NewFile(uintptr(fd), "parent")
	if pipe == nil {
		return nil, nil, fmt.Errorf("descriptor %d is not open", fd)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, pipe)
		cancel(ErrParentGone)
	}()
	return ctx, func() {
		cancel(nil)
		pipe.Close()
		<-done
	}, nil
}

// ErrParentGone is the cause of a context that FollowParent ended.
var ErrParentGone = fmt.Errorf("the parent process is gone")
