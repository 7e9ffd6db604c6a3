//go:build unix

package broker

import (
	"log/slog"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// space watches how much room the disk has. Records are taken while more than
// reserve is free, commits of groups while an eighth of it is: what groups and
// the broker itself write into the rest is little.
type space struct {
	dir     string
	reserve uint64
	free    func(dir string) (uint64, error)
	log     *slog.Logger
	full    atomic.Bool // as it was said last
}

func freeBytes(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}

// forRecords reports whether records can be taken. It costs a system call of a
// microsecond.
func (s *space) forRecords() bool {
	free, err := s.free(s.dir)
	full := err == nil && free < s.reserve
	if s.full.Swap(full) != full {
		if full {
			s.log.Error("kafka takes no more records: the disk is full", "folder", s.dir, "free", free, "reserve", s.reserve)
		} else {
			s.log.Info("kafka takes records again: the disk has room", "folder", s.dir, "free", free)
		}
	}
	return !full
}

// forCommits reports whether offsets of groups can be kept.
func (s *space) forCommits() bool {
	free, err := s.free(s.dir)
	return err != nil || free >= s.reserve/8
}
