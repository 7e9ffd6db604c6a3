package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/internal/console/problem"
)

// Config of a Client.
type Config struct {
	// Timeout limits a call until its answer is complete, and a stream until its header. It must be more than 0.
	Timeout time.Duration
	// Proxy returns the HTTP proxy for a request. nil: the client connects to the node itself.
	Proxy func(*http.Request) (*url.URL, error)
	// Control may refuse an address after DNS, as in net.Dialer. nil: every address is permitted.
	Control func(network, address string, c syscall.RawConn) error
}

// Node is the HTTP API of one node.
type Node struct {
	URL   string // scheme, host and port, without a path
	Token string // the admin token; empty: none is sent
}

// Client calls nodes. It may be used concurrently. Connections without a call are closed after 30 s.
type Client struct {
	http    *http.Client
	timeout time.Duration
}

// Limits of a response.
const (
	dialTimeout = 3 * time.Second
	maxHeader   = 64 << 10
	maxAnswer   = 64 << 20 // an overview of 100,000 instances
	maxProblem  = 64 << 10
)

// Media types of the API.
const (
	jsonType  = "application/json"
	eventType = "text/event-stream"
)

// New returns a client. It does not connect.
func New(cfg Config) *Client {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: cfg.Control}
	return &Client{timeout: cfg.Timeout, http: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: cfg.Proxy, DialContext: dialer.DialContext, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: cfg.Timeout,
			MaxResponseHeaderBytes: maxHeader, MaxIdleConnsPerHost: 2, MaxIdleConns: 16, IdleConnTimeout: 30 * time.Second,
		},
	}}
}

// CloseIdleConnections closes the connections that no call uses.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// Do sends body as JSON (nil: no body) and decodes the answer into v. Its error is a *problem.Error: with the code, text
// and hint of the node if the node refused the call, with the code Timeout if the answer was not complete in time, and
// with the code Unavailable if there is no answer or it is not one of this API.
func (c *Client) Do(ctx context.Context, n Node, method, path string, body, v any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := c.send(ctx, n, method, path, body, jsonType)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := &io.LimitedReader{R: resp.Body, N: maxAnswer}
	if err := json.NewDecoder(answer).Decode(v); err != nil {
		if answer.N <= 0 {
			err = fmt.Errorf("more than %d MiB", maxAnswer>>20)
		}
		return failed(fmt.Errorf("the answer of %s: %w", resp.Request.URL, err))
	}
	return nil
}

// send sends a request. Without an error the status is 200, and the content has the media type want.
func (c *Client) send(ctx context.Context, n Node, method, path string, body any, want string) (*http.Response, error) {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, problem.New(problem.Invalid, err, "")
		}
		sent = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, n.URL+path, sent)
	if err != nil {
		return nil, problem.New(problem.Invalid, err, "")
	}
	if body != nil {
		req.Header.Set("Content-Type", jsonType)
	}
	if want == eventType {
		req.Header.Set("Accept-Encoding", "identity") // no compression: this process would decompress it immediately
	}
	if n.Token != "" {
		req.Header.Set("Authorization", "Bearer "+n.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, failed(err)
	}
	if resp.StatusCode == http.StatusOK && mediaType(resp) == want {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refused(resp, want)
}

func mediaType(resp *http.Response) string {
	t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // empty on an error
	return t
}

// refused returns the error of a response that is not the wanted answer.
func refused(resp *http.Response, want string) error {
	if resp.StatusCode != http.StatusOK && mediaType(resp) == jsonType {
		var p problem.Problem
		if err := json.NewDecoder(io.LimitReader(resp.Body, maxProblem)).Decode(&p); err == nil && p.Error != "" {
			if p.Code == "" {
				p.Code = problem.OfStatus(resp.StatusCode)
			}
			return problem.New(p.Code, errors.New(p.Error), p.Hint)
		}
	}
	what := fmt.Sprintf("answered %d with %q, not with %s", resp.StatusCode, resp.Header.Get("Content-Type"), want)
	switch {
	case resp.StatusCode/100 == 3:
		what = fmt.Sprintf("answered %d and redirects to %q", resp.StatusCode, resp.Header.Get("Location"))
	case resp.StatusCode != http.StatusOK:
		what = fmt.Sprintf("answered %d without a problem in JSON", resp.StatusCode)
	}
	return problem.New(problem.Unavailable, fmt.Errorf("%s %s", resp.Request.URL, what), "check that this is the admin address of a node")
}

// failed returns the error of a call without a complete answer.
func failed(err error) error {
	var slow net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout() {
		return problem.New(problem.Timeout, fmt.Errorf("the node did not answer in time: %w", err), "")
	}
	return problem.New(problem.Unavailable, err, "")
}
