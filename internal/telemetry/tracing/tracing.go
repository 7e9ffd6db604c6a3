package tracing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/dataplane/proxy"
)

const (
	ringSlots = 2048        // exchanges that wait; about 5 MB when all are in use
	batchMost = 256         // exchanges of a batch
	flushWait = time.Second // longest wait of an exchange for its batch
	stopWait  = 2 * time.Second
	maxAnswer = 64 << 10 // bytes of an answer of the collector
	maxReason = 300      // bytes of its reason in the log
)

// Config of an Exporter.
type Config struct {
	Node, Version string
	Endpoint      string                // http:// or https:// URL with a path
	Headers       map[string]secret.Ref // sent with each batch
	CA            string                // file with certificate authorities in PEM; empty: those of the system
	Timeout       time.Duration         // of a batch, with its retries
	Log           *slog.Logger
}

// Stats counts spans that were lost.
type Stats struct {
	Dropped     uint64 // exchanges that found the ring full
	Undelivered uint64 // spans of batches that the collector did not accept as a whole
}

// Exporter records exchanges and sends them to a collector. Create it with New and send with Run.
type Exporter struct {
	cfg         Config
	client      otlptrace.Client
	transport   *http.Transport
	ring, free  chan *slot
	crowded     chan struct{} // the ring holds a batch
	dropped     atomic.Uint64
	undelivered atomic.Uint64
	failing     bool
	batch       []*slot
}

var _ proxy.SpanRecorder = (*Exporter)(nil)

// New reads the file and the secrets of cfg. It makes no connection.
func New(cfg Config) (*Exporter, error) {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxConnsPerHost: 2, IdleConnTimeout: time.Minute,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, MaxResponseHeaderBytes: maxAnswer,
	}
	if cfg.CA != "" {
		pem, err := os.ReadFile(cfg.CA)
		if err != nil {
			return nil, fmt.Errorf("telemetry.tracing.ca: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("telemetry.tracing.ca: %s holds no certificate in PEM", cfg.CA)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	headers := &withHeaders{refs: cfg.Headers, next: transport}
	if _, err := headers.resolve(); err != nil {
		return nil, err
	}
	e := &Exporter{
		cfg: cfg, transport: transport,
		ring: make(chan *slot, ringSlots), free: make(chan *slot, ringSlots), crowded: make(chan struct{}, 1),
	}
	e.client = otlptracehttp.NewClient( // each option that has a variable OTEL_EXPORTER_OTLP_... is set, so that none changes it
		otlptracehttp.WithEndpointURL(cfg.Endpoint),
		otlptracehttp.WithHeaders(map[string]string{}),
		otlptracehttp.WithEncoding(otlptracehttp.EncodingProtobuf),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithTimeout(cfg.Timeout),
		otlptracehttp.WithMaxResponseSize(maxAnswer),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: 200 * time.Millisecond, MaxInterval: 2 * time.Second, MaxElapsedTime: cfg.Timeout}),
		otlptracehttp.WithHTTPClient(&http.Client{
			Transport: headers, Timeout: cfg.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // headers hold secrets for this host only
		}),
	)
	return e, nil
}

// withHeaders adds headers to requests. It reads secrets for each request, so that they can be replaced.
type withHeaders struct {
	refs map[string]secret.Ref
	next http.RoundTripper
}

func (w *withHeaders) resolve() (map[string]string, error) {
	out := map[string]string{}
	for name, ref := range w.refs {
		value, err := ref.Resolve(os.Getenv, os.ReadFile)
		if err != nil {
			return nil, fmt.Errorf("telemetry.tracing.headers.%s: %w", name, err)
		}
		out[name] = value
	}
	return out, nil
}

func (w *withHeaders) RoundTrip(r *http.Request) (*http.Response, error) {
	values, err := w.resolve()
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	r = r.Clone(r.Context())
	for name, value := range values {
		r.Header.Set(name, value)
	}
	return w.next.RoundTrip(r)
}

// Stats returns the counters. It may be called at any time.
func (e *Exporter) Stats() Stats {
	return Stats{Dropped: e.dropped.Load(), Undelivered: e.undelivered.Load()}
}

// Record implements proxy.SpanRecorder: it copies and returns.
func (e *Exporter) Record(s *proxy.Span) {
	var one *slot
	select {
	case one = <-e.free:
	default:
		if len(e.ring) == cap(e.ring) {
			e.dropped.Add(1)
			return
		}
		one = &slot{}
	}
	one.copy(s)
	select {
	case e.ring <- one:
	default:
		e.dropped.Add(1)
		return
	}
	if len(e.ring) >= batchMost {
		select {
		case e.crowded <- struct{}{}:
		default:
		}
	}
}

// Run sends spans until ctx ends, then those that wait, for up to 2 s.
func (e *Exporter) Run(ctx context.Context) error {
	defer e.transport.CloseIdleConnections()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopWait, cancel) })()
	tick := time.NewTicker(flushWait)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			for len(e.ring) > 0 {
				e.send(work)
			}
			return nil
		case <-tick.C:
		case <-e.crowded:
		}
		for n := len(e.ring); n > 0 && ctx.Err() == nil; n -= batchMost {
			e.send(work)
		}
	}
}

// send sends one batch.
func (e *Exporter) send(ctx context.Context) {
	for e.batch = e.batch[:0]; len(e.batch) < batchMost && len(e.ring) > 0; {
		e.batch = append(e.batch, <-e.ring)
	}
	resource, spans := e.spans(e.batch)
	within, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	err := e.client.UploadTraces(within, resource)
	cancel()
	for _, s := range e.batch { // only now: the spans refer to them
		select {
		case e.free <- s:
		default:
		}
	}
	if err != nil {
		e.undelivered.Add(uint64(spans))
	}
	if err != nil && !e.failing {
		reason := err.Error()
		e.cfg.Log.Warn("the collector of traces did not accept spans", "endpoint", e.cfg.Endpoint, "spans", spans, "error", reason[:min(len(reason), maxReason)])
	} else if err == nil && e.failing {
		e.cfg.Log.Info("the collector of traces accepts spans again", "endpoint", e.cfg.Endpoint)
	}
	e.failing = err != nil
}
