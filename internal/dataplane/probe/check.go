package probe

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// maxBody is the maximum number of bytes of a response body in a result.
const maxBody = 256

// maxAnswer is the maximum number of bytes read from an answer, including the header.
const maxAnswer = 64 << 10

func check(ctx context.Context, t Target, expect expectation) Result {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	start := time.Now()
	r := Result{Target: t, At: start}
	switch t.Check {
	case "tcp":
		r.tcp(ctx)
	case "grpc":
		r.grpc(ctx)
	default:
		r.http(ctx, expect)
	}
	r.Took = time.Since(start)
	return r
}

func (r *Result) tcp(ctx context.Context) {
	conn, err := r.dial(ctx)
	if err != nil {
		r.failed(err)
		return
	}
	r.OK = true
	_ = conn.Close()
}

// dial connects to the instance.
func (t Target) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	network, at := upstream.SplitAddress(t.Addr)
	conn, err := d.DialContext(ctx, network, at)
	if err != nil {
		return nil, err
	}
	if t.ProxyProtocol != proxyproto.None {
		if _, err := conn.Write(proxyproto.Header{Version: t.ProxyProtocol}.Append(nil)); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	if t.TLS == nil {
		return conn, nil
	}
	cfg := t.TLS.Config(upstream.Host(t.Addr))
	cfg.NextProtos = []string{"http/1.1"} // a check may speak another protocol than requests
	if t.HTTP2 {
		cfg.NextProtos = []string{"h2"}
	}
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// http checks over a new connection: a reused connection would hide that an instance accepts no new connections. It
// runs in this goroutine, because the three goroutines of an http.Transport would be most of the cost of a check.
func (r *Result) http(ctx context.Context, expect expectation) {
	resp, err := r.ask(ctx)
	if err == nil {
		defer resp.Body.Close()
		var body []byte
		body, err = io.ReadAll(io.LimitReader(resp.Body, expect.bytes()))
		r.StatusCode, r.Body = resp.StatusCode, strings.ToValidUTF8(string(body[:min(len(body), maxBody)]), "\uFFFD")
		r.OK, r.Reason = expect.judge(resp.StatusCode, body)
	}
	if err != nil {
		r.OK = false
		r.failed(err)
	}
}

// failed records why there was no answer.
func (r *Result) failed(err error) {
	r.Body, r.Reason, r.shortage = reason(err), "", guard.OwnShortage(err)
}

// connBody is a response body whose Close closes the connection.
type connBody struct {
	io.Reader
	close func() error
}

func (b connBody) Close() error { return b.close() }

// request builds the request of an HTTP check.
func (t Target) request(ctx context.Context) (*http.Request, error) {
	at, err := url.ParseRequestURI(t.Path)
	if err != nil {
		return nil, err
	}
	host := t.Addr
	if upstream.IsUnix(host) {
		host = "localhost"
	}
	at.Scheme, at.Host = "http", host // not parsed as text, because the % of an IPv6 zone is not an escape
	req := (&http.Request{Method: cmp.Or(t.Method, http.MethodGet), URL: at, Host: host, Header: http.Header{"User-Agent": {"smartlb-probe"}}}).WithContext(ctx)
	if t.Host != "" {
		req.Host = t.Host
	}
	for line := range strings.Lines(t.Headers) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		req.Header.Set(name, value)
	}
	return req, nil
}

func (r *Result) ask(ctx context.Context) (*http.Response, error) {
	req, err := r.request(ctx)
	if err != nil {
		return nil, err
	}
	req.Close = true
	if r.HTTP2 {
		return r.askHTTP2(req)
	}
	conn, err := r.dial(ctx)
	if err != nil {
		return nil, err
	}
	giveUp := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	done := func() error { giveUp(); return conn.Close() }
	resp, err := exchange(conn, req)
	if err != nil {
		_ = done()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	resp.Body = connBody{resp.Body, done}
	return resp, nil
}

// exchange writes the request and reads the header of the final response.
func exchange(conn net.Conn, req *http.Request) (*http.Response, error) {
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	in := bufio.NewReader(io.LimitReader(conn, maxAnswer))
	for {
		resp, err := http.ReadResponse(in, req)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// reason converts a dial or read error to its usual short name.
func reason(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "connection reset"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed before the response"
	}
	text := err.Error()
	if len(text) > maxBody {
		text = strings.ToValidUTF8(text[:maxBody], "")
	}
	return text
}
