package action

// Response is a fixed response, sent instead of asking an instance. It is immutable.
type Response struct {
	Status  int      // 200 to 599
	Headers *Headers // of the response; Content-Type has a default
	Body    []byte   // not sent for HEAD and statuses without a body

	Intercept bool // a page: also instead of a response of an instance
}

// MaxBody limits the body of a fixed response that is in the document, MaxFile one that is in a file, and MaxBodies all
// bodies of a configuration together. In bytes.
const (
	MaxBody   = 64 << 10
	MaxFile   = 1 << 20
	MaxBodies = 16 << 20
)

// HasLength reports whether a response with that status has a Content-Length, which may be 0 (RFC 9110 §8.6).
func HasLength(status int) bool { return status != 204 && status != 304 }

// HasBody reports whether a response with that status may have a body (RFC 9110 §15.3.5, §15.3.6, §15.4.5).
func HasBody(status int) bool { return HasLength(status) && status != 205 }

// Pages are the bodies of a service's errors, by status. A nil Pages has none.
type Pages map[int]*Response
