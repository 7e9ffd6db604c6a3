package tracing

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"google.golang.org/grpc"

	"github.com/smartlb/smartlb/internal/dataplane/proxy"
)

// Exporter records exchanges and sends their spans to a collector. Create it with New and send with Run.
type Exporter struct {
	queue[slot]
	client    otlptrace.Client
	transport *http.Transport                  // of OTLP over HTTP
	dial      func() (*grpc.ClientConn, error) // of OTLP over gRPC; nil: over HTTP
}

var _ proxy.SpanRecorder = (*Exporter)(nil)

// New reads the file and the secrets of cfg. It makes no connection.
func New(cfg Config) (*Exporter, error) {
	e := &Exporter{queue: newQueue[slot](cfg, "the collector of traces did not accept spans", "the collector of traces accepts spans again")}
	e.upload = e.sendSpans
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
	e.client = otlptracehttp.NewClient( // each option that has a variable OTEL_EXPORTER_OTLP_... is set, so that none changes it
		otlptracehttp.WithEndpointURL(cfg.Endpoint),
		otlptracehttp.WithHeaders(map[string]string{}),
		otlptracehttp.WithEncoding(otlptracehttp.EncodingProtobuf),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithTimeout(cfg.Timeout),
		otlptracehttp.WithMaxResponseSize(maxAnswer),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: 200 * time.Millisecond, MaxInterval: 2 * time.Second, MaxElapsedTime: cfg.Timeout}),
		otlptracehttp.WithHTTPClient(client),
	)
	return e, nil
}

// Record implements proxy.SpanRecorder: it copies and returns.
func (e *Exporter) Record(s *proxy.Span) {
	if one := e.take(); one != nil {
		one.copy(s)
		e.add(one)
	}
}

// Run sends spans until ctx ends, then those that wait, for up to 2 s.
func (e *Exporter) Run(ctx context.Context) error {
	if e.dial != nil {
		return e.runGRPC(ctx)
	}
	defer e.transport.CloseIdleConnections()
	return e.queue.Run(ctx)
}

func (e *Exporter) sendSpans(ctx context.Context, batch []*slot) (int, error) {
	resource, spans := e.spans(batch)
	return spans, e.client.UploadTraces(ctx, resource)
}
