//go:build unix

package broker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrLocked means that another process uses the data directory.
var ErrLocked = errors.New("data directory is in use")

// lockFile is the file inside the data directory that is locked while a broker runs. It is never removed: otherwise two
// processes could lock two files of one name.
const lockFile = "smartlb.lock"

// lock prevents other brokers from using a directory. The kernel releases it when the process ends for any reason.
type lock struct{ f *os.File }

// acquire locks dir against other brokers.
func acquire(dir string) (*lock, error) { return lockDir(dir, lockFile) }

// LockDir creates dir if needed and locks file in it until release or the end of the process. The error is ErrLocked
// with the pid of the process that holds the lock.
func LockDir(dir, file string) (release func() error, err error) {
	l, err := lockDir(dir, file)
	if err != nil {
		return nil, err
	}
	return l.release, nil
}

func lockDir(dir, file string) (*lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	path := filepath.Join(dir, file)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory %s is not writable: %w", dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return nil, fmt.Errorf("%w: %s is held by %s", ErrLocked, dir, holder(f))
	}
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("data directory %s is not writable: %w", dir, err)
		}
	}
	return &lock{f}, nil
}

// holder reads the pid that the owner of the lock wrote into it.
func holder(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 32))
	pid := strings.TrimSpace(string(b))
	if err != nil || pid == "" {
		return "another process"
	}
	return "process " + pid
}

func (l *lock) release() error { return l.f.Close() }
