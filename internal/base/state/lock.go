//go:build unix

package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked means that another process holds a lock.
var ErrLocked = errors.New("in use")

// retry is the pause between two attempts of Lock.
const retry = 50 * time.Millisecond

// TryLock locks the file at path against other processes, until release is called or this process ends for any reason.
// It creates the file, in a folder that exists, writes the pid of this process into it, and does not block. If another
// process holds the lock, the error is ErrLocked with the pid of that process. The file is never removed: otherwise two
// processes could lock two files of one name.
func TryLock(path string) (release func(), err error) {
	f, err := TryLockFile(path)
	if err != nil {
		return nil, err
	}
	return func() { _ = f.Close() }, nil // nothing was written that could be lost; the kernel unlocks the file in any case
}

// TryLockFile is TryLock that returns the locked file. The lock is held until every process that has the file open has
// closed it: a process that inherits the file keeps the lock.
func TryLockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Retake makes this process the holder of a lock whose file it inherited: the file has its pid from then on.
func Retake(f *os.File) error { return flock(f) }

func flock(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("%w by %s", ErrLocked, holder(f))
		}
		return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder reads the pid that the holder of a lock wrote into its file.
func holder(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 32))
	pid := strings.TrimSpace(string(b))
	if err != nil || pid == "" {
		return "another process"
	}
	return "process " + pid
}

// Lock is TryLock that blocks until the lock is free or ctx ends; the error is then that of ctx.
func Lock(ctx context.Context, path string) (release func(), err error) {
	tick := time.NewTicker(retry)
	defer tick.Stop()
	for {
		release, err := TryLock(path)
		if !errors.Is(err, ErrLocked) {
			return release, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}
