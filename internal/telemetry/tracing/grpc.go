package tracing

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	connectWait  = 5 * time.Second // longest attempt to connect to a collector
	connectPause = 5 * time.Second // longest pause between two attempts; gRPC's default of 2 min would lose more spans
)

// dialer reads the file and the secrets of cfg. It returns what makes the connection to a collector of OTLP over gRPC.
func dialer(cfg Config) (func() (*grpc.ClientConn, error), error) {
	u, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("%s.endpoint: %w", cfg.Key, err)
	}
	secure, err := encryption(cfg)
	if err != nil {
		return nil, err
	}
	headers := perCall{&withHeaders{key: cfg.Key, refs: cfg.Headers}}
	if _, err := headers.resolve(); err != nil {
		return nil, err
	}
	port, transport := "80", insecure.NewCredentials()
	if u.Scheme == "https" {
		port, transport = "443", credentials.NewTLS(secure)
	}
	if p := u.Port(); p != "" {
		port = p
	}
	return func() (*grpc.ClientConn, error) {
		return grpc.NewClient("dns:///"+net.JoinHostPort(u.Hostname(), port),
			grpc.WithTransportCredentials(transport), grpc.WithPerRPCCredentials(headers), grpc.WithDisableServiceConfig(),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)), grpc.WithMaxHeaderListSize(maxAnswer),
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: .2, MaxDelay: connectPause},
				MinConnectTimeout: connectWait,
			}),
		)
	}, nil
}

// runGRPC is Run for OTLP over gRPC. The connection has goroutines, so it is made here.
func (e *Exporter) runGRPC(ctx context.Context) error {
	conn, err := e.dial()
	if err != nil {
		return fmt.Errorf("%s.endpoint: %w", e.cfg.Key, err)
	}
	defer func() { _ = conn.Close() }()
	e.client = otlptracegrpc.NewClient( // each option that has a variable OTEL_EXPORTER_OTLP_... is set, so that none changes it
		otlptracegrpc.WithGRPCConn(conn),
		otlptracegrpc.WithHeaders(map[string]string{}),
		otlptracegrpc.WithCompressor("gzip"),
		otlptracegrpc.WithTimeout(e.cfg.Timeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, InitialInterval: 200 * time.Millisecond, MaxInterval: 2 * time.Second, MaxElapsedTime: e.cfg.Timeout}),
	)
	if err := e.client.Start(ctx); err != nil {
		return err
	}
	defer func() { _ = e.client.Stop(context.WithoutCancel(ctx)) }() // no upload runs any more, so it does not wait
	return e.queue.Run(ctx)
}

// runGRPC is Run for OTLP over gRPC.
func (e *LogExporter) runGRPC(ctx context.Context) error {
	conn, err := e.dial()
	if err != nil {
		return fmt.Errorf("%s.endpoint: %w", e.cfg.Key, err)
	}
	defer func() { _ = conn.Close() }()
	e.client, err = otlploggrpc.New(ctx, // as for spans, each option that has a variable is set
		otlploggrpc.WithGRPCConn(conn),
		otlploggrpc.WithHeaders(map[string]string{}),
		otlploggrpc.WithCompressor("gzip"),
		otlploggrpc.WithTimeout(e.cfg.Timeout),
		otlploggrpc.WithRetry(otlploggrpc.RetryConfig{Enabled: true, InitialInterval: 200 * time.Millisecond, MaxInterval: 2 * time.Second, MaxElapsedTime: e.cfg.Timeout}),
	)
	if err != nil {
		return err
	}
	defer func() { _ = e.client.Shutdown(context.WithoutCancel(ctx)) }() // no upload runs any more, so it does not wait
	return e.queue.Run(ctx)
}

// perCall adds the headers to each call.
type perCall struct{ *withHeaders }

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (p perCall) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	values, err := p.resolve()
	out := make(map[string]string, len(values))
	for name, value := range values {
		out[strings.ToLower(name)] = value
	}
	return out, err
}

// RequireTransportSecurity implements credentials.PerRPCCredentials. The checks of the configuration allow headers over TLS, and to
// a collector on localhost.
func (perCall) RequireTransportSecurity() bool { return false }
