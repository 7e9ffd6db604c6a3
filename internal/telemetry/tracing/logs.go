package tracing

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	otellog "go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/smartlb/smartlb/internal/dataplane/accesslog"
	"github.com/smartlb/smartlb/internal/dataplane/proxy"
	"github.com/smartlb/smartlb/internal/dataplane/tracecontext"
)

// LogExporter sends the access log to a collector, as log records. Create it with NewLogs and send with Run.
type LogExporter struct {
	queue[line]
	client    sdklog.Exporter
	logger    otellog.Logger // makes records of the batch
	made      gather
	transport *http.Transport                  // of OTLP over HTTP
	dial      func() (*grpc.ClientConn, error) // of OTLP over gRPC; nil: over HTTP
}

var _ proxy.LogRecorder = (*LogExporter)(nil)

// NewLogs reads the file and the secrets of cfg. It makes no connection.
func NewLogs(cfg Config) (*LogExporter, error) {
	e := &LogExporter{queue: newQueue[line](cfg, "the collector of logs did not accept records", "the collector of logs accepts records again")}
	e.upload = e.sendRecords
	node := resource.NewSchemaless(attribute.String("service.name", "smartlb"), attribute.String("service.instance.id", cfg.Node), attribute.String("service.version", cfg.Version))
	e.logger = sdklog.NewLoggerProvider(sdklog.WithResource(node), sdklog.WithProcessor(&e.made), sdklog.WithAttributeValueLengthLimit(-1)).Logger("smartlb")
	if cfg.GRPC {
		var err error
		if e.dial, err = dialer(cfg); err != nil {
			return nil, err
		}
		return e, nil
	}
	transport, client, err := newTransport(cfg)
	if err != nil {
		return nil, err
	}
	e.transport = transport
	e.client, err = otlploghttp.New(context.Background(), // as for spans, each option that has a variable is set
		otlploghttp.WithEndpointURL(cfg.Endpoint),
		otlploghttp.WithHeaders(map[string]string{}),
		otlploghttp.WithCompression(otlploghttp.GzipCompression),
		otlploghttp.WithTimeout(cfg.Timeout),
		otlploghttp.WithMaxResponseSize(maxAnswer),
		otlploghttp.WithRetry(otlploghttp.RetryConfig{Enabled: true, InitialInterval: 200 * time.Millisecond, MaxInterval: 2 * time.Second, MaxElapsedTime: cfg.Timeout}),
		otlploghttp.WithHTTPClient(client),
	)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Log implements proxy.LogRecorder: it copies and returns.
func (e *LogExporter) Log(entry *accesslog.Entry) {
	if one := e.take(); one != nil {
		one.copy(entry)
		e.add(one)
	}
}

// Run sends records until ctx ends, then those that wait, for up to 2 s.
func (e *LogExporter) Run(ctx context.Context) error {
	if e.dial != nil {
		return e.runGRPC(ctx)
	}
	defer e.transport.CloseIdleConnections()
	return e.queue.Run(ctx)
}

func (e *LogExporter) sendRecords(ctx context.Context, batch []*line) (int, error) {
	e.made.records = e.made.records[:0]
	for _, l := range batch {
		l.emit(e.logger)
	}
	return len(batch), e.client.Export(ctx, e.made.records)
}

// gather keeps the records that a logger makes.
type gather struct{ records []sdklog.Record }

var _ sdklog.Processor = (*gather)(nil)

func (g *gather) OnEmit(_ context.Context, r *sdklog.Record) error {
	g.records = append(g.records, r.Clone())
	return nil
}

func (*gather) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (*gather) Shutdown(context.Context) error                         { return nil }
func (*gather) ForceFlush(context.Context) error                       { return nil }

// line is a copy of an accesslog.Entry; lines are reused. Longer texts are cut.
type line struct {
	traced                              bool
	context                             tracecontext.Context
	time, duration, queue, in, out      int64
	id                                  text[[128]byte]
	method                              text[[16]byte]
	host                                text[[128]byte]
	target                              text[[512]byte]
	client                              netip.Addr
	listener, protocol                  string
	status, attempts                    int
	route, service, instance, user      string
	hedge, failure, why, sni, certified string
}

func (l *line) copy(from *accesslog.Entry) {
	l.traced, l.context = from.Traced, from.Trace
	l.time, l.duration, l.queue, l.in, l.out = from.Time, from.DurationNs, from.QueueNs, from.BytesIn, from.BytesOut
	l.id.n = copy(l.id.bytes[:], from.RequestID)
	l.method.n = copy(l.method.bytes[:], from.Method)
	l.host.n = copy(l.host.bytes[:], from.Host)
	l.target.n = copy(l.target.bytes[:], from.Target)
	l.client, l.listener, l.protocol, l.status, l.attempts = from.Client, from.Listener, from.Protocol, from.Status, from.Attempts
	l.route, l.service, l.instance, l.user = from.Route, from.Service, from.Instance, from.User
	l.hedge, l.failure, l.why, l.sni, l.certified = from.Hedge, from.Failure, from.Why, from.SNI, from.TLSSubject
}

// emit makes a record of the line.
func (l *line) emit(to otellog.Logger) {
	ctx := context.Background()
	if l.traced {
		var flags trace.TraceFlags
		ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: l.context.TraceID, SpanID: l.context.SpanID, TraceFlags: flags.WithSampled(l.context.Sampled),
		}))
	}
	method, target := valid(l.method.bytes[:l.method.n]), valid(l.target.bytes[:l.target.n])
	var r otellog.Record
	r.SetTimestamp(time.Unix(0, l.time))
	r.SetObservedTimestamp(time.Unix(0, l.time))
	r.SetEventName("smartlb.access")
	r.SetSeverity(otellog.SeverityInfo)
	if l.status >= 500 || l.failure != "" {
		r.SetSeverity(otellog.SeverityError)
	}
	r.SetSeverityText(r.Severity().String())
	r.SetBody(attribute.StringValue(method + " " + target))
	client := ""
	if l.client.IsValid() {
		client = l.client.String()
	}
	original := ""
	if method != "" && !registered(method) {
		method, original = "_OTHER", method
	}
	host, port := authority(l.host.bytes[:l.host.n])
	path, query, _ := strings.Cut(target, "?")
	for _, f := range []struct{ key, value string }{
		{"http.request.method", method}, {"http.request.method_original", original}, {"url.path", path}, {"url.query", query}, {"server.address", host},
		{"client.address", client}, {"network.protocol.version", version(l.protocol)}, {"smartlb.request_id", valid(l.id.bytes[:l.id.n])},
		{"smartlb.listener", l.listener}, {"smartlb.route", l.route}, {"smartlb.service", l.service}, {"smartlb.instance", l.instance},
		{"user.name", valid([]byte(l.user))}, {"smartlb.hedge", l.hedge}, {"smartlb.failure", l.failure}, {"smartlb.why", valid([]byte(l.why))},
		{"tls.client.server_name", valid([]byte(l.sni))}, {"tls.client.subject", valid([]byte(l.certified))},
	} {
		if f.value != "" {
			r.AddAttributes(attribute.String(f.key, f.value))
		}
	}
	for _, f := range []struct {
		key   string
		value int64
	}{
		{"http.response.status_code", int64(l.status)}, {"server.port", port}, {"smartlb.request.bytes", l.in}, {"smartlb.response.bytes", l.out},
		{"smartlb.attempts", int64(l.attempts)}, {"smartlb.duration_us", l.duration / 1000}, {"smartlb.queue_us", l.queue / 1000},
	} {
		if f.value != 0 {
			r.AddAttributes(attribute.Int64(f.key, f.value))
		}
	}
	to.Emit(ctx, r)
}
