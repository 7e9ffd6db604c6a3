package distribution

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Repository fetches from a folder or an HTTP server of Maven's layout.
type Repository struct {
	base   string // URL without the last slash; empty: dir
	dir    string
	client *http.Client
}

// parallel is how many jars are fetched at once. Most are small, so latency
// counts, not bandwidth.
const parallel = 8

// stall is how long a server may send no data.
const stall = 30 * time.Second

// NewRepository accepts a URL (http, https, file) or a folder.
func NewRepository(where string) (*Repository, error) {
	u, err := url.Parse(where)
	switch {
	case err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		transport := &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: parallel, ResponseHeaderTimeout: stall, TLSHandshakeTimeout: stall, ForceAttemptHTTP2: true,
		}
		return &Repository{base: strings.TrimSuffix(where, "/"), client: &http.Client{Transport: transport}}, nil
	case err == nil && u.Scheme == "file":
		where = u.Path
	case err == nil && len(u.Scheme) > 1:
		return nil, fmt.Errorf("%s: http, https and file are understood, or a folder", where)
	}
	if info, err := os.Stat(where); err != nil {
		return nil, fmt.Errorf("repository: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("repository: %s is no folder", where)
	}
	return &Repository{dir: where}, nil
}

var _ Source = (*Repository)(nil)

// Fetch implements Source. The first failure ends the others.
func (r *Repository) Fetch(ctx context.Context, jars []Jar, work string, got func(Jar)) error {
	if r.client != nil {
		defer r.client.CloseIdleConnections()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo := make(chan Jar)
	errs := make([]error, parallel)
	var group sync.WaitGroup
	var report sync.Mutex
	for i := range errs {
		group.Go(func() {
			for j := range todo {
				if err := r.fetch(ctx, j, filepath.Join(work, j.Name())); err != nil {
					errs[i] = err
					cancel()
					return
				}
				report.Lock()
				got(j)
				report.Unlock()
			}
		})
	}
feed:
	for _, j := range jars {
		select {
		case todo <- j:
		case <-ctx.Done():
			break feed
		}
	}
	close(todo)
	group.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return context.Cause(ctx)
}

// fetch writes one jar to path, at most the length of the jar plus one byte.
func (r *Repository) fetch(ctx context.Context, j Jar, path string) error {
	in, err := r.open(ctx, j)
	if err != nil {
		return fmt.Errorf("%s: %w", j.Path, err)
	}
	defer in.Close()
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, j.Size+1)) // the extra byte shows that the file is a different file
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("%s: %w", j.Path, err)
	}
	return nil
}

func (r *Repository) open(ctx context.Context, j Jar) (io.ReadCloser, error) {
	if r.client == nil {
		return os.Open(filepath.Join(r.dir, filepath.FromSlash(j.Path)))
	}
	ctx, cancel := context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/"+j.Path, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		cancel()
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		cancel()
		return nil, fmt.Errorf("the repository answers %s", resp.Status)
	}
	b := &body{ReadCloser: resp.Body, cancel: cancel}
	b.silent = time.AfterFunc(stall, func() { b.stalled.Store(true); cancel() })
	return b, nil
}

// errStalled ends a transfer whose server sends no data.
var errStalled = fmt.Errorf("nothing came for %s", stall)

// body reads a response and ends when the server sends no data for too long.
type body struct {
	io.ReadCloser
	silent  *time.Timer
	stalled atomic.Bool
	cancel  context.CancelFunc
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.silent.Reset(stall)
	if err != nil && b.stalled.Load() {
		err = errStalled
	}
	return n, err
}

func (b *body) Close() error {
	b.silent.Stop()
	b.cancel()
	return b.ReadCloser.Close()
}
