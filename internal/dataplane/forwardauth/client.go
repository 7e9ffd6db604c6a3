package forwardauth

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Bounds of the connections to all services.
const (
	maxHead     = 32 << 10 // bytes of the head of an answer
	maxConns    = 1000     // to one address
	maxIdle     = 100      // kept, to one address
	keepTime    = 30 * time.Second
	connectTime = 5 * time.Second // also after the request has given up
	logPace     = 10 * time.Second
)

// Client has the connections to the authentication services of all routes. It is safe for concurrent use.
type Client struct {
	transport *http.Transport
	log       *slog.Logger
}

// NewClient returns a client without connections.
func NewClient(log *slog.Logger) *Client {
	return &Client{log: log, transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: connectTime}).DialContext,
		TLSHandshakeTimeout: connectTime, MaxResponseHeaderBytes: maxHead, DisableCompression: true,
		MaxConnsPerHost: maxConns, MaxIdleConnsPerHost: maxIdle, MaxIdleConns: maxIdle, IdleConnTimeout: keepTime,
	}}
}

// Close closes the connections that no request uses; the others are closed after their requests.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// CheckURL returns an error for a URL that no service can have.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("want http or https")
	case u.Hostname() == "":
		return errors.New("the host is missing")
	case u.User != nil || u.Fragment != "":
		return errors.New("want a URL without user and fragment")
	}
	return nil
}
