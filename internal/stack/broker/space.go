//go:build unix

package broker

import (
	"log/slog"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// space checks the free space of the disk. The broker accepts records while at least reserve is free. It accepts
// commits of groups while at least an eighth of reserve is free, because groups and the broker write little.
type space struct {
	dir     string
	reserve uint64
	free    func(dir string) (uint64, error)
	log     *slog.Logger
	full    atomic.Bool // as last logged
}

func freeBytes(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}

// forRecords reports whether the broker can accept records. It costs a system call of a microsecond.
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

// forCommits reports whether the broker can store offsets of groups.
func (s *space) forCommits() bool {
	free, err := s.free(s.dir)
	return err != nil || free >= s.reserve/8
}
