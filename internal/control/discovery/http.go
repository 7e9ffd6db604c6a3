package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/control/config"
)

// server is one that lists instances, and how the node logs in.
type server struct {
	headers map[string]secret.Ref
	client  *http.Client
}

// get requests a URL and returns the body and the header of an answer with status 200. With an etag, it returns no body if
// the server answers 304.
func (s server) get(ctx context.Context, address, etag string) ([]byte, http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	for name, ref := range s.headers {
		value, err := ref.Resolve(os.Getenv, os.ReadFile)
		if err != nil {
			return nil, nil, fmt.Errorf("discovery.logins: header %s: %w", name, err)
		}
		r.Header.Set(name, value)
	}
	r.Header.Set("Accept", "application/json")
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, nil, withoutURL(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && etag != "":
		return nil, resp.Header, nil
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, nil, fmt.Errorf("the server redirects (%d); name the final address", resp.StatusCode)
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return nil, nil, fmt.Errorf("the server answers %d: are the headers in discovery.logins right?", resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("the server answers %d, want 200", resp.StatusCode)
	}
	src, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	if err != nil {
		return nil, nil, fmt.Errorf("the answer ends too early: %w", withoutURL(err))
	}
	if len(src) > MaxAnswer {
		return nil, nil, errTooLarge
	}
	return src, resp.Header, nil
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

// httpSource asks a server for targets.
type httpSource struct {
	server
	url      string
	interval time.Duration
	timeout  time.Duration
	most     int // targets
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
	etag := ""
	if known != nil {
		etag = known.etag
	}
	src, header, err := s.get(ctx, s.url, etag)
	if err != nil || src == nil {
		return known, err
	}
	found, err := ParseJSON(src, s.most)
	if err != nil {
		return nil, err
	}
	return &answer{found: found, etag: header.Get("ETag")}, nil
}
