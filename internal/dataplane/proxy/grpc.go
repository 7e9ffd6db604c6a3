package proxy

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/h2"
)

// gRPC status codes (https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
const (
	grpcCancelled         = 1
	grpcUnknown           = 2
	grpcDeadlineExceeded  = 4
	grpcPermissionDenied  = 7
	grpcResourceExhausted = 8
	grpcUnimplemented     = 12
	grpcInternal          = 13
	grpcUnavailable       = 14
	grpcUnauthenticated   = 16
)

// readGRPC notes whether the request is one of gRPC, and the time that its client gives it.
func (e *exchange) readGRPC() {
	if v, ok := e.req.Header("content-type"); !ok || !isGRPC(v) {
		return
	}
	e.grpc = true
	if v, ok := e.req.Header("grpc-timeout"); ok {
		e.x.Timeout = grpcTimeout(v)
	}
}

// isGRPC accepts application/grpc and its variants, such as application/grpc+proto, but not application/grpc-web.
func isGRPC(contentType []byte) bool {
	const want = "application/grpc"
	if !bytes.HasPrefix(contentType, []byte(want)) {
		return false
	}
	rest := contentType[len(want):]
	return len(rest) == 0 || rest[0] == '+' || rest[0] == ';'
}

// grpcTimeout reads 1 to 8 digits and a unit; 0 if the value is not one.
func grpcTimeout(v []byte) time.Duration {
	if len(v) < 2 || len(v) > 9 {
		return 0
	}
	n, err := strconv.ParseUint(string(v[:len(v)-1]), 10, 32)
	if err != nil {
		return 0
	}
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond}
	unit := units[v[len(v)-1]]
	if unit == 0 || n > uint64(math.MaxInt64/unit) {
		return 0
	}
	return max(time.Duration(n)*unit, 1)
}

// judgeGRPC charges the instance if the response ended with a status that says that the instance failed.
func (c *conn) judgeGRPC(e *exchange) {
	n := e.grpcStatus
	if len(e.trailers) > 0 {
		n = grpcStatusOf(trailer(e.trailers, "grpc-status"))
	}
	if n >= 0 && e.leg.GRPCFailures.Has(n) {
		e.x.Fail(dispatch.GRPCStatus)
	}
}

// grpcStatusOf reads a status; -1 if there is none.
func grpcStatusOf(v []byte, ok bool) int {
	n, err := strconv.Atoi(string(v))
	if !ok || err != nil {
		return -1
	}
	return n
}

// trailer returns the value of a field among lines "name: value CRLF".
func trailer(lines []byte, name string) ([]byte, bool) {
	for line := range bytes.Lines(lines) {
		n, v, found := bytes.Cut(bytes.TrimSuffix(line, []byte("\r\n")), []byte(": "))
		if found && h1.EqualFold(n, name) {
			return v, true
		}
	}
	return nil, false
}

// grpcStatus converts the status of a reply of the proxy. A redirect, and a fixed response that is no error, are UNKNOWN: a
// client of gRPC can use neither. A redirect of an authentication service leads to a login, so it is UNAUTHENTICATED.
func grpcStatus(status int, code string) int {
	switch {
	case code == dispatch.CodeClientGone:
		return grpcCancelled
	case status < 400 && code != dispatch.CodeAuthRefused:
		return grpcUnknown
	case status == 401 || status < 400:
		return grpcUnauthenticated
	case status == 504 || status == 408:
		return grpcDeadlineExceeded
	case status == 404 || status == 501:
		return grpcUnimplemented
	case status == 403:
		return grpcPermissionDenied
	case status == 413 || status == 431 || status == 414, code == dispatch.CodeRateLimited:
		return grpcResourceExhausted
	case status >= 500, status == 429:
		return grpcUnavailable
	}
	return grpcInternal
}

// ownGRPC writes the head of a reply of the proxy as gRPC expects it: only trailers, with the status and the text.
func (e *exchange) ownGRPC(c *conn, r own) {
	out := h2.AppendStatus(e.out[:0], 200)
	out = h2.AppendField(out, "content-type", "application/grpc")
	out = appendNumber(out, "grpc-status", grpcStatus(r.status, r.code))
	out = h2.AppendField(out, "grpc-message", grpcMessage("smartlb: "+strconv.Itoa(r.status)+" "+r.code+": "+r.text))
	out = h2.AppendField(out, "date", e.date)
	if r.code == dispatch.CodeRateLimited {
		out = appendLimitFields(out, e, &r)
	}
	e.endBlock(c, c.appendFieldEdits(out, e))
}

// grpcMessage escapes a text for grpc-message: bytes outside of printable ASCII, and '%'.
func grpcMessage(text string) []byte {
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, len(text))
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			out = append(out, '%', digits[c>>4], digits[c&15])
		} else {
			out = append(out, c)
		}
	}
	return out
}
