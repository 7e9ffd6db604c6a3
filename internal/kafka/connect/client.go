package connect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
)

// Config holds the address of a worker. Start from Default.
type Config struct {
	URL     string        // of the REST interface; default http://localhost:8084
	Timeout time.Duration // one request; default 10 s. When a connector is created, its class validates the settings within this time
	Retry   backoff.Policy
}

// Default returns the configuration for a worker on this machine.
func Default() Config {
	return Config{URL: "http://localhost:8084", Timeout: 10 * time.Second, Retry: backoff.Policy{Base: 200 * time.Millisecond, Max: 2 * time.Second, Factor: 2}}
}

// Client sends requests to one worker, which forwards them to other workers if necessary. It is safe for concurrent
// use.
type Client struct {
	base  *url.URL
	http  *http.Client
	retry backoff.Policy
}

// New checks cfg; it does not dial.
func New(cfg Config) (*Client, error) {
	text := cfg.URL
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("connect: %q is no address of a worker", cfg.URL)
	}
	if cfg.Timeout <= 0 {
		return nil, fmt.Errorf("connect: timeout %v is not positive", cfg.Timeout)
	}
	return &Client{base: u, http: &http.Client{Timeout: cfg.Timeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}, retry: cfg.Retry}, nil
}

// Error is a worker's error response.
type Error struct {
	Status  int
	Message string
}

func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("the worker answers %d", e.Status)
	}
	return e.Message
}

// ErrNotFound is wrapped by errors about objects that do not exist.
var ErrNotFound = errors.New("not found")

// ErrNoClass is wrapped by errors about a connector class that no worker has.
var ErrNoClass = errors.New("the worker has no connector class")

// Unwrap makes errors.Is find ErrNotFound.
func (e *Error) Unwrap() error {
	if e.Status == http.StatusNotFound {
		return ErrNotFound
	}
	return nil
}

// maxAnswer limits how much of a response is read.
const maxAnswer = 32 << 20

// do sends a request and reads the response into out; nil: no response is needed. It retries while the worker's group
// rebalances, until ctx ends.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, body, out any) error {
	var payload []byte
	if body != nil {
		var err error
		if payload, err = json.Marshal(body); err != nil {
			return err
		}
	}
	for attempt := 0; ; attempt++ {
		err := c.once(ctx, method, path, query, payload, out)
		var refused *Error
		// 409, or for some requests of Kafka 3.9 a 500 with the same text.
		rebalances := errors.As(err, &refused) && (refused.Status == http.StatusConflict || refused.Status == http.StatusInternalServerError) &&
			strings.Contains(strings.ToLower(refused.Message), "rebalanc")
		switch {
		case rebalances && c.retry.Wait(ctx, attempt):
		case rebalances, attempt > 0 && err != nil && ctx.Err() != nil:
			return fmt.Errorf("the worker's group was still rebalancing: %w", err)
		default:
			return err
		}
	}
}

func (c *Client) once(ctx context.Context, method, path string, query url.Values, payload []byte, out any) error {
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(payload))
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if payload != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.networkError(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the worker's answer: %w", err)
	}
	if resp.StatusCode >= 300 {
		var said struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(b, &said)
		return &Error{resp.StatusCode, said.Message}
	}
	if out == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s does not answer as a Connect worker: %w", c.base.Host, err)
	}
	return nil
}

// networkError adds the worker's address to a network error.
func (c *Client) networkError(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("no Kafka Connect at %s: nothing listens there: %w", c.base.Host, err)
	}
	return fmt.Errorf("no Kafka Connect at %s: %w", c.base.Host, err)
}

// at builds a path from names that may contain any character.
func at(parts ...string) string {
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}
