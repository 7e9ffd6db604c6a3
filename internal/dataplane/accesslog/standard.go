package accesslog

import (
	"encoding/hex"
	"strconv"
)

// appendStandard appends the line of JSON with the standard fields. It does what Append does with these fields, in less
// time: most nodes write this format.
func appendStandard(b []byte, e *Entry) []byte {
	e.refresh()
	ms := e.Time / 1e6 % 1000
	b = append(append(b, `{"time":"`...), e.stamp...)
	b = append(b, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
	b = appendEscaped(append(b, `","request_id":"`...), e.RequestID, asJSON)
	if e.Traced {
		b = hex.AppendEncode(append(b, `","trace_id":"`...), e.Trace.TraceID[:])
	}
	b = e.Client.AppendTo(append(b, `","client":"`...))
	b = appendEscaped(append(b, `","listener":"`...), e.Listener, asJSON)
	b = appendEscaped(append(b, `","protocol":"`...), e.Protocol, asJSON)
	b = appendEscaped(append(b, `","method":"`...), e.Method, asJSON)
	b = appendEscaped(append(b, `","host":"`...), e.Host, asJSON)
	b = appendEscaped(append(b, `","target":"`...), e.Target, asJSON)
	b = strconv.AppendInt(append(b, `","status":`...), int64(e.Status), 10)
	b = strconv.AppendInt(append(b, `,"bytes_in":`...), e.BytesIn, 10)
	b = strconv.AppendInt(append(b, `,"bytes_out":`...), e.BytesOut, 10)
	b = e.appendNumber(append(b, `,"duration_ms":`...), durationMs)
	b = appendEscaped(append(b, `,"route":"`...), e.Route, asJSON)
	b = appendEscaped(append(b, `","service":"`...), e.Service, asJSON)
	b = appendEscaped(append(b, `","instance":"`...), e.Instance, asJSON)
	b = strconv.AppendInt(append(b, `","attempts":`...), int64(e.Attempts), 10)
	if e.User != "" {
		b = append(appendEscaped(append(b, `,"user":"`...), e.User, asJSON), '"')
	}
	if e.AuthNs > 0 {
		b = appendMs(append(b, `,"auth_ms":`...), e.AuthNs)
	}
	if e.QueueNs > 0 {
		b = appendMs(append(b, `,"queue_ms":`...), e.QueueNs)
	}
	if len(e.Retried) > 0 {
		b = e.appendTries(append(b, `,"retried":`...), asJSON)
	}
	if e.Hedge != "" {
		b = append(appendEscaped(append(b, `,"hedge":"`...), e.Hedge, asJSON), '"')
	}
	if e.Failure != "" {
		b = append(appendEscaped(append(b, `,"failure":"`...), e.Failure, asJSON), '"')
	}
	return append(appendEscaped(append(b, `,"why":"`...), e.Why, asJSON), "\"}\n"...)
}
