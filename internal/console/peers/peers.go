package peers

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/internal/console/apiclient"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/telemetry/nodes"
)

// Client queries the admin APIs of other nodes. Their addresses come from smartlb-node-status, where each client with
// write access to the topic can write an address. So Client sends the admin token only to addresses in admin.peers and
// to nodes with a signed status. After DNS, it refuses addresses that no node has: link-local (with the metadata services
// of clouds), multicast and unspecified.
type Client struct {
	listed []config.Peer
	token  string
	api    *apiclient.Client
}

// answerTimeout limits a call to another node, so that the caller can ask the next node within its own timeout.
const answerTimeout = 5 * time.Second

// New returns a client. It sends token to trusted nodes; listed are the nodes of admin.peers.
func New(listed []config.Peer, token string) *Client {
	return &Client{listed: listed, token: token, api: apiclient.New(apiclient.Config{Timeout: answerTimeout, Control: refuseAddress})}
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

// Ask sends body as JSON (nil: no body) and decodes the answer into v. Its error is a *problem.Error with the code
// NotFound or NotServed of the node, else Unavailable: then another node may answer.
func (p *Client) Ask(ctx context.Context, method string, n nodes.Node, path string, body, v any) error {
	to, err := p.target(n)
	if err == nil {
		err = p.api.Do(ctx, to, method, path, body, v)
	}
	return p.explain(n, err)
}

// Events passes each event of a stream to emit. begun reports whether there was an event. It returns an error of emit
// unchanged; the codes of its other errors are those of Ask.
func (p *Client) Events(ctx context.Context, n nodes.Node, path string, emit func([]byte) error) (begun bool, err error) {
	to, err := p.target(n)
	if err == nil {
		begun, err = p.api.Events(ctx, to, path, emit)
	}
	return begun, p.explain(n, err)
}

// target returns the API of a node, with the token if the node is trusted.
func (p *Client) target(n nodes.Node) (apiclient.Node, error) {
	u, err := nodes.ParseURL(n.AdminURL)
	if err != nil {
		return apiclient.Node{}, problem.Errorf(problem.Unavailable, "the admin address: %w", err)
	}
	to := apiclient.Node{URL: n.AdminURL}
	// On loopback the admin API requires no token, and any process of this machine may listen there.
	if p.Trusts(n) && !access.Loopback(net.JoinHostPort(u.Hostname(), "1")) {
		to.Token = p.token
	}
	return to, nil
}

// explain names the node of an error. Only the codes NotFound and NotServed are answers to the caller's own request; the
// other errors concern this node's call, so their code becomes Unavailable.
func (p *Client) explain(n nodes.Node, err error) error {
	switch problem.CodeOf(err) {
	case "", problem.NotFound, problem.NotServed:
		return err
	case problem.Unauthenticated:
		if p.token != "" && !p.Trusts(n) {
			return problem.Errorf(problem.Unavailable, "%s needs credentials, and the admin token is not sent to an address that is known only from an unsigned record; list its host in admin.peers, or configure signing", n.AdminURL)
		}
	}
	return problem.New(problem.Unavailable, fmt.Errorf("node %s: %w", n.Node, err), "")
}
