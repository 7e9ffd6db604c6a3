package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
)

// report takes an answer of a source, or why there is none. The error errUnchanged says that the latest report still holds.
type report func(found []config.Instance, err error)

var errUnchanged = errors.New("unchanged")

// source lists the instances of one service.
type source interface {
	// run reports until ctx ends: at once, and then whenever the answer may have changed.
	run(ctx context.Context, tell report)
}

// fileSource reads a file with targets.
type fileSource struct {
	folder, name string
	most         int // targets
}

// Times of files.
const (
	filePace   = 250 * time.Millisecond // between two looks at a file
	fileRest   = time.Second            // longest wait for a file to rest
	fileReread = 30 * time.Second       // after which a file is read again, although it looks unchanged
)

// run reads the file after each change. A file whose size or time differs from that at the look before may be half
// written, so it is read at the next look, or after fileRest if it changes all the time.
func (s fileSource) run(ctx context.Context, tell report) {
	tick := time.NewTicker(filePace)
	defer tick.Stop()
	var before, read stamp
	var at time.Time
	for first := true; ; first = false {
		now := s.stamp()
		stable := first || now == before
		before = now
		switch {
		case !stable && time.Since(at) < fileRest:
		case now == read && time.Since(at) < fileReread:
			tell(nil, errUnchanged)
		case now.err != "":
			read, at = now, time.Now()
			tell(nil, errors.New(now.err))
		default:
			read, at = now, time.Now()
			tell(s.read())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// stamp identifies a version of a file.
type stamp struct {
	size     int64
	modified time.Time
	err      string // why there is none
}

func (s fileSource) stamp() stamp {
	root, err := os.OpenRoot(s.folder)
	if err != nil {
		return stamp{err: "discovery.folder: " + err.Error()}
	}
	defer root.Close()
	info, err := root.Stat(s.name)
	switch {
	case err != nil:
		return stamp{err: plain(err).Error()}
	case !info.Mode().IsRegular():
		return stamp{err: "is no file"}
	}
	return stamp{size: info.Size(), modified: info.ModTime()}
}

func (s fileSource) read() ([]config.Instance, error) {
	root, err := os.OpenRoot(s.folder)
	if err != nil {
		return nil, fmt.Errorf("discovery.folder: %w", err)
	}
	defer root.Close()
	f, err := root.OpenFile(s.name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe in the place of the file must not block
	if err != nil {
		return nil, plain(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("is no file")
	}
	src, err := io.ReadAll(io.LimitReader(f, MaxAnswer+1))
	if err != nil {
		return nil, plain(err)
	}
	if path.Ext(s.name) == ".json" {
		return ParseJSON(src, s.most)
	}
	return ParseYAML(src, s.most)
}

// plain removes the name of the file from an error that is shown beside it.
func plain(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}
