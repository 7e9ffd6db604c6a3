package proxy

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"github.com/smartlb/smartlb/internal/dataplane/accesslog"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/tracecontext"
)

// Tracing makes each exchange a span of a trace, and each of its tries a child of that span. Instances get the id of their
// try in traceparent.
type Tracing struct {
	Sample   float64      // share of requests that are recorded, unless a trusted proxy decides, 0..1
	Recorder SpanRecorder // takes the recorded exchanges
}

// SpanRecorder takes recorded exchanges. It must not block: if its queue is full, it drops the exchange and counts it.
type SpanRecorder interface{ Record(*Span) }

// LogRecorder takes exchanges for a log. It must not block, as a SpanRecorder. The entry is valid only during the call.
type LogRecorder interface{ Log(*accesslog.Entry) }

// Span is an exchange that is passed to a SpanRecorder. It is valid only during the call: the recorder must copy what it
// keeps.
type Span struct {
	Context                    tracecontext.Context
	Parent                     [8]byte // zero: the trace begins here
	Start, End                 int64   // of the process clock
	Wall                       int64   // wall clock minus process clock, ns
	ID, Method, Host, Path     []byte  // ID is the X-Request-Id
	Scheme, Protocol, Listener string
	Client                     netip.Addr
	Status                     int // that the client got; 0: none
	Why                        string
	Record                     *dispatch.Record
	Tries                      []dispatch.Attempt
	BytesIn, BytesOut          int64
}

// traced is the trace of an exchange.
type traced struct {
	on      bool
	context tracecontext.Context
	parent  [8]byte
	state   []byte // of the client, valid; empty: none
	span    Span   // that is being recorded
}

// traceFields are the fields that the proxy writes while tracing is on.
var traceFields = []string{"traceparent", "tracestate"}

// joinTrace continues the trace of the request, or begins one.
func (c *conn) joinTrace(e *exchange) {
	cfg := c.p.cfg.Tracing
	if cfg == nil {
		return
	}
	t := &e.trace
	t.on = true
	t.context, t.state = e.clientTrace(t.state[:0])
	t.parent = t.context.SpanID
	if t.parent == [8]byte{} {
		binary.NativeEndian.PutUint64(t.context.TraceID[:], rand.Uint64())
		binary.NativeEndian.PutUint64(t.context.TraceID[8:], rand.Uint64()|1) // never all zero
	}
	if t.parent == [8]byte{} || !c.trusted {
		t.context.Sampled = rand.Float64() < cfg.Sample
	}
	e.x.Span = rand.Uint64()>>1 | 1 // the ids of the tries follow it, and do not reach 0
	binary.BigEndian.PutUint64(t.context.SpanID[:], e.x.Span)
}

// clientTrace reads the trace of the client. Without exactly one valid traceparent there is none. A tracestate that is not
// valid is ignored.
func (e *exchange) clientTrace(state []byte) (parent tracecontext.Context, _ []byte) {
	found := 0
	for i := range e.req.Len() {
		name, value, kind := e.req.Field(i)
		switch {
		case kind != h1.Other:
		case h1.EqualFold(name, "traceparent"):
			found++
			parent, _ = tracecontext.Parse(value)
		case h1.EqualFold(name, "tracestate"):
			if len(state) > 0 {
				state = append(state, ',')
			}
			state = append(state, value...)
		}
	}
	if found != 1 || parent.SpanID == [8]byte{} {
		return tracecontext.Context{}, state[:0]
	}
	if !tracecontext.ValidState(state) {
		state = state[:0]
	}
	return parent, state
}

// appendTrace appends the fields of the trace for the instance of the current try, except those that the route edits.
func (c *conn) appendTrace(out []byte, e *exchange) []byte {
	if !e.trace.on {
		return out
	}
	if !e.routeEdits("traceparent") {
		at := e.trace.context
		binary.BigEndian.PutUint64(at.SpanID[:], e.x.TrySpan())
		out = append(out, "Traceparent: "...)
		out = append(at.Append(out), "\r\n"...)
	}
	if len(e.trace.state) > 0 && !e.routeEdits("tracestate") {
		out = append(append(out, "Tracestate: "...), e.trace.state...)
		out = append(out, "\r\n"...)
	}
	return out
}

// routeEdits reports whether the route sets, adds or removes a field of the request, whose name is in lower case.
func (e *exchange) routeEdits(lower string) bool {
	return e.actions != nil && (e.actions.Request.Drops(lower) || e.actions.Request.Puts(lower))
}

// recordSpan passes a recorded exchange on after its end.
func (c *conn) recordSpan(e *exchange, rec *dispatch.Record, status int, why string) {
	if !e.trace.on || !e.trace.context.Sampled {
		return
	}
	e.trace.span = Span{
		Context: e.trace.context, Parent: e.trace.parent, Start: c.now - rec.DurationNs, End: c.now, Wall: c.p.wall.Load(),
		ID: e.id, Method: e.req.Method(), Host: e.req.Host(), Path: e.req.Path(), Scheme: c.clientScheme(e), Protocol: c.front.protocol(e),
		Listener: c.l.name(), Client: e.client, Status: status, Why: why, Record: rec, Tries: e.x.Tries(), BytesIn: e.taken, BytesOut: e.sent,
	}
	c.p.cfg.Tracing.Recorder.Record(&e.trace.span)
}
