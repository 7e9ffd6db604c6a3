package jwt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
)

// Times of the Fetcher.
const (
	refresh      = 5 * time.Minute  // between two fetches of the same keys
	afterUnknown = 10 * time.Second // at least, between a fetch and one because of a token with an unknown key
	fetchTimeout = 5 * time.Second  // of a fetch as a whole
	pace         = 250 * time.Millisecond
	concurrent   = 8 // fetches at the same time; the others wait for the next look
	maxRedirects = 3
)

// afterFailure is the time between two fetches while an endpoint fails.
var afterFailure = backoff.Policy{Base: time.Second, Max: time.Minute}

// Fetcher keeps the keys of key sets current. After a failure a set keeps its keys.
type Fetcher struct {
	sets   func() []*KeySet
	log    *slog.Logger
	client *http.Client
	done   chan result
}

type result struct {
	set  *KeySet
	keys *Keys
	text string
	err  error
}

// NewFetcher returns a fetcher of the sets that are in use. sets must not block.
func NewFetcher(sets func() []*KeySet, log *slog.Logger) *Fetcher {
	return &Fetcher{sets: sets, log: log, done: make(chan result, concurrent), client: &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			return CheckURL(r.URL.String())
		},
	}}
}

// Run fetches keys until ctx ends. It returns when no fetch is under way.
func (f *Fetcher) Run(ctx context.Context) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	running := 0
	for {
		running += f.start(ctx, time.Now(), concurrent-running)
		select {
		case r := <-f.done:
			running--
			f.note(r, time.Now())
		case <-tick.C:
		case <-ctx.Done():
			for ; running > 0; running-- {
				<-f.done
			}
			return nil
		}
	}
}

// start starts the fetches that are due, at most the given number, and returns how many it started.
func (f *Fetcher) start(ctx context.Context, now time.Time, most int) (started int) {
	for _, s := range f.sets() {
		if started == most {
			break
		}
		if s.busy || now.Before(s.next) && (!s.wanted.Load() || now.Before(s.earliest)) {
			continue
		}
		s.busy = true
		s.wanted.Store(false)
		started++
		go func() {
			text, err := f.fetch(ctx, s.Source)
			r := result{set: s, text: string(text), err: err}
			if err == nil {
				r.keys, r.err = ParseKeys(text)
			}
			f.done <- r
		}()
	}
	return started
}

// note stores the result of a fetch. Keys that did not change stay the same value, so that known tokens stay known.
func (f *Fetcher) note(r result, now time.Time) {
	s := r.set
	s.busy = false
	s.earliest = now.Add(afterUnknown)
	if r.err != nil {
		s.failed.Add(1)
		s.next = now.Add(afterFailure.Delay(s.failures, rand.Float64()))
		if s.failures++; s.failures == 1 {
			f.log.Warn("keys of tokens could not be fetched: the node keeps those that it has", "jwks", s.Source, "has_keys", s.Ready(), "error", r.err)
		}
		return
	}
	if s.failures > 0 {
		f.log.Info("keys of tokens were fetched again", "jwks", s.Source)
	}
	s.failures, s.next = 0, now.Add(refresh)
	s.fetched.Add(1)
	s.lastAt.Store(now.Unix())
	if s.text != r.text || !s.Ready() {
		s.text = r.text
		s.keys.Store(r.keys)
	}
}

func (f *Fetcher) fetch(ctx context.Context, source string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json")
	res, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered with status %d", res.StatusCode)
	}
	return io.ReadAll(io.LimitReader(res.Body, maxSet+1)) // ParseKeys refuses what is larger
}

// CheckURL returns an error for a URL from which keys cannot be fetched safely: an attacker who changes the keys on their way can sign
// tokens.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return errors.New("not a URL")
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !local):
		return errors.New("want https; http is for loopback addresses only")
	case u.Hostname() == "":
		return errors.New("the host is missing")
	case u.User != nil || u.Fragment != "":
		return errors.New("want a URL without user and fragment")
	}
	return nil
}
