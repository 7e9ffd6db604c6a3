package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/telemetry/nodes"
)

// Client queries the admin APIs of other nodes. Their addresses come from smartlb-node-status, where each client with
// write access to the topic can write an address. So Client sends the admin token only to addresses in admin.peers and
// to nodes with a signed status. It limits responses and does not follow redirects. After DNS, it refuses addresses
// that no node has: link-local (with the metadata services of clouds), multicast and unspecified.
type Client struct {
	listed []config.Peer
	token  string
	client *http.Client
}

// Limits of another node's response.
const (
	maxAnswer    = 64 << 20 // an overview of 100,000 instances
	maxProblem   = 64 << 10
	answerWithin = 5 * time.Second
	headWithin   = 5 * time.Second // for the response header, also of a stream
)

func New(listed []config.Peer, token string) *Client {
	dialer := &net.Dialer{Timeout: 3 * time.Second, Control: refuseAddress}
	return &Client{listed: listed, token: token, client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext, TLSHandshakeTimeout: 3 * time.Second, ResponseHeaderTimeout: headWithin,
			MaxResponseHeaderBytes: 64 << 10, MaxIdleConnsPerHost: 2, MaxIdleConns: 16, IdleConnTimeout: 30 * time.Second,
		},
	}}
}

// refuseAddress refuses to dial an address that no node has. The dialer calls it after DNS.
func refuseAddress(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	switch ip := to.Addr().Unmap(); {
	case ip.IsLinkLocalUnicast(), ip.IsMulticast(), ip.IsUnspecified(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("%s is not an address of a node", ip)
	}
	return nil
}

// Trusts reports whether a node gets the token: it is in admin.peers, or its status is signed.
func (p *Client) Trusts(n nodes.Node) bool {
	u, err := nodes.ParseURL(n.AdminURL)
	if err != nil {
		return false
	}
	if n.Key != "" {
		return true
	}
	for _, peer := range p.listed {
		if peer.Covers(u) {
			return true
		}
	}
	return false
}

// do sends a request to a node, with the token if the node is trusted. Without an error, the response status is 200.
func (p *Client) do(req *http.Request, n nodes.Node) (*http.Response, error) {
	u, err := nodes.ParseURL(n.AdminURL)
	if err != nil {
		return nil, fmt.Errorf("%w: the admin address of node %s: %v", api.ErrUnavailable, n.Node, err)
	}
	trusted := p.Trusts(n)
	// On loopback the admin API requires no token, and any process of this machine may listen there.
	if trusted && p.token != "" && !access.Loopback(net.JoinHostPort(u.Hostname(), "1")) {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", api.ErrUnavailable, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var problem api.Problem
	_ = json.NewDecoder(io.LimitReader(resp.Body, maxProblem)).Decode(&problem)
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%w: %s", api.ErrNotFound, strings.TrimPrefix(problem.Error, "not found: "))
	case resp.StatusCode == http.StatusUnauthorized && p.token != "" && !trusted:
		return nil, fmt.Errorf("%w: %s needs credentials, and the admin token is not sent to an address that is known only from an unsigned record; list %s in admin.peers, or configure signing",
			api.ErrUnavailable, n.AdminURL, u.Hostname())
	}
	return nil, fmt.Errorf("%w: %s answered %d: %s", api.ErrUnavailable, req.URL, resp.StatusCode, problem.Error)
}

// Ask sends body as JSON (nil: no body) and decodes the response into v.
func (p *Client) Ask(ctx context.Context, method string, n nodes.Node, path string, body, v any) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, n.AdminURL+path, sent)
	if err != nil {
		return fmt.Errorf("%w: %v", api.ErrUnavailable, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := p.do(req, n)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := &io.LimitedReader{R: resp.Body, N: maxAnswer}
	if err := json.NewDecoder(answer).Decode(v); err != nil {
		if answer.N <= 0 {
			err = fmt.Errorf("more than %d MiB", maxAnswer>>20)
		}
		return fmt.Errorf("%w: the answer of %s: %v", api.ErrUnavailable, n.AdminURL, err)
	}
	return nil
}

// eventSilence is the time without an event after which Events ends. maxEvent is the longest event in bytes.
const (
	eventSilence = 12 * time.Second
	maxEvent     = 64 << 20
)

// Events passes each event of a stream to emit. begun reports whether there was an event.
func (p *Client) Events(ctx context.Context, n nodes.Node, path string, emit func([]byte) error) (begun bool, _ error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(eventSilence, func() { cancel(errors.New("no data received")) })
	defer watchdog.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.AdminURL+path, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept-Encoding", "identity") // no compression: this process would decompress it immediately
	resp, err := p.do(req, n)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	lines := bufio.NewReaderSize(resp.Body, 64<<10)
	var event bytes.Buffer
	inLine := false // the buffer ended inside a line
	for {
		line, err := lines.ReadSlice('\n')
		event.Write(line)
		blank := !inLine && len(line) == 1
		inLine = errors.Is(err, bufio.ErrBufferFull)
		switch {
		case event.Len() > maxEvent:
			return begun, fmt.Errorf("%w: %s sent an event of more than %d MiB", api.ErrUnavailable, n.AdminURL, maxEvent>>20)
		case inLine:
			continue
		case errors.Is(err, io.EOF):
			return begun, nil
		case err != nil:
			return begun, fmt.Errorf("%w: the stream of %s ended: %v", api.ErrUnavailable, n.AdminURL, err)
		}
		if !blank {
			continue
		}
		watchdog.Reset(eventSilence)
		begun = true
		if err := emit(event.Bytes()); err != nil {
			return true, err
		}
		event.Reset()
	}
}
