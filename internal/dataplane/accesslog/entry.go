package accesslog

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/tracecontext"
)

// Entry is what is known of one exchange at its end. An empty text means that the exchange does not have the value. An
// Entry is used by one goroutine at a time; its owner reuses it.
type Entry struct {
	Time       int64 // of the wall clock, in nanoseconds
	RequestID  []byte
	Traced     bool                 // Trace is set
	Trace      tracecontext.Context // the span of the exchange
	Client     netip.Addr
	Listener   string
	Protocol   string
	Method     []byte
	Host       []byte
	Target     []byte
	Status     int // 0: none was sent
	BytesIn    int64
	BytesOut   int64
	Dispatched bool // the request was routed; false: refused before, without a duration
	DurationNs int64
	Route      string
	Service    string
	Instance   string
	Attempts   int
	User       string
	AuthNs     int64  // wait for the authentication service
	QueueNs    int64  // wait in the queue of the service
	Retried    []Try  // the tries before the last one
	Hedge      string // result of a second try while the first one was not answered
	Failure    string
	Why        string
	SNI        string
	TLSSubject string
	Referer    []byte // only if the Format has Headers
	UserAgent  []byte // only if the Format has Headers

	second int64 // of stamp and common
	stamp  []byte
	common []byte
}

// Try is why a try was not enough: the status of gRPC, or the failure, or the status.
type Try struct {
	Status  int
	GRPC    int    // 0: none, or OK
	Failure string // "": none
}

// field is a value of an Entry.
type field uint8

const (
	literal field = iota
	timeOf
	requestID
	client
	listener
	protocol
	method
	host
	target
	status
	bytesIn
	bytesOut
	durationMs
	route
	service
	instance
	attempts
	user
	authMs
	queueMs
	retried
	hedge
	failure
	why
	path
	request
	commonTime
	sni
	tlsSubject
	referer
	userAgent
	traceID
	fields // number of fields
)

// names has the key of each field in JSON and its variable in a template.
var names = [fields]struct{ key, variable string }{
	timeOf: {"time", "time"}, requestID: {"request_id", "requestId"}, client: {"client", "client"}, listener: {"listener", "listener"},
	protocol: {"protocol", "protocol"}, method: {"method", "method"}, host: {"host", "host"}, target: {"target", "target"},
	status: {"status", "status"}, bytesIn: {"bytes_in", "bytesIn"}, bytesOut: {"bytes_out", "bytesOut"}, durationMs: {"duration_ms", "durationMs"},
	route: {"route", "route"}, service: {"service", "service"}, instance: {"instance", "instance"}, attempts: {"attempts", "attempts"},
	user: {"user", "user"}, authMs: {"auth_ms", "authMs"}, queueMs: {"queue_ms", "queueMs"}, retried: {"retried", "retried"}, hedge: {"hedge", "hedge"}, failure: {"failure", "failure"}, why: {"why", "why"},
	path: {"path", "path"}, request: {"request", "request"}, commonTime: {"common_time", "commonTime"}, sni: {"sni", "sni"},
	tlsSubject: {"tls_subject", "tlsSubject"}, referer: {"referer", "referer"}, userAgent: {"user_agent", "userAgent"}, traceID: {"trace_id", "traceId"},
}

// lastStandard is the last field of lines without chosen fields; the fields up to it are their fields, in their order.
const lastStandard = why

// style is how values are written.
type style uint8

const (
	asJSON style = iota
	asText       // "-" for an empty text
	asWord       // as asText, without blanks and brackets
)

// absent reports whether the exchange has no trace, user, waits, earlier try, hedge or failure. Lines of JSON omit these fields
// then.
func (e *Entry) absent(f field) bool {
	switch f {
	case user:
		return e.User == ""
	case authMs:
		return e.AuthNs <= 0
	case queueMs:
		return e.QueueNs <= 0
	case retried:
		return len(e.Retried) == 0
	case hedge:
		return e.Hedge == ""
	case failure:
		return e.Failure == ""
	case traceID:
		return !e.Traced
	}
	return false
}

// append appends a value.
func (e *Entry) append(b []byte, f field, s style) []byte {
	switch f {
	case timeOf:
		e.refresh()
		ms := e.Time / 1e6 % 1000
		b = quote(b, s)
		b = append(b, e.stamp...)
		return quote(append(b, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z'), s)
	case commonTime:
		e.refresh()
		return quote(append(quote(b, s), e.common...), s)
	case requestID:
		return appendText(b, e.RequestID, s)
	case client:
		return e.appendClient(b, s)
	case listener:
		return appendText(b, e.Listener, s)
	case protocol:
		return appendText(b, e.Protocol, s)
	case method:
		return appendText(b, e.Method, s)
	case host:
		return appendText(b, e.Host, s)
	case target:
		return appendText(b, e.Target, s)
	case path:
		return appendText(b, e.path(), s)
	case request:
		return e.appendRequest(b, s)
	case route:
		return appendText(b, e.Route, s)
	case service:
		return appendText(b, e.Service, s)
	case instance:
		return appendText(b, e.Instance, s)
	case user:
		if s == asText {
			s = asWord // a blank would end the field, a bracket begin the time
		}
		return appendText(b, e.User, s)
	case retried:
		return e.appendTries(b, s)
	case hedge:
		return appendText(b, e.Hedge, s)
	case failure:
		return appendText(b, e.Failure, s)
	case why:
		return appendText(b, e.Why, s)
	case sni:
		return appendText(b, e.SNI, s)
	case tlsSubject:
		return appendText(b, e.TLSSubject, s)
	case referer:
		return appendText(b, e.Referer, s)
	case userAgent:
		return appendText(b, e.UserAgent, s)
	case traceID:
		if !e.Traced {
			return appendText(b, "", s)
		}
		return quote(hex.AppendEncode(quote(b, s), e.Trace.TraceID[:]), s)
	case status:
		if e.Status == 0 && s != asJSON {
			return append(b, "000"...) // as nginx writes it
		}
	}
	return e.appendNumber(b, f)
}

func (e *Entry) appendNumber(b []byte, f field) []byte {
	switch f {
	case status:
		return strconv.AppendInt(b, int64(e.Status), 10)
	case bytesIn:
		return strconv.AppendInt(b, e.BytesIn, 10)
	case bytesOut:
		return strconv.AppendInt(b, e.BytesOut, 10)
	case attempts:
		return strconv.AppendInt(b, int64(e.Attempts), 10)
	case durationMs:
		if !e.Dispatched {
			return append(b, '0')
		}
		return appendMs(b, e.DurationNs)
	case authMs:
		return appendMs(b, e.AuthNs)
	case queueMs:
		return appendMs(b, e.QueueNs)
	}
	return b
}

// appendMs appends nanoseconds as milliseconds with three digits after the point.
func appendMs(b []byte, ns int64) []byte {
	return strconv.AppendFloat(b, float64(ns/1000)/1000, 'f', 3, 64)
}

// appendTries appends why the tries before the last one were not enough: a list in JSON, otherwise separated by commas.
func (e *Entry) appendTries(b []byte, s style) []byte {
	if s == asJSON {
		b = append(b, '[')
	} else if len(e.Retried) == 0 {
		return append(b, '-')
	}
	for i := range e.Retried {
		if i > 0 {
			b = append(b, ',')
		}
		b = quote(b, s)
		switch t := &e.Retried[i]; {
		case t.GRPC != 0:
			b = strconv.AppendInt(append(b, "grpc-status "...), int64(t.GRPC), 10)
		case t.Failure != "":
			b = appendEscaped(b, t.Failure, s)
		default:
			b = strconv.AppendInt(b, int64(t.Status), 10)
		}
		b = quote(b, s)
	}
	if s == asJSON {
		b = append(b, ']')
	}
	return b
}

// refresh formats the second of Time, if it is not the second of the latest line.
func (e *Entry) refresh() {
	second := e.Time / 1e9
	if second == e.second && len(e.stamp) > 0 {
		return
	}
	e.second = second
	at := time.Unix(second, 0).UTC()
	e.stamp = at.AppendFormat(e.stamp[:0], "2006-01-02T15:04:05.")
	e.common = at.AppendFormat(e.common[:0], "02/Jan/2006:15:04:05 -0700")
}

func (e *Entry) appendClient(b []byte, s style) []byte {
	if !e.Client.IsValid() && s != asJSON {
		return append(b, '-')
	}
	return quote(e.Client.AppendTo(quote(b, s)), s)
}

// path returns the target without its query.
func (e *Entry) path() []byte {
	for i, c := range e.Target {
		if c == '?' {
			return e.Target[:i]
		}
	}
	return e.Target
}

// appendRequest appends the request line. A request that was not understood has none.
func (e *Entry) appendRequest(b []byte, s style) []byte {
	if len(e.Method) == 0 {
		return appendText(b, "", s)
	}
	b = appendEscaped(quote(b, s), e.Method, s)
	b = appendEscaped(append(b, ' '), e.Target, s)
	b = appendEscaped(append(b, ' '), e.Protocol, s)
	return quote(b, s)
}

// quote appends a quotation mark in JSON.
func quote(b []byte, s style) []byte {
	if s == asJSON {
		return append(b, '"')
	}
	return b
}

func appendText[T string | []byte](b []byte, v T, s style) []byte {
	switch {
	case s == asJSON:
		return append(appendEscaped(append(b, '"'), v, s), '"')
	case len(v) == 0:
		return append(b, '-')
	}
	return appendEscaped(b, v, s)
}

// appendEscaped appends v in ASCII without line breaks and quotation marks: as the content of a JSON string, with other
// bytes as \u00XX, or as nginx does, with \xHH.
func appendEscaped[T string | []byte](b []byte, v T, s style) []byte {
	done := 0 // bytes of v that are appended
	for i := 0; i < len(v); i++ {
		c := v[i]
		if plain[c] && (s != asWord || c != ' ' && c != '[' && c != ']') {
			continue
		}
		b = appendEscape(append(b, v[done:i]...), c, s)
		done = i + 1
	}
	return append(b, v[done:]...)
}

// plain holds the bytes that need no escape.
var plain = func() (all [256]bool) {
	for c := byte(' '); c < 0x7f; c++ {
		all[c] = c != '"' && c != '\\'
	}
	return all
}()

func appendEscape(b []byte, c byte, s style) []byte {
	const low, up = "0123456789abcdef", "0123456789ABCDEF"
	switch {
	case s != asJSON:
		return append(b, '\\', 'x', up[c>>4], up[c&15])
	case c == '"' || c == '\\':
		return append(b, '\\', c)
	}
	return append(b, '\\', 'u', '0', '0', low[c>>4], low[c&15])
}
