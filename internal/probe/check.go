package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// maxBody is how much of a response body a result carries.
const maxBody = 256

// transport opens a connection per check: a check that reuses one would not
// notice an instance that accepts no more.
var transport = &http.Transport{
	Proxy:                  nil,
	DisableKeepAlives:      true,
	DisableCompression:     true,
	MaxResponseHeaderBytes: 64 << 10,
}

func check(ctx context.Context, t Target) Result {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	start := time.Now()
	r := Result{Target: t, At: start}
	if t.Check == "tcp" {
		r.tcp(ctx)
	} else {
		r.http(ctx)
	}
	r.Took = time.Since(start)
	return r
}

func (r *Result) tcp(ctx context.Context) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", r.Addr)
	if err != nil {
		r.Body = reason(err)
		return
	}
	r.OK = true
	_ = conn.Close()
}

func (r *Result) http(ctx context.Context) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Addr+r.Path, nil)
	if err != nil {
		r.Body = err.Error()
		return
	}
	if r.Host != "" {
		req.Host = r.Host
	}
	req.Header.Set("User-Agent", "smartlb-probe")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		r.Body = reason(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	r.StatusCode, r.Body = resp.StatusCode, strings.ToValidUTF8(string(body), "\uFFFD")
	r.OK = err == nil && accepts(r.Statuses, resp.StatusCode)
	if err != nil {
		r.Body = reason(err)
	}
}

func accepts(statuses string, code int) bool {
	if statuses == "" {
		return code >= 200 && code <= 299
	}
	return strings.Contains(statuses, fmt.Sprintf(" %d ", code))
}

// reason puts a dial or read error into the few words people look for.
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
