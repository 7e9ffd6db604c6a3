package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/base/secret"
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
	f, err := root.Open(s.name)
	if err != nil {
		return nil, plain(err)
	}
	defer f.Close()
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

// httpSource asks a server for targets.
type httpSource struct {
	url      string
	interval time.Duration
	timeout  time.Duration
	most     int // targets
	headers  map[string]secret.Ref
	client   *http.Client
}

// maxPause is the longest pause after failures, as a multiple of the interval.
const maxPause = 8

// run asks the server at each interval. While it fails, the pauses grow.
func (s httpSource) run(ctx context.Context, tell report) {
	defer s.client.CloseIdleConnections()
	var known *answer
	failures := 0
	for {
		next, err := s.ask(ctx, known)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			known, failures = next, 0
			tell(known.found, nil)
		} else {
			failures++
			tell(nil, err)
		}
		pause := s.interval/10*9 + rand.N(s.interval/5+1) // the nodes of a fleet do not ask together
		if failures > 0 {
			pause = backoff.Policy{Base: s.interval, Max: maxPause * s.interval}.Delay(failures, rand.Float64())
		}
		if !backoff.Sleep(ctx, pause) {
			return
		}
	}
}

// answer is a list with the tag that identifies its version.
type answer struct {
	found []config.Instance
	etag  string
}

func (s httpSource) ask(ctx context.Context, known *answer) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	for name, ref := range s.headers {
		value, err := ref.Resolve(os.Getenv, os.ReadFile)
		if err != nil {
			return nil, fmt.Errorf("discovery.logins: header %s: %w", name, err)
		}
		r.Header.Set(name, value)
	}
	r.Header.Set("Accept", "application/json")
	if known != nil && known.etag != "" {
		r.Header.Set("If-None-Match", known.etag)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && known != nil:
		return known, nil
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, fmt.Errorf("the server redirects (%d); name the final address", resp.StatusCode)
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("the server answers %d: are the headers in discovery.logins right?", resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the server answers %d, want 200", resp.StatusCode)
	}
	src, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("the answer ends too early: %w", withoutURL(err))
	}
	found, err := ParseJSON(src, s.most)
	if err != nil {
		return nil, err
	}
	return &answer{found: found, etag: resp.Header.Get("ETag")}, nil
}

// withoutURL removes the address from an error of the client, which is shown beside it and may be long.
func withoutURL(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return err
}
