package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/control/config"
)

// peers asks other nodes' admin APIs. Their addresses come from
// smartlb-node-status, where anybody with access to the topic can write one. So
// the admin token goes only to addresses of admin.peers and to nodes whose
// status is signed; answers are bounded, redirects are not followed, and
// addresses that no node has (link-local, with the metadata services of clouds,
// multicast, unspecified) are refused after their names were resolved.
type peers struct {
	listed []config.Peer
	token  string
	client *http.Client
}

// Bounds on another node's answer.
const (
	maxAnswer    = 64 << 20 // an overview of 100,000 instances
	maxProblem   = 64 << 10
	answerWithin = 5 * time.Second
	headWithin   = 5 * time.Second // of a stream
)

func newPeers(listed []config.Peer, token string) *peers {
	dialer := &net.Dialer{Timeout: 3 * time.Second, Control: refuseAddress}
	return &peers{listed: listed, token: token, client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext, TLSHandshakeTimeout: 3 * time.Second, ResponseHeaderTimeout: headWithin,
			MaxResponseHeaderBytes: 64 << 10, MaxIdleConnsPerHost: 2, MaxIdleConns: 16, IdleConnTimeout: 30 * time.Second,
		},
	}}
}

// refuseAddress is called with the address that is dialled, after DNS.
func refuseAddress(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	switch ip := to.Addr().Unmap(); {
	case ip.IsLinkLocalUnicast(), ip.IsMulticast(), ip.IsUnspecified(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("%s is no address of a node", ip)
	}
	return nil
}

// adminURL reads the address that a node gives of itself.
func adminURL(text string) (*url.URL, error) {
	const longest = 300
	u, err := url.Parse(text)
	switch {
	case len(text) > longest, err != nil:
		return nil, errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.Hostname() == "":
		return nil, errors.New("want http://HOST:PORT or https://HOST:PORT")
	case u.User != nil, strings.Trim(u.Path, "/") != "", u.RawQuery != "", u.Fragment != "":
		return nil, errors.New("want an address without user, path and query")
	}
	return u, nil
}

// plainURL gives the address without what follows it, empty where it is none.
func plainURL(text string) string {
	u, err := adminURL(text)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// trusts tells whether a node gets the token: it is listed, or signed its
// status.
func (p *peers) trusts(n LiveNode) bool {
	u, err := adminURL(n.AdminURL)
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

// do sends a request to a node, with the token where the node gets it. The
// answer's status is 200.
func (p *peers) do(req *http.Request, n LiveNode) (*http.Response, error) {
	u, err := adminURL(n.AdminURL)
	if err != nil {
		return nil, fmt.Errorf("%w: the admin address of node %s: %v", api.ErrUnavailable, n.Node, err)
	}
	trusted := p.trusts(n)
	// On loopback the admin API asks for no token, and any process of the
	// machine may listen there.
	if trusted && p.token != "" && !loopback(net.JoinHostPort(u.Hostname(), "1")) {
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
		return nil, fmt.Errorf("%w: %s wants credentials, and the admin token is not sent to an address that only a record names: list %s in admin.peers, or configure signing",
			api.ErrUnavailable, n.AdminURL, u.Hostname())
	}
	return nil, fmt.Errorf("%w: %s answered %d: %s", api.ErrUnavailable, req.URL, resp.StatusCode, problem.Error)
}

// askJSON sends body as JSON, nil: none, and reads the answer into v.
func (p *peers) askJSON(ctx context.Context, method string, n LiveNode, path string, body, v any) error {
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
