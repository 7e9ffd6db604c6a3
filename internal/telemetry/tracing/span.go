package tracing

import (
	"encoding/binary"
	"net/netip"
	"strings"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/proxy"
	"github.com/smartlb/smartlb/internal/dataplane/tracecontext"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// slot is a copy of an exchange; slots are reused. Longer texts are cut.
type slot struct {
	context                    tracecontext.Context
	parent                     [8]byte
	start, end, wall           int64
	id                         text[[128]byte]
	method                     text[[16]byte]
	host                       text[[128]byte]
	path                       text[[512]byte]
	scheme, protocol, listener string
	client                     netip.Addr
	status, attempts           int
	why, failure, hedge        string
	route, service, instance   string
	queueNs, in, out           int64
	tries                      [upstream.MaxTries]try
}

// try is a copy of a dispatch.Attempt.
type try struct {
	span             uint64
	instance, reason string
	start, end       int64
	status, grpc     int
	failure          dispatch.Failure
	retried, hedge   bool
}

// text is bytes in an array.
type text[A [16]byte | [128]byte | [512]byte] struct {
	bytes A
	n     int
}

func (s *slot) copy(from *proxy.Span) {
	r := from.Record
	s.context, s.parent, s.start, s.end, s.wall = from.Context, from.Parent, from.Start, from.End, from.Wall
	s.id.n = copy(s.id.bytes[:], from.ID)
	s.method.n = copy(s.method.bytes[:], from.Method)
	s.host.n = copy(s.host.bytes[:], from.Host)
	s.path.n = copy(s.path.bytes[:], from.Path)
	s.scheme, s.protocol, s.listener, s.client = from.Scheme, from.Protocol, from.Listener, from.Client
	s.status, s.why, s.failure, s.hedge = from.Status, from.Why, r.Failure.String(), r.Hedge
	s.route, s.service, s.instance = r.Route, r.Service, r.Instance
	s.queueNs, s.in, s.out = r.QueueNs, from.BytesIn, from.BytesOut
	s.attempts = min(len(from.Tries), len(s.tries))
	for i := range s.attempts {
		a := &from.Tries[i]
		t := &s.tries[i]
		*t = try{
			span: a.Span, instance: a.Pool.Members[a.Chosen].Instance, reason: a.Trace.Reason, start: a.At, end: a.At + a.HeadNs,
			status: a.Status, grpc: a.GRPC, failure: a.Failure, retried: a.Retried, hedge: a.Hedge,
		}
		if i == s.attempts-1 && a.Status != 0 { // its response was passed on
			t.end = from.End
		}
	}
}

// spans converts a batch to OTLP. It returns how many spans that are.
func (e *Exporter) spans(batch []*slot) ([]*tracepb.ResourceSpans, int) {
	var all []*tracepb.Span
	for _, s := range batch {
		all = append(all, s.exchange())
		for i := range s.attempts {
			all = append(all, s.attempt(i))
		}
	}
	resource := &resourcepb.Resource{Attributes: attributes{}.text("service.name", "smartlb").text("service.instance.id", e.cfg.Node).text("service.version", e.cfg.Version)}
	scope := &tracepb.ScopeSpans{Scope: &commonpb.InstrumentationScope{Name: "smartlb"}, Spans: all}
	return []*tracepb.ResourceSpans{{Resource: resource, ScopeSpans: []*tracepb.ScopeSpans{scope}}}, len(all)
}

// exchange returns the span of the whole exchange.
func (s *slot) exchange() *tracepb.Span {
	method := valid(s.method.bytes[:s.method.n])
	span := s.span(s.start, s.end)
	span.SpanId, span.Kind, span.Name = s.context.SpanID[:], tracepb.Span_SPAN_KIND_SERVER, method
	if s.route != "" {
		span.Name += " " + s.route
	}
	if s.parent != [8]byte{} {
		span.ParentSpanId = s.parent[:]
	}
	client := ""
	if s.client.IsValid() {
		client = s.client.String()
	}
	span.Attributes = attributes{}.text("http.request.method", method).
		text("url.scheme", s.scheme).text("url.path", valid(s.path.bytes[:s.path.n])).text("server.address", valid(s.host.bytes[:s.host.n])).
		text("client.address", client).text("network.protocol.version", strings.TrimPrefix(s.protocol, "HTTP/")).
		number("http.response.status_code", int64(s.status)).
		number("smartlb.request.bytes", s.in).number("smartlb.response.bytes", s.out).
		text("smartlb.request_id", valid(s.id.bytes[:s.id.n])).text("smartlb.listener", s.listener).text("smartlb.route", s.route).
		text("smartlb.service", s.service).text("smartlb.instance", s.instance).text("smartlb.why", s.why).
		text("smartlb.failure", s.failure).text("smartlb.hedge", s.hedge).number("smartlb.attempts", int64(s.attempts)).
		number("smartlb.queue_us", s.queueNs/1000)
	span.Status = outcome(s.status >= 500 || s.failure != "", s.failure)
	return span
}

// attempt returns the span of try i.
func (s *slot) attempt(i int) *tracepb.Span {
	t := &s.tries[i]
	span := s.span(t.start, t.end)
	span.SpanId, span.ParentSpanId = binary.BigEndian.AppendUint64(nil, t.span), s.context.SpanID[:]
	span.Kind, span.Name = tracepb.Span_SPAN_KIND_CLIENT, valid(s.method.bytes[:s.method.n])
	span.Attributes = attributes{}.text("http.request.method", span.Name).number("http.response.status_code", int64(t.status)).
		number("http.request.resend_count", int64(i)).text("smartlb.service", s.service).text("smartlb.instance", t.instance).
		text("smartlb.reason", t.reason).text("smartlb.failure", t.failure.String()).number("rpc.grpc.status_code", int64(t.grpc)).
		flag("smartlb.retried", t.retried).flag("smartlb.hedge", t.hedge)
	span.Status = outcome(t.status >= 500 || t.failure != dispatch.None && t.failure != dispatch.Cancelled || t.grpc != 0, t.failure.String())
	return span
}

// span returns a span with what all spans of the exchange have.
func (s *slot) span(start, end int64) *tracepb.Span {
	return &tracepb.Span{
		TraceId: s.context.TraceID[:], StartTimeUnixNano: uint64(start + s.wall), EndTimeUnixNano: uint64(max(end, start) + s.wall),
		Flags: 1, // sampled
	}
}

func outcome(failed bool, message string) *tracepb.Status {
	if !failed {
		return nil
	}
	return &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: message}
}

// attributes are those of a span. Texts that are empty and numbers that are 0 are left out.
type attributes []*commonpb.KeyValue

func (a attributes) text(key, value string) attributes {
	if value == "" {
		return a
	}
	return append(a, &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}})
}

func (a attributes) number(key string, n int64) attributes {
	if n == 0 {
		return a
	}
	return append(a, &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: n}}})
}

func (a attributes) flag(key string, on bool) attributes {
	if !on {
		return a
	}
	return append(a, &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: true}}})
}

// valid returns b as text that protobuf accepts: a client may send any bytes in a path.
func valid(b []byte) string {
	return strings.ToValidUTF8(string(b), string('\uFFFD'))
}
