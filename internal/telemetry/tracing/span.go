package tracing

import (
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"strconv"
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
	span                     uint64
	instance, reason, policy string
	start, end               int64
	status, grpc             int
	failure                  dispatch.Failure
	retried, hedge, panic    bool
	candidates               [upstream.MaxCandidates]candidate
	compared                 int
}

// candidate is a copy of an upstream.Candidate.
type candidate struct {
	instance string
	cost     float32
	inFlight int32
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
		s.tries[i].copy(&from.Tries[i])
	}
	if n := s.attempts; n > 0 && s.tries[n-1].status != 0 { // the response to the last try was passed on
		s.tries[n-1].end = from.End
	}
}

func (t *try) copy(a *dispatch.Attempt) {
	t.span, t.instance, t.reason, t.policy, t.panic = a.Span, a.Pool.Members[a.Chosen].Instance, a.Trace.Reason, a.Pool.Name, a.Pool.Panic
	t.start, t.end, t.status, t.grpc = a.At, a.At+a.HeadNs, a.Status, a.GRPC
	t.failure, t.retried, t.hedge, t.compared = a.Failure, a.Retried, a.Hedge, a.Trace.N
	for i, c := range a.Trace.Candidates[:a.Trace.N] {
		t.candidates[i] = candidate{a.Pool.Members[c.Index].Instance, c.Cost, c.InFlight}
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
	span := s.span(s.start, s.end)
	span.SpanId, span.Kind = s.context.SpanID[:], tracepb.Span_SPAN_KIND_SERVER
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
	host, port := authority(s.host.bytes[:s.host.n])
	span.Attributes = append(span.Attributes, attributes{}.
		text("url.scheme", s.scheme).text("url.path", valid(s.path.bytes[:s.path.n])).text("server.address", host).number("server.port", port).
		text("client.address", client).text("network.protocol.version", version(s.protocol)).
		number("http.response.status_code", int64(s.status)).
		number("smartlb.request.bytes", s.in).number("smartlb.response.bytes", s.out).
		text("smartlb.request_id", valid(s.id.bytes[:s.id.n])).text("smartlb.listener", s.listener).text("smartlb.route", s.route).
		text("smartlb.service", s.service).text("smartlb.instance", s.instance).text("smartlb.why", s.why).
		text("smartlb.failure", s.failure).text("smartlb.hedge", s.hedge).number("smartlb.attempts", int64(s.attempts)).
		number("smartlb.queue_us", s.queueNs/1000)...)
	span.Status = outcome(s.status >= 500 || s.failure != "", s.failure)
	return span
}

// attempt returns the span of try i.
func (s *slot) attempt(i int) *tracepb.Span {
	t := &s.tries[i]
	span := s.span(t.start, t.end)
	span.SpanId, span.ParentSpanId = binary.BigEndian.AppendUint64(nil, t.span), s.context.SpanID[:]
	span.Kind = tracepb.Span_SPAN_KIND_CLIENT
	earlier := int64(0)
	for j := range s.attempts { // they are not in the order of time if a hedge lost
		if s.tries[j].start < t.start {
			earlier++
		}
	}
	span.Attributes = append(span.Attributes, attributes{}.number("http.response.status_code", int64(t.status)).
		number("http.request.resend_count", earlier).text("smartlb.service", s.service).text("smartlb.instance", t.instance).
		text("smartlb.policy", t.policy).text("smartlb.reason", t.reason).list("smartlb.candidates", t.compare()).flag("smartlb.panic", t.panic).
		text("smartlb.failure", t.failure.String()).number("rpc.grpc.status_code", int64(t.grpc)).
		flag("smartlb.retried", t.retried).flag("smartlb.hedge", t.hedge)...)
	span.Status = outcome(t.status >= 500 || t.failure != dispatch.None && t.failure != dispatch.Cancelled || t.grpc != 0, t.failure.String())
	return span
}

// compare returns what the policy compared.
func (t *try) compare() []string {
	var out []string
	for _, c := range t.candidates[:t.compared] {
		out = append(out, c.instance+" cost="+strconv.FormatFloat(float64(c.cost), 'g', 4, 32)+" in_flight="+strconv.Itoa(int(c.inFlight)))
	}
	return out
}

// span returns a span with what all spans of the exchange have. Methods that nobody registered are not part of a name, so
// that clients cannot make up names without end.
func (s *slot) span(start, end int64) *tracepb.Span {
	method := string(s.method.bytes[:s.method.n])
	span := &tracepb.Span{
		TraceId: s.context.TraceID[:], StartTimeUnixNano: uint64(start + s.wall), EndTimeUnixNano: uint64(max(end, start) + s.wall),
		Flags: 1, // sampled
		Name:  method, Attributes: attributes{}.text("http.request.method", method),
	}
	if !registered(method) {
		span.Name, span.Attributes = "HTTP", attributes{}.text("http.request.method", "_OTHER").text("http.request.method_original", valid([]byte(method)))
	}
	return span
}

// registered reports whether OpenTelemetry knows a method.
func registered(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// version returns the version of a protocol as OpenTelemetry writes it.
func version(protocol string) string {
	if protocol == "HTTP/2.0" {
		return "2"
	}
	return strings.TrimPrefix(protocol, "HTTP/")
}

// authority splits the authority of a request. The port is 0 if there is none.
func authority(of []byte) (host string, port int64) {
	all := valid(of)
	if host, digits, err := net.SplitHostPort(all); err == nil {
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil {
			n = 0
		}
		return host, int64(n)
	}
	return strings.Trim(all, "[]"), 0
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

func (a attributes) list(key string, values []string) attributes {
	if len(values) == 0 {
		return a
	}
	all := &commonpb.ArrayValue{}
	for _, v := range values {
		all.Values = append(all.Values, &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: v}})
	}
	return append(a, &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: all}}})
}

// valid returns b as text that protobuf accepts: a client may send any bytes in a path.
func valid(b []byte) string {
	return strings.ToValidUTF8(string(b), string('\uFFFD'))
}
