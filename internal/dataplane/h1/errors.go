package h1

// Class groups errors for counters, to keep the number of counters small.
type Class uint8

// The classes of Error.
const (
	ClassSyntax      Class = iota // bytes that are not an HTTP/1.1 message
	ClassFraming                  // a body whose end is ambiguous
	ClassTarget                   // request-target, Host or path
	ClassLimit                    // longer or more than the limits allow
	ClassUnsupported              // valid, but not supported
	NumClasses       = int(iota)
)

// String returns the name of the class as metrics show it.
func (c Class) String() string {
	switch c {
	case ClassFraming:
		return "framing"
	case ClassTarget:
		return "target"
	case ClassLimit:
		return "limit"
	case ClassUnsupported:
		return "unsupported"
	}
	return "syntax"
}

// Error says why a message was refused. Its values are constants of this package: they need no allocation and can be
// compared by pointer.
type Error struct {
	Status int    // reply to the client; a bad response of an instance is always 502
	Class  Class  // for counters
	Reason string // short, for the log
}

func (e *Error) Error() string { return e.Reason }

// ErrPreface says that the bytes are the preface of HTTP/2, not a request.
var ErrPreface = &Error{400, ClassUnsupported, "HTTP/2 preface where HTTP/1.1 is expected"}

// Reasons to refuse requests and responses.
var (
	errLineEnd       = &Error{400, ClassSyntax, "line does not end with CRLF"}
	errRequestLine   = &Error{400, ClassSyntax, "malformed request line"}
	errMethod        = &Error{400, ClassSyntax, "malformed method"}
	errTLS           = &Error{400, ClassUnsupported, "TLS handshake on a port for plain HTTP"}
	errProxyHeader   = &Error{400, ClassUnsupported, "PROXY protocol header on a port that expects none"}
	errUnderscore    = &Error{400, ClassSyntax, "field name with an underscore"}
	errMethodLong    = &Error{501, ClassLimit, "method too long"}
	errConnect       = &Error{501, ClassUnsupported, "CONNECT is not served"}
	errVersion       = &Error{400, ClassSyntax, "malformed HTTP version"}
	errVersionNew    = &Error{505, ClassUnsupported, "HTTP version not supported"}
	errStatusLine    = &Error{502, ClassSyntax, "malformed status line"}
	errFieldName     = &Error{400, ClassSyntax, "malformed field name"}
	errFieldValue    = &Error{400, ClassSyntax, "control character in field value"}
	errFold          = &Error{400, ClassSyntax, "folded field line"}
	errHeadLarge     = &Error{431, ClassLimit, "head too large"}
	errManyFields    = &Error{431, ClassLimit, "too many fields"}
	errTargetLong    = &Error{414, ClassLimit, "request-target too long"}
	errTarget        = &Error{400, ClassTarget, "malformed request-target"}
	errPathEscape    = &Error{400, ClassTarget, "path with an invalid or forbidden escape"}
	errPathHidden    = &Error{400, ClassTarget, "path with .. beside an encoded slash"}
	errPathRoot      = &Error{400, ClassTarget, "path leaves the root"}
	errHostMissing   = &Error{400, ClassTarget, "no Host field"}
	errHostTwice     = &Error{400, ClassTarget, "more than one Host field"}
	errHost          = &Error{400, ClassTarget, "malformed Host"}
	errHostMismatch  = &Error{400, ClassTarget, "Host differs from the request-target"}
	errLengthTwice   = &Error{400, ClassFraming, "more than one Content-Length"}
	errLength        = &Error{400, ClassFraming, "malformed Content-Length"}
	errLengthLarge   = &Error{413, ClassFraming, "Content-Length out of range"}
	errCoding        = &Error{501, ClassFraming, "transfer coding other than chunked"}
	errCodingBad     = &Error{400, ClassFraming, "malformed Transfer-Encoding"}
	errCodingTwice   = &Error{400, ClassFraming, "more than one Transfer-Encoding"}
	errCodingOld     = &Error{400, ClassFraming, "Transfer-Encoding in HTTP/1.0"}
	errBoth          = &Error{400, ClassFraming, "Content-Length with Transfer-Encoding"}
	errConnection    = &Error{400, ClassSyntax, "malformed Connection field"}
	errConnectionKey = &Error{400, ClassFraming, "Connection names a field it must not"}
	errExpect        = &Error{417, ClassUnsupported, "unknown expectation"}
	errUpgradeBody   = &Error{400, ClassFraming, "Upgrade of a request with a body is not served"}
	errChunkSize     = &Error{400, ClassFraming, "malformed chunk size"}
	errChunkExt      = &Error{400, ClassFraming, "malformed or oversized chunk extension"}
	errChunkEnd      = &Error{400, ClassFraming, "chunk data without CRLF"}
	errTrailer       = &Error{400, ClassFraming, "malformed or oversized trailer"}
)
